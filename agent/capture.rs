//! `vigie capture DIR`: saves what one pass read of this host, scrubbed, so that the folder can stand for the host.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::PoisonError;

use crate::samplers::root::calls::{Answer, Answers, CAPTURE};
use crate::samplers::root::{Passed, Record, Root};
use scrub::Scrubber;

mod scrub;

/// The file that tells a person what the folder is.
const README: &str = "README.txt";

/// What a capture wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// How many files of the host it holds.
    pub files: usize,
    /// What was read and is not in it, because we cannot tell what it holds.
    pub left_out: Vec<PathBuf>,
}

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The folder holds something already.
    #[error("{} is not empty: name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder, or a file in it, cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The answers of the system calls do not go into TOML.
    #[error("cannot write {}: {source}", path.display())]
    Answers {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: toml::ser::Error,
    },
}

/// Writes what passed through `root` since [`Root::recording`] into `dir`, which must be new or empty.
///
/// # Errors
/// [`CaptureError`], which names the path.
pub fn capture(record: &Record, root: &Root, dir: &Path) -> Result<Captured, CaptureError> {
    prepare(dir)?;
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    let mut answers = root.calls.answers();
    // A captured host was scrubbed when it was captured.
    let mut scrubber = (!root.calls.captured()).then(|| Scrubber::new(&answers.uname.nodename));
    let mut captured = Captured::default();
    for place in ["proc", "sys"] {
        create(&dir.join(place))?;
    }
    for (path, passed) in record.iter() {
        let path = below(path);
        let place = dir.join(scrubber.as_mut().map_or_else(|| path.clone(), |scrubber| scrubber.path(&path)));
        match passed {
            Passed::Directory => create(&place)?,
            Passed::File(content) => match scrubbed(scrubber.as_mut(), &path, content) {
                Some(content) => {
                    write(&place, &content)?;
                    captured.files += 1;
                }
                None => captured.left_out.push(path),
            },
        }
    }
    if let Some(scrubber) = &mut scrubber {
        scrub_answers(&mut answers, scrubber);
    }
    answers.modified.retain(|file, _| !captured.left_out.contains(&below(Path::new(file))));
    answers.statvfs.values_mut().for_each(bound);
    let path = dir.join(CAPTURE);
    let text = toml::to_string(&answers).map_err(|source| CaptureError::Answers { path: path.clone(), source })?;
    write(&path, text.as_bytes())?;
    write(&dir.join(README), readme(&captured).as_bytes())?;
    Ok(captured)
}

fn prepare(dir: &Path) -> Result<(), CaptureError> {
    create(dir)?;
    let mut entries = std::fs::read_dir(dir).map_err(|source| CaptureError::Write { path: dir.to_owned(), source })?;
    if entries.next().is_some() { Err(CaptureError::NotEmpty(dir.to_owned())) } else { Ok(()) }
}

/// The path without anything that could lead out of the folder.
fn below(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

fn create(dir: &Path) -> Result<(), CaptureError> {
    std::fs::create_dir_all(dir).map_err(|source| CaptureError::Write { path: dir.to_owned(), source })
}

fn write(path: &Path, content: &[u8]) -> Result<(), CaptureError> {
    if let Some(parent) = path.parent() {
        create(parent)?;
    }
    std::fs::write(path, content).map_err(|source| CaptureError::Write { path: path.to_owned(), source })
}

fn scrubbed<'c>(scrubber: Option<&mut Scrubber>, path: &Path, content: &'c [u8]) -> Option<Cow<'c, [u8]>> {
    match scrubber {
        Some(scrubber) => scrubber.file(path, content).map(Cow::Owned),
        None => Some(Cow::Borrowed(content)),
    }
}

fn scrub_answers(answers: &mut Answers, scrubber: &mut Scrubber) {
    answers.uname.nodename = scrub::HOSTNAME.to_owned();
    if answers.uname.domainname != "(none)" {
        answers.uname.domainname = scrub::DOMAIN.to_owned();
    }
    answers.statvfs = std::mem::take(&mut answers.statvfs)
        .into_iter()
        .map(|(mount_point, answer)| (scrubber.mount_point(&mount_point), answer))
        .collect();
}

/// TOML has no number above 2^63; filesystems without a bound say 2^64 − 1.
fn bound(answer: &mut Answer) {
    if let Answer::Space(space) = answer {
        let most = i64::MAX.unsigned_abs();
        space.size_bytes = space.size_bytes.min(most);
        space.free_bytes = space.free_bytes.min(most);
        space.available_bytes = space.available_bytes.min(most);
        space.files = space.files.min(most);
        space.files_free = space.files_free.min(most);
    }
}

