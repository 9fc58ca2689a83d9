//! What breaks on real hosts: mounts that hang, and kernel files that hold anything at all.

// Tests fail by panicking, and run other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::{Agent, Hanging, PATIENCE, Page, Run, parse, skipped, until, with_own_mounts};

/// A pass for every page.
const FRESH: [&str; 2] = ["--set", "http.max_age=\"0s\""];

mod a_mount_that_hangs {
    use super::*;

    /// What the page must be served within: the deadline and what a busy machine adds.
    const WITHIN: Duration = Duration::from_millis(250 + 1000);

    /// Runs the test with a mount point `0`, `1`, … for each of `count` mounts that hang.
    fn with_mounts(count: usize, test: impl FnOnce(Vec<Hanging>, Vec<String>) + Send) {
        let directory = tempfile::tempdir().unwrap();
        let mut reason = None;
        let outcome = with_own_mounts(|| {
            let places: Vec<PathBuf> = (0..count).map(|number| directory.path().join(number.to_string())).collect();
            match places.iter().map(|place| Hanging::mount(place)).collect() {
                Ok(mounts) => test(mounts, places.iter().map(|place| place.display().to_string()).collect()),
                Err(why) => reason = Some(why),
            }
        });
        if let Some(why) = outcome.err().or(reason) {
            skipped(&why);
        }
    }

    fn of_mount(page: &Page, name: &str, mount_point: &str) -> Option<f64> {
        page.of(name).find(|(series, _)| series.label("mountpoint") == mount_point).map(|(_, value)| value)
    }

    fn device_error(page: &Page, mount_point: &str) -> Option<f64> {
        of_mount(page, "node_filesystem_device_error", mount_point)
    }

    #[test]
    fn truly_hangs() {
        with_mounts(1, |mounts, places| {
            let place = places[0].clone();
            let (done, ended) = std::sync::mpsc::channel();
            #[allow(clippy::disallowed_methods)]
            let asking = std::thread::spawn(move || done.send(nix::sys::statvfs::statvfs(place.as_str())));
            ended.recv_timeout(Duration::from_millis(300)).expect_err("statvfs of a hanging mount does not end");
            mounts[0].answer();
            let space = ended.recv_timeout(PATIENCE).expect("statvfs ends").expect("statvfs answers");
            assert_eq!(space.blocks() as f64 * space.fragment_size() as f64, Hanging::SIZE);
            asking.join().unwrap().unwrap();
        });
    }

    #[test]
    fn costs_nothing_but_its_own_numbers() {
        with_mounts(1, |mounts, places| {
            let agent = Agent::start(&FRESH);
            until("the mount is marked", PATIENCE, || {
                (device_error(&agent.page(), &places[0]) == Some(1.0)).then_some(())
            });
            let first = agent.page();
            let mut last = first.clone();
            for number in 0..100 {
                let begun = Instant::now();
                last = agent.page();
                assert!(begun.elapsed() < WITHIN, "page {number} took {:?}", begun.elapsed());
                assert_eq!(device_error(&last, &places[0]), Some(1.0), "page {number}");
                assert_eq!(of_mount(&last, "node_filesystem_size_bytes", &places[0]), None, "page {number}");
                assert_eq!(device_error(&last, "/"), Some(0.0), "page {number}");
                assert!(of_mount(&last, "node_filesystem_size_bytes", "/") > Some(0.0), "page {number}");
            }
            let time = |page: &Page| page.value("node_time_seconds", &[]);
            assert!(time(&last) > time(&first));
            drop((mounts, agent));
        });
    }

    #[test]
    fn is_taken_back_when_it_answers() {
        with_mounts(1, |mounts, places| {
            let agent = Agent::start(&FRESH);
            until("the mount is marked", PATIENCE, || {
                (device_error(&agent.page(), &places[0]) == Some(1.0)).then_some(())
            });
            mounts[0].answer();
            until("the mount is well", PATIENCE, || {
                (device_error(&agent.page(), &places[0]) == Some(0.0)).then_some(())
            });
            assert_eq!(of_mount(&agent.page(), "node_filesystem_size_bytes", &places[0]), Some(Hanging::SIZE));
            drop((mounts, agent));
        });
    }

