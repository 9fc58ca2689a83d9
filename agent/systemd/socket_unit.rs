//! Where `vigie.socket` listens, as its files have it (systemd.unit(5), systemd.socket(5)): for the commands that ask
//! the agent, or tell where it is, without being started by systemd.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::config::Listen;

const NAME: &str = "vigie.socket";
/// Where units are, below the root; the first that has a file of some name is the one that counts.
pub(crate) const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// The most that is read of a file, in bytes.
const LIMIT: u64 = 64 << 10;

/// Where `vigie.socket` listens in the system below `root`; nowhere, unless it is enabled. Streams that vigie could not
/// name itself, such as abstract sockets, are left out.
pub fn addresses(root: &Path) -> Vec<Listen> {
    if !is_enabled(root, NAME) {
        return Vec::new();
    }
    let mut streams = Vec::new();
    for text in texts(root, NAME) {
        parse_listen_streams(&text, &mut streams);
    }
    streams.iter().filter_map(|stream| address(stream)).collect()
}

/// Whether a target wants that unit.
pub(crate) fn is_enabled(root: &Path, unit: &str) -> bool {
    // What the admin links, and what is linked until the next boot.
    FOLDERS.iter().take(2).any(|folder| {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let targets = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wants" || extension == "requires"));
        targets.into_iter().any(|target| target.join(unit).symlink_metadata().is_ok())
    })
}

/// What there is of that unit: its file, then its drop-ins by their names; nothing of one that is masked.
pub(crate) fn texts(root: &Path, unit: &str) -> Vec<String> {
    let Some(own) = FOLDERS.iter().find_map(|folder| read(&root.join(folder).join(unit))) else { return Vec::new() };
    // Masked: a link to /dev/null.
    if own.is_empty() {
        return Vec::new();
    }
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder).join(format!("{unit}.d"))).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|is| is == "conf")) {
            drop_ins.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
        }
    }
    let drop_ins = drop_ins.into_values().filter_map(|path| read(&path));
    std::iter::once(own).chain(drop_ins).collect()
}

/// A file as text; none, where it cannot be read.
pub(crate) fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Adds the streams of a unit's text to those of the texts before it, which an empty one takes back.
pub fn parse_listen_streams(text: &str, streams: &mut Vec<String>) {
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| section == "[Socket]") else { continue };
        match (key.trim_end(), value.trim_start()) {
            ("ListenStream", "") => streams.clear(),
            ("ListenStream", stream) => streams.push(stream.to_owned()),
            _ => {}
        }
    }
}

fn address(stream: &str) -> Option<Listen> {
    let stream = stream.replace("%t", "/run");
    match stream.strip_prefix('/') {
        Some(_) => format!("unix:{stream}").parse().ok(),
        None if stream.bytes().all(|byte| byte.is_ascii_digit()) => format!(":{stream}").parse().ok(),
        None => stream.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        addresses(system(files).path()).iter().map(ToString::to_string).collect()
    }

    const SHIPPED: (&str, &str) = ("usr/lib/systemd/system/vigie.socket", include_str!("../../systemd/vigie.socket"));
    const ENABLED: (&str, &str) = ("etc/systemd/system/sockets.target.wants/vigie.socket", "");

    #[test]
    fn the_shipped_unit_listens_where_vigie_does_once_it_is_enabled() {
        assert_eq!(told(&[SHIPPED]), Vec::<String>::new());
        assert_eq!(told(&[SHIPPED, ENABLED]), ["127.0.0.1:9844"]);
        assert_eq!(told(&[ENABLED]), Vec::<String>::new());
    }

    #[test]
    fn drop_ins_add_to_it_or_begin_anew() {
        let wide = ("etc/systemd/system/vigie.socket.d/wide.conf", "[Socket]\nListenStream=9100\n");
        assert_eq!(told(&[SHIPPED, ENABLED, wide]), ["127.0.0.1:9844", "[::]:9100"]);
        let anew = "[Socket]\nListenStream=\nListenStream = %t/vigie.sock\n[Install]\nListenStream=1\n";
        let anew = ("run/systemd/system/vigie.socket.d/a.conf", anew);
        assert_eq!(told(&[SHIPPED, ENABLED, anew, wide]), ["unix:/run/vigie.sock", "[::]:9100"]);
        let same_name = ("etc/systemd/system/vigie.socket.d/a.conf", "");
        assert_eq!(told(&[SHIPPED, ENABLED, anew, same_name]), ["127.0.0.1:9844"]);
    }

    #[test]
    fn the_admins_file_is_in_place_of_the_packages_and_a_mask_is_nothing() {
        let own = |text| ("etc/systemd/system/vigie.socket", text);
        assert_eq!(told(&[SHIPPED, ENABLED, own("[Socket]\nListenStream=[::1]:1\nListenStream=@x\n")]), ["[::1]:1"]);
        assert_eq!(told(&[SHIPPED, ENABLED, own("")]), Vec::<String>::new());
    }
}
