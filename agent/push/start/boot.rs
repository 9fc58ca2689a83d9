//! When the host was booted, as the first agent of this boot found it: the file `boot` of the state folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::nanoseconds;
use crate::samplers::root::{Buffer, Root};

/// The file. It holds the kernel's id of the boot, and when that was in nanoseconds since 1970.
const FILE: &str = "boot";

/// The most that is read of it, in bytes: several times what it holds.
const LIMIT: u64 = 256;

/// How far what was kept may be from what the clock says now. A clock that is set by less moves nothing; one that was
/// further off was wrong, such as that of a host whose own clock had stopped and which began in 1970. The wrong boot is
/// then given up, for once with a start that moves.
const TRUSTED: Duration = Duration::from_secs(86_400);

/// The boot in nanoseconds since 1970: as it was kept of this very boot, unless that is not before now or not to be
/// trusted; else `derived`, which is then kept. What cannot be kept is told, and does no harm until the agent restarts.
pub(super) fn kept(root: &Root, derived: u64, state: &Path) -> u64 {
    let mut buffer = Buffer::default();
    let Ok(id) = root.proc.read("sys/kernel/random/boot_id", &mut buffer) else { return derived };
    let (id, path) = (id.trim_ascii(), state.join(FILE));
    let now = nanoseconds(root.calls.now());
    let trusted = |boot: &u64| *boot <= now && u128::from(boot.abs_diff(derived)) <= TRUSTED.as_nanos();
    if let Some(boot) = read(&path, id).filter(trusted) {
        return boot;
    }
    if let Err(error) = write(&path, id, derived) {
        let path = path.display();
        tracing::warn!(%path, %error, "the time of boot cannot be kept: counters may look reset when the agent restarts");
    }
    derived
}

/// What the file says of the boot with this id.
fn read(path: &Path, id: &str) -> Option<u64> {
    let mut text = String::new();
    File::open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    let (kept, boot) = text.trim_ascii().split_once(' ')?;
    boot.parse().ok().filter(|_| kept == id)
}

/// Replaces the file as a whole. One that a crash has torn is of an earlier boot anyway.
fn write(path: &Path, id: &str, boot: u64) -> io::Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, format!("{id} {boot}\n"))?;
    fs::rename(next, path)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::samplers::host::Host;
    use crate::samplers::trial::CAPTURE;

    /// What the clock of [`CAPTURE`] says.
    const NOW: u64 = 1_750_000_000_500_000_000;
    const HOUR: u64 = 3_600_000_000_000;
    const ID: &str = "0b8c6f5e-4a2b-4a55-9d5e-0f6f4b7a3c11";

    fn host(id: &str) -> Host {
        Host::new(&[CAPTURE, ("proc/sys/kernel/random/boot_id", &format!("{id}\n"))])
    }

    #[test]
    fn a_boot_stays_what_it_was_when_the_clock_is_set() {
        let (state, host) = (tempfile::tempdir().unwrap(), host(ID));
        let boot = NOW - 50 * HOUR;
        assert_eq!(kept(&host.root, boot, state.path()), boot);
        for moved in [boot + 1, boot - 1, boot + 24 * HOUR, boot - 24 * HOUR] {
            assert_eq!(kept(&host.root, moved, state.path()), boot);
        }
    }

    #[test]
    fn another_boot_is_another() {
        let (state, boot) = (tempfile::tempdir().unwrap(), NOW - 50 * HOUR);
        kept(&host(ID).root, boot, state.path());
        let next = host("7d1c0f8e-0000-4a55-9d5e-0f6f4b7a3c11");
        assert_eq!(kept(&next.root, boot + 1, state.path()), boot + 1);
        assert_eq!(kept(&next.root, boot + 2, state.path()), boot + 1);
    }

    #[test]
    fn a_boot_by_a_wrong_clock_is_given_up() {
        let (state, host) = (tempfile::tempdir().unwrap(), host(ID));
        let (of_1970, right) = (5 * HOUR, NOW - HOUR);
        kept(&host.root, of_1970, state.path());
        assert_eq!(kept(&host.root, right, state.path()), right);
        assert_eq!(kept(&host.root, right + 1, state.path()), right);
    }

    #[test]
    fn a_boot_that_is_still_to_come_is_given_up() {
        let (state, host) = (tempfile::tempdir().unwrap(), host(ID));
        kept(&host.root, NOW + HOUR, state.path());
        assert_eq!(kept(&host.root, NOW - HOUR, state.path()), NOW - HOUR);
    }

    #[test]
    fn any_content_and_no_folder_at_all_do_no_harm() {
        let (state, host) = (tempfile::tempdir().unwrap(), host(ID));
        for content in ["", "x", ID, &format!("{ID} -1"), &format!("{ID} 99999999999999999999999"), "\u{0}\u{7f} 1"] {
            fs::write(state.path().join(FILE), content).unwrap();
            assert_eq!(kept(&host.root, NOW - HOUR, state.path()), NOW - HOUR, "{content:?}");
        }
        assert_eq!(kept(&host.root, NOW - 2 * HOUR, &state.path().join("none")), NOW - 2 * HOUR);
        assert_eq!(kept(&Host::new(&[CAPTURE]).root, 7, state.path()), 7);
    }

    #[test]
    fn this_host_keeps_its_boot() {
        let (state, paths) = (tempfile::tempdir().unwrap(), ["/proc", "/sys", "/"].map(Path::new));
        let root = Root::open(paths[0], paths[1], paths[2]).unwrap();
        let now = UNIX_EPOCH + Duration::from_nanos(NOW);
        let starts = [(); 2].map(|()| super::super::Starts::kept(&root, now, state.path()));
        assert_eq!(starts[0].boot, starts[1].boot);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
    }
}