    #[test]
    fn leaves_nothing_when_it_goes() {
        with_mounts(1, |mounts, places| {
            let agent = Agent::start(&FRESH);
            until("the mount is marked", PATIENCE, || {
                (device_error(&agent.page(), &places[0]) == Some(1.0)).then_some(())
            });
            drop(mounts);
            until("the mount is forgotten", PATIENCE, || {
                device_error(&agent.page(), &places[0]).is_none().then_some(())
            });
        });
    }

    #[test]
    fn takes_no_thread_each() {
        const MOUNTS: usize = 20;
        let usual = Agent::start(&FRESH).status("Threads");
        with_mounts(MOUNTS, |mounts, places| {
            let agent = Agent::start(&FRESH);
            until("every mount is marked", PATIENCE, || {
                let page = agent.page();
                places.iter().all(|place| device_error(&page, place) == Some(1.0)).then_some(())
            });
            for _ in 0..10 {
                let page = agent.page();
                assert!(of_mount(&page, "node_filesystem_size_bytes", "/") > Some(0.0));
                let threads = agent.status("Threads");
                assert!(threads < usual + MOUNTS as u64 / 2, "{threads} threads with {MOUNTS} mounts, {usual} without");
            }
            drop((mounts, agent));
        });
    }

    #[test]
    fn does_not_hold_up_the_end() {
        with_mounts(1, |mounts, places| {
            let mut agent = Agent::start(&FRESH);
            until("the mount is marked", PATIENCE, || {
                (device_error(&agent.page(), &places[0]) == Some(1.0)).then_some(())
            });
            agent.signal(nix::sys::signal::Signal::SIGTERM);
            let (status, took) = agent.wait_end();
            assert_eq!(status.code(), Some(0));
            assert!(took < Duration::from_secs(1), "{took:?}");
            drop(mounts);
        });
    }
}

mod a_kernel_file {
    use super::*;

    /// Sources and the file that each cannot do without.
    const FILES: &[(&str, &str)] = &[
        ("cpu", "proc/stat"),
        ("diskstats", "proc/diskstats"),
        ("filefd", "proc/sys/fs/file-nr"),
        ("loadavg", "proc/loadavg"),
        ("meminfo", "proc/meminfo"),
        ("netdev", "proc/net/dev"),
        ("netstat", "proc/net/netstat"),
        ("sockstat", "proc/net/sockstat"),
        ("softnet", "proc/net/softnet_stat"),
        ("vmstat", "proc/vmstat"),
    ];

    /// This host, as it was captured, and the agent that takes it for the host.
    struct Stage {
        agent: Agent,
        tree: tempfile::TempDir,
    }

    impl Stage {
        fn new() -> Stage {
            let tree = tempfile::tempdir().unwrap();
            let root = tree.path().to_str().unwrap();
            let run = Run::of(&["capture", root]);
            assert_eq!(run.code, Some(0), "{run:?}");
            let paths = [
                format!("paths.proc=\"{root}/proc\""),
                format!("paths.sys=\"{root}/sys\""),
                format!("paths.root=\"{root}\""),
            ];
            let args = ["--set", &paths[0], "--set", &paths[1], "--set", &paths[2], FRESH[0], FRESH[1]];
            Stage { agent: Agent::start(&args), tree }
        }

        fn path(&self, file: &str) -> PathBuf {
            self.tree.path().join(file)
        }

        fn success(&self, source: &str) -> Option<f64> {
            self.agent.page().find("node_scrape_collector_success", &[("collector", source)])
        }

        /// What `/health` says was wrong with the source.
        fn message(&self, source: &str) -> String {
            let health = self.agent.health();
            let sources = health["sources"].as_array().expect("/health lists the sources");
            let entry = sources.iter().find(|entry| entry["name"] == source).expect("/health lists this source");
            entry["message"].as_str().unwrap_or_default().to_owned()
        }
    }

