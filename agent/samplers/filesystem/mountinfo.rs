//! The lines of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::samplers::fields::{Fields, Malformed};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Major number of the device.
    pub major: u32,
    /// Minor number of the device.
    pub minor: u32,
    /// What is mounted: a device, a server's export, or a word.
    pub device: Cow<'a, str>,
    /// Where.
    pub mount_point: Cow<'a, str>,
    /// The type of the filesystem.
    pub fstype: &'a str,
    /// Whether the mount or its superblock is read-only.
    pub read_only: bool,
}

/// Parses `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
///
/// # Errors
/// [`Malformed`] where a field is missing.
pub fn parse(line: &str) -> Result<Mount<'_>, Malformed> {
    let (mount, superblock) = line.split_once(" - ").ok_or_else(|| Malformed::new("a separating hyphen", line))?;
    let mut fields = Fields::of(mount);
    fields.skip(2);
    let number = |text: &str| text.parse().map_err(|_| Malformed::new("the device as major:minor", line));
    let (major, minor) = fields.word("the device as major:minor")?.split_once(':').unwrap_or_default();
    let (major, minor) = (number(major)?, number(minor)?);
    fields.skip(1);
    let mount_point = unescape(fields.word("the mount point")?);
    let options = fields.word("the mount's options")?;
    // The kernel writes an empty source as nothing between two spaces.
    let mut words = superblock.split(' ');
    let mut word = |expected| words.next().ok_or_else(|| Malformed::new(expected, line));
    let fstype = word("the filesystem's type")?;
    let device = word("the mounted device")?;
    let superblock_options = word("the superblock's options")?;
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    Ok(Mount {
        major,
        minor,
        device: unescape(device),
        mount_point,
        fstype,
        read_only: read_only(options) || read_only(superblock_options),
    })
}

/// The mount point of a line, byte by byte: statvfs(3) wants it so, and not every name is UTF-8.
pub fn path(line: &[u8]) -> PathBuf {
    let escaped = line.split(|byte| *byte == b' ').nth(4).unwrap_or_default();
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, tail @ ..] = rest {
        let octal = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok();
        match (first, tail.split_at_checked(3).and_then(|(digits, after)| Some((octal(digits)?, after)))) {
            (b'\\', Some((byte, after))) => {
                plain.push(byte);
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(plain).into()
}

/// Undoes the kernel's octal escapes of space, tab, newline, `#` and backslash (`\040`).
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match (code, after.get(3..)) {
            (Some(code), Some(tail)) => {
                plain.push(char::from(code));
                rest = tail;
            }
            _ => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let mount =
            parse(r"36 35 98:7 /a /mnt/my\040disk rw,noatime master:1 shared:2 - ext4 /dev/sd\134a rw").unwrap();
        assert_eq!((mount.major, mount.minor, mount.fstype, mount.read_only), (98, 7, "ext4", false));
        assert_eq!((&*mount.mount_point, &*mount.device), ("/mnt/my disk", r"/dev/sd\a"));
    }

    #[test]
    fn either_side_can_be_read_only() {
        assert!(parse("1 2 0:1 / /m ro - tmpfs tmpfs rw").unwrap().read_only);
        assert!(parse("1 2 0:1 / /m rw - ext4 /dev/sda ro,errors=continue").unwrap().read_only);
        assert!(!parse("1 2 0:1 / /m rw,errors=remount-ro - ext4 /dev/sda rw").unwrap().read_only);
    }

    #[test]
    fn a_short_line_says_what_is_missing() {
        assert_eq!(parse("1 2 0:1 / /m rw").unwrap_err().expected, "a separating hyphen");
        assert_eq!(parse("1 2 0 / /m rw - a b c").unwrap_err().expected, "the device as major:minor");
        assert_eq!(parse("1 2 0:1 / /m rw - ext4").unwrap_err().expected, "the mounted device");
    }

    #[test]
    fn a_source_without_a_name_is_not_its_options() {
        let mount = parse("1 2 0:1 / /m rw - tmpfs  ro,size=1024k").unwrap();
        assert_eq!((&*mount.device, mount.read_only), ("", true));
    }

    #[test]
    fn the_path_is_byte_for_byte() {
        let line = b"36 35 98:7 /a /mnt/m\xe9t\\040x\\y rw - ext4 /dev/sda rw";
        assert_eq!(path(line), PathBuf::from(OsString::from_vec(b"/mnt/m\xe9t x\\y".to_vec())));
        assert_eq!(path(b""), PathBuf::new());
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescape(r"a\x\04"), r"a\x\04");
        assert_eq!(unescape(r"\011ä\\"), "\tä\\\\");
    }
}