fn readme(captured: &Captured) -> String {
    let mut text = String::from(
        "This folder stands for a host: `vigie sample --set paths.proc='\"DIR/proc\"' --set paths.sys='\"DIR/sys\"' \
         --set paths.root='\"DIR\"'` shows\n\
         the page of that host. It holds the files that vigie read in one pass, and in capture.toml what the system \
         calls said.\n\n\
         What was replaced, the same thing by the same pseudonym everywhere:\n\
         - hardware addresses (02:00:00:…), IP addresses (198.18.… and 2001:db8::…), interface aliases\n\
         - serial numbers, WWNs, UUIDs and labels of disks and filesystems\n\
         - the hostname and the NIS domain\n\
         - instances of systemd units (unit@…), names of virtual machines and of LXC containers\n\
         - sources of network mounts, and every mount option that has a value\n\n\
         What is still in it: names of interfaces, disks, mount points and local volumes, the numbers of ports in use, \
         the kernel and the distribution,\n\
         names of processes and of systemd units, ids of containers, numbers of users, and all counters. No command line and no \
         environment of any process is in it.\n\n",
    );
    if !captured.left_out.is_empty() {
        text.push_str("What was read and is left out, because it names the machine or can hold anything:\n");
        for path in &captured.left_out {
            text.push_str(&format!("- {}\n", path.display()));
        }
        text.push('\n');
    }
    text.push_str(
        "To send it: read it through, then `tar czf host.tar.gz DIR` and attach the archive to the report.\n\
         To keep it as a test: move it to tests/hosts/NAME and run `BLESS=1 cargo test --test hosts`.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::root::Buffer;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("vigie-capture-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn host(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = folder(name);
        for (path, content) in files {
            write(&dir.join(path), content.as_bytes()).unwrap();
        }
        dir
    }

    fn opened(dir: &Path) -> Root {
        Root::open(&dir.join("proc"), &dir.join("sys"), dir).unwrap()
    }

    const CALLS: &str = "now = 1.5\npage_size = 4096\nclock_ticks = 100\n[uname]\nsysname = 'Linux'\n\
        nodename = 'db-7'\nrelease = '6.8.0'\nversion = '#1'\nmachine = 'x86_64'\ndomainname = '(none)'\n\
        [statvfs.'/']\nsize_bytes = 10\nfree_bytes = 5\navailable_bytes = 4\nfiles = 3\nfiles_free = 2\n\
        [statvfs.'/mnt']\nerrno = 116\n";

    #[test]
    fn what_was_read_and_nothing_else_can_be_read_back() {
        let source = host(
            "source",
            &[
                ("capture.toml", CALLS),
                ("proc/loadavg", "1 2 3 1/2 3\n"),
                ("proc/stat", "x"),
                ("sys/class/net/lo/mtu", "65536\n"),
            ],
        );
        std::fs::create_dir_all(source.join("sys/block")).unwrap();
        std::fs::create_dir_all(source.join("proc/irq")).unwrap();
        let record = Record::default();
        let root = opened(&source).recording(&record);
        let mut buffer = Buffer::default();
        let mut names = Vec::new();
        root.proc.read("loadavg", &mut buffer).unwrap();
        root.sys.dir("class/net/lo").unwrap().attribute("mtu", &mut buffer).unwrap();
        root.sys.list("block", &mut names).unwrap();
        assert!(root.proc.has("irq") && root.proc.has("loadavg"));
        root.calls.statvfs(Path::new("/")).unwrap();
        root.calls.statvfs(Path::new("/mnt")).unwrap_err();

        let target = folder("target");
        assert_eq!(capture(&record, &root, &target).unwrap(), Captured { files: 2, left_out: vec![] });
        let again = opened(&target);
        assert_eq!(again.proc.read("loadavg", &mut buffer).unwrap(), "1 2 3 1/2 3\n");
        assert_eq!(again.sys.attribute("class/net/lo/mtu", &mut buffer), Some("65536"));
        assert!(again.sys.list("block", &mut names).is_ok() && names.is_empty());
        assert!(again.proc.read("stat", &mut buffer).is_err());
        assert!(again.proc.list("irq", &mut names).is_ok());
        assert_eq!(again.calls.statvfs(Path::new("/")).unwrap().size_bytes, 10);
        assert_eq!(again.calls.statvfs(Path::new("/mnt")).unwrap_err().raw_os_error(), Some(116));
    }

    #[test]
    fn the_names_of_this_host_stay_here() {
        let mut answers = Answers::default();
        answers.uname.nodename = "db-7".to_owned();
        answers.uname.domainname = "example".to_owned();
        answers.statvfs.insert("/mnt/db-7".to_owned(), Answer::Failed { errno: 5 });
        scrub_answers(&mut answers, &mut Scrubber::new("db-7"));
        assert_eq!((&*answers.uname.nodename, &*answers.uname.domainname), (scrub::HOSTNAME, scrub::DOMAIN));
        assert!(answers.statvfs.contains_key("/mnt/captured-host"));
    }

    #[test]
    fn a_folder_that_holds_something_is_refused_and_named() {
        let dir = host("full", &[("proc/stat", ""), ("sys/x", ""), ("capture.toml", CALLS)]);
        let error = capture(&Record::default(), &opened(&dir), &dir).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not empty: name a new folder", dir.display()));
        let file = dir.join("proc/stat");
        let error = capture(&Record::default(), &opened(&dir), &file).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot write {}", file.display())), "{error}");
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        assert_eq!(below(Path::new("/proc/../../etc/./x")), PathBuf::from("proc/etc/x"));
    }

    #[test]
    fn a_filesystem_without_bound_goes_into_toml() {
        let space = crate::samplers::root::calls::Space { files: u64::MAX, ..Default::default() };
        let mut answer = Answer::Space(space);
        bound(&mut answer);
        let Answer::Space(space) = answer else { panic!("the answer changed its kind") };
        assert_eq!(space.files, 9_223_372_036_854_775_807);
    }
}