    /// Puts the file back when it goes out of scope.
    struct Broken<'a> {
        path: &'a Path,
        content: Vec<u8>,
    }

    impl<'a> Broken<'a> {
        fn with(path: &'a Path, content: Option<&[u8]>) -> Broken<'a> {
            let broken = Broken { path, content: std::fs::read(path).unwrap() };
            std::fs::remove_file(path).unwrap();
            match content {
                Some(content) => replace(path, content),
                None => std::fs::create_dir(path).unwrap(),
            }
            broken
        }
    }

    impl Drop for Broken<'_> {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir(self.path);
            replace(self.path, &self.content);
        }
    }

    /// A kernel file is never half there: it is swapped in whole.
    fn replace(path: &Path, content: &[u8]) {
        let aside = path.with_extension("aside");
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(&aside, path).unwrap();
    }

    #[test]
    fn of_rubbish_fails_its_source_alone_and_is_named() {
        let stage = Stage::new();
        for (source, file) in FILES {
            let path = stage.path(file);
            assert_eq!(stage.success(source), Some(1.0), "{source} is well at first");
            let broken =
                Broken::with(&path, Some(b"\x00\xffrubbish 1 two : 3 four\n\xf0\x9f\nmore of it -1 1e400 x\n"));
            until(&format!("{source} notices that {file} is rubbish"), PATIENCE, || {
                (stage.success(source) == Some(0.0)).then_some(())
            });
            let message = stage.message(source);
            assert!(message.contains(path.to_str().unwrap()), "{source} does not name {file}: {message}");
            assert!(message.contains("expected"), "{source} names no expectation: {message}");
            for (other, _) in FILES.iter().filter(|(other, other_file)| other != source && other_file != file) {
                assert_eq!(stage.success(other), Some(1.0), "{other}, while {file} is rubbish");
            }
            drop(broken);
            until(&format!("{source} comes back"), PATIENCE, || (stage.success(source) == Some(1.0)).then_some(()));
        }
        assert!(!stage.agent.log().contains("panicked"));
    }

    #[test]
    fn that_is_missing_leaves_no_old_numbers() {
        let stage = Stage::new();
        for (source, file) in FILES {
            let path = stage.path(file);
            let series = || stage.agent.page().value("vigie_source_series", &[("source", source)]);
            let before = series();
            let content = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            // Another file of the source may still be there, and its numbers with it.
            until(&format!("the numbers of {file} go with it"), PATIENCE, || (series() < before).then_some(()));
            replace(&path, &content);
            until(&format!("{source} comes back"), PATIENCE, || (series() >= before).then_some(()));
        }
    }

    #[test]
    fn of_anything_at_all_never_ends_the_agent() {
        let mut stage = Stage::new();
        let long_line = vec![b'7'; 1 << 20];
        let long_words = b"cpu0 1: ".repeat(1 << 17);
        for (source, file) in FILES {
            let path = stage.path(file);
            let content = std::fs::read(&path).unwrap();
            let cut = &content[..content.len() / 2];
            let huge: Vec<u8> =
                content.iter().flat_map(|byte| [*byte].repeat(1 + usize::from(byte.is_ascii_digit()) * 30)).collect();
            let contents: [(&str, Option<&[u8]>); 6] = [
                ("empty", Some(b"")),
                ("truncated", Some(cut)),
                ("one line of 1 MB", Some(&long_line)),
                ("words of 1 MB", Some(&long_words)),
                ("numbers too large", Some(&huge)),
                ("a directory", None),
            ];
            for (what, content) in contents {
                let broken = Broken::with(&path, content);
                let page = stage.agent.get("/metrics", &[]);
                assert_eq!(page.status, 200, "{file} is {what}");
                parse(&page.text());
                drop(broken);
                assert!(stage.agent.running(), "{file} is {what}: {}", stage.agent.log());
            }
            until(&format!("{source} comes back"), PATIENCE, || (stage.success(source) == Some(1.0)).then_some(()));
        }
        assert!(!stage.agent.log().contains("panicked"), "{}", stage.agent.log());
    }
}
