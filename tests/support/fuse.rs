//! A filesystem that answers nothing until it is told to: FUSE, spoken by hand over `/dev/fuse`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Runs `work` on a thread that sees its own mounts, and lets nobody else see what it mounts; the agents that it
/// starts see them. All of it goes with the thread, however the test ends.
///
/// # Errors
/// Why this machine does not allow that.
pub(crate) fn with_own_mounts(work: impl FnOnce() + Send) -> Result<(), String> {
    let name = std::thread::current().name().map(str::to_owned);
    let outcome = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name(name.unwrap_or_default());
        let run = || -> Result<(), String> {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| format!("no mount namespace of our own: {errno}"))?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
                .map_err(|errno| format!("mounts cannot be made private: {errno}"))?;
            // Exporters read the mounts of init, which lives in the other namespace.
            mount(Some("/proc/thread-self/mountinfo"), "/proc/1/mountinfo", none, MsFlags::MS_BIND, none)
                .map_err(|errno| format!("init's mounts cannot be replaced: {errno}"))?;
            work();
            Ok(())
        };
        builder.spawn_scoped(scope, run).expect("a thread").join()
    });
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A mounted filesystem whose statfs hangs for as long as it is not told to answer.
pub(crate) struct Hanging {
    place: PathBuf,
    fuse: Arc<File>,
    answering: Arc<AtomicBool>,
    gone: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Hanging {
    /// Mounts it there. To be called within [`with_own_mounts`].
    pub(crate) fn mount(place: &Path) -> Result<Hanging, String> {
        let fuse = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .map_err(|error| format!("/dev/fuse cannot be opened: {error}"))?;
        std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", fuse.as_raw_fd());
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("hanging"), place, Some("fuse"), flags, Some(options.as_str()))
            .map_err(|errno| format!("no FUSE mount: {errno}"))?;
        let fuse = Arc::new(fuse);
        let (answering, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let server = {
            let (fuse, answering, gone) = (Arc::clone(&fuse), Arc::clone(&answering), Arc::clone(&gone));
            std::thread::spawn(move || serve(&fuse, &answering, &gone))
        };
        Ok(Hanging { place: place.to_owned(), fuse, answering, gone, server: Some(server) })
    }

    /// From now on it answers, also what was asked before.
    pub(crate) fn answer(&self) {
        self.answering.store(true, Ordering::SeqCst);
    }

    /// Bytes of the filesystem, once it answers.
    pub(crate) const SIZE: f64 = 1000.0 * 4096.0;
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        // Forced: every call that hangs comes back with an error.
        let _ = umount2(&self.place, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

const INIT: u32 = 26;
const STATFS: u32 = 17;
/// FORGET, INTERRUPT and BATCH_FORGET want no answer.
const SILENT: [u32; 3] = [2, 36, 42];
const ENOSYS: i32 = 38;

/// INIT is answered at once; what comes then stays unread (which leaves its caller killable) until it may be answered.
fn serve(fuse: &File, answering: &AtomicBool, gone: &AtomicBool) {
    let mut request = vec![0; 128 << 10];
    loop {
        let Ok(length) = (&*fuse).read(&mut request) else { return };
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        assert!(length >= 40, "a request has a header");
        let opcode = word(4);
        let (error, body): (i32, Vec<u8>) = match opcode {
            // struct fuse_init_out of 7.31, with as little as allowed: no flags, 4 KiB a write.
            INIT => (0, [7, 31, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat()),
            // struct fuse_kstatfs: blocks, free, available, files, free; then bsize, namelen, frsize.
            STATFS => {
                let mut body = [1000_u64, 600, 500, 300, 200].map(u64::to_ne_bytes).concat();
                body.extend([4096_u32, 255, 4096, 0, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat());
                (0, body)
            }
            _ => (-ENOSYS, Vec::new()),
        };
        if !SILENT.contains(&opcode) {
            let mut answer = (16 + body.len() as u32).to_ne_bytes().to_vec();
            answer.extend(error.to_ne_bytes());
            answer.extend(&request[8..16]);
            answer.extend(body);
            // Whoever asked may be gone.
            let _ = (&*fuse).write(&answer);
        }
        while !answering.load(Ordering::SeqCst) {
            if gone.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
