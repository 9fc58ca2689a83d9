//! The daemon as its admin meets it: starting, stopping, reloading, and everything that HTTP clients may ask.

// Tests fail by panicking, and run other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

#[path = "support/papers.rs"]
mod papers;
mod support;

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use papers::Papers;
use support::{
    Agent, Connection, Launch, Method, PATIENCE, Page, Run, WallClock, now_seconds, parse, parse_open_metrics, skipped,
    spare_port, until, vigie,
};

const OPEN_METRICS: (&str, &str) =
    ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");

mod starting {
    use super::*;

    #[test]
    fn no_config_is_needed() {
        let agent = Agent::start(&[]);
        let page = agent.page();
        assert!(page.find("node_load1", &[]).is_some());
        assert!(page.of("vigie_build_info").next().is_some());
    }

    #[test]
    fn a_port_in_use_ends_with_1_and_is_named() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let state = tempfile::tempdir().unwrap();
        let run = Run::of(&[
            "run",
            "--set",
            &format!("http.listen=\"{address}\""),
            "--set",
            &format!("paths.state=\"{}\"", state.path().display()),
        ]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.err.contains(&address), "{run:?}");
    }

    #[test]
    fn why_it_does_not_start_is_said_once() {
        let users = r#"http.users={prometheus={credential="hash"}}"#;
        let run = Run::of(&["run", "--set", users, "--set", "http.listen=\"127.0.0.1:0\""]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(run.err.matches("$CREDENTIALS_DIRECTORY is not set").count(), 1, "{run:?}");
    }

    #[test]
    fn a_check_tells_the_agent_that_runs_from_another_program() {
        let agent = Agent::start(&[]);
        let listen = |port| format!("http.listen=\"127.0.0.1:{port}\"");
        let run = Run::of(&["check", "--connect", "--set", &listen(agent.port)]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.out.contains(&format!("address: 127.0.0.1:{} is served by the vigie that runs", agent.port)));
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std::thread::spawn({
            let other = other.try_clone().unwrap();
            move || other.incoming().for_each(drop)
        });
        let run = Run::of(&["check", "--connect", "--set", &listen(other.local_addr().unwrap().port())]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.out.contains("another process does"), "{run:?}");
    }

    #[test]
    fn a_check_and_a_wait_know_the_socket_unit() {
        let agent = Agent::start(&[]);
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("etc/systemd/system");
        std::fs::create_dir_all(units.join("sockets.target.wants")).unwrap();
        std::fs::write(units.join("vigie.socket"), format!("[Socket]\nListenStream=127.0.0.1:{}\n", agent.port))
            .unwrap();
        std::fs::write(units.join("sockets.target.wants/vigie.socket"), "").unwrap();
        let path = |name: &str, path: &str| format!("paths.{name}=\"{path}\"");
        let system = [path("root", root.path().to_str().unwrap()), path("proc", "/proc"), path("sys", "/sys")];
        let nobody = format!("http.listen=\"127.0.0.1:{}\"", spare_port());
        let sets = [&system[0], &system[1], &system[2], &nobody].map(|set| ["--set", set]);
        let sets = sets.as_flattened();
        let run = Run::of(&[&["wait", "--ready", "--timeout", "10s"], sets].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        let run = Run::of(&[&["check", "--connect"], sets].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        let told = format!("address: 127.0.0.1:{}, of vigie.socket; http.listen is not used", agent.port);
        assert!(run.out.contains(&told), "{run:?}");
    }

    #[test]
    fn bad_arguments_end_with_2() {
        assert_eq!(Run::of(&["run", "--nonsense"]).code, Some(2));
        assert_eq!(Run::of(&["nonsense"]).code, Some(2));
        assert_eq!(Run::of(&[]).code, Some(2));
    }

    #[test]
    fn a_missing_config_file_is_named() {
        let run = Run::of(&["run", "--config", "/nonexistent/vigie.toml"]);
        assert!(matches!(run.code, Some(1 | 78)), "{run:?}");
        assert!(run.err.contains("/nonexistent/vigie.toml"), "{run:?}");
    }

    #[test]
    fn a_bad_config_starts_nothing_and_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vigie.toml");
        let port = spare_port();
        let listen = format!("http.listen=\"127.0.0.1:{port}\"");
        // What stands in the file, where the fault is, and the words that help.
        let cases: &[(&str, &str, &[&str])] = &[
            ("[http]\nlisten_adress = \"127.0.0.1:1\"\n", "2:1", &["listen_adress", "listen"]),
            ("[htp]\nlisten = \"127.0.0.1:1\"\n", "1:2", &["htp", "http"]),
            ("[http]\nmax_age = \"1 parsec\"\n", "2:11", &["max_age"]),
            ("[http]\nmax_age = 1.5\n", "2:11", &["max_age"]),
            ("[sampling]\n\ninterval = [\n", "3:", &[]),
            ("[http]\nmax_age = \"1s\"\nmax_age = \"2s\"\n", "3:1", &["max_age"]),
        ];
        for (text, place, words) in cases {
            std::fs::write(&file, text).unwrap();
            for command in ["run", "check"] {
                let run = Run::of(&[command, "--config", file.to_str().unwrap(), "--set", &listen]);
                assert_eq!(run.code, Some(78), "{command} of {text:?}: {run:?}");
                let where_it_is = format!("{}:{place}", file.display());
                assert!(
                    run.err.contains(&where_it_is),
                    "{command} of {text:?} does not say {where_it_is}: {}",
                    run.err
                );
                for word in *words {
                    assert!(run.err.contains(word), "{command} of {text:?} does not say {word}: {}", run.err);
                }
            }
        }
    }

    #[test]
    fn a_bad_set_ends_with_78_and_names_the_key() {
        for setting in ["http.listen_adress=\"x\"", "http.max_age=\"1 parsec\"", "http.max_connections=\"many\""] {
            let run = Run::of(&["check", "--set", setting]);
            assert_eq!(run.code, Some(78), "{setting}: {run:?}");
            let key = setting.split_once('=').unwrap().0.rsplit_once('.').unwrap().1;
            assert!(run.err.contains(key), "{setting}: {run:?}");
        }
    }

    #[test]
    fn a_check_names_the_variables_that_it_took() {
        let told = |args: &[&str]| {
            let mut check = vigie(&[&["check", "--config", "/dev/null"], args].concat());
            check.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318").env("OTEL_SERVICE_NAME", "lookout");
            String::from_utf8(check.output().unwrap().stdout).unwrap()
        };
        let all = told(&[]);
        assert!(all.contains("\nenvironment: OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT\n"), "{all}");
        let one = told(&["--set", "otlp.endpoint=http://127.0.0.1:4317"]);
        assert!(one.contains("\nenvironment: OTEL_SERVICE_NAME\n"), "{one}");
    }

    #[test]
    fn the_set_wins_over_the_file() {
        let agent = Agent::launch(&Launch {
            config: Some("[host]\nname = \"from-the-file\"\nattributes = { team = \"shop\" }\n"),
            args: &["--set", "host.name=\"from-the-set\""],
            ..Launch::new()
        });
        let text = agent.get("/metrics", &[]).text();
        let info = text.lines().find(|line| line.starts_with("vigie_host_info")).expect("vigie_host_info is there");
        assert!(info.contains("from-the-set") && info.contains("shop"), "{info}");
    }

    #[test]
    fn waiting_ends_when_it_is_ready() {
        let mut agent = Agent::spawn(&Launch::new());
        let listen = format!("http.listen=\"127.0.0.1:{}\"", agent.port);
        let run = Run::of(&["wait", "--ready", "--timeout", "20s", "--set", &listen]);
        assert_eq!(run.code, Some(0), "{run:?}\n{}", agent.log());
        assert_eq!(agent.get("/health/ready", &[]).status, 200);
        assert!(agent.running());
    }

    #[test]
    fn a_page_over_tls_is_waited_for_and_recognized() {
        let papers = Papers::new();
        let tls = |server: &str, more: &str| {
            let path = |name: &str| papers.path(name).display().to_string();
            let (cert, key) = (path(&format!("{server}.pem")), path(&format!("{server}.key")));
            format!("http.tls={{cert=\"{cert}\",key=\"{key}\"{more}}}")
        };
        let with_client_ca = format!(",client_ca=\"{}\"", papers.path("ca.pem").display());
        for more in ["", &with_client_ca] {
            let own = tls("server", more);
            let agent = Agent::spawn(&Launch { args: &["--set", &own], ..Launch::new() });
            agent.wait_log("serving /metrics");
            let listen = format!("http.listen=\"127.0.0.1:{}\"", agent.port);
            let asked = |command: &[&str], tls: &str| Run::of(&[command, &["--set", &listen, "--set", tls]].concat());
            let wait = ["wait", "--ready", "--timeout", "10s"];
            let (waited, checked) = (asked(&wait, &own), asked(&["check", "--connect"], &own));
            assert!(checked.out.contains("is served by the vigie that runs"), "{checked:?}");
            if more.is_empty() {
                assert_eq!(waited.code, Some(0), "{waited:?}");
            } else {
                assert!(waited.err.contains("add \"unix:/run/vigie/page\" to http.listen"), "{waited:?}");
            }
            // Who has another certificate is somebody else.
            let checked = asked(&["check", "--connect"], &tls("client", more));
            assert!(checked.code == Some(1) && checked.out.contains("another process does"), "{checked:?}");
        }
    }

    #[test]
    fn waiting_for_nobody_fails_in_time() {
        let listen = format!("http.listen=\"127.0.0.1:{}\"", spare_port());
        let begun = Instant::now();
        let run = Run::of(&["wait", "--ready", "--timeout", "500ms", "--set", &listen]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

mod stopping {
    use super::*;

    #[test]
    fn sigterm_ends_it_within_a_second() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut agent = Agent::start(&[]);
            // An idle connection must not hold it up.
            let mut idle = agent.connect().unwrap();
            assert_eq!(idle.get("/metrics", &[]).unwrap().status, 200);
            agent.signal(signal);
            let (status, took) = agent.wait_end();
            assert_eq!(status.code(), Some(0), "{signal}: {}", agent.log());
            assert!(took < Duration::from_secs(1), "{signal}: {took:?}");
        }
    }

    #[test]
    fn a_scrape_under_way_is_answered() {
        let agent = Agent::start(&["--set", "http.max_age=\"0s\""]);
        let port = agent.port;
        let scraping = std::thread::spawn(move || {
            let (mut whole, mut torn) = (0, 0);
            while let Ok(mut connection) = Connection::tcp(port) {
                match connection.get("/metrics", &[("Connection", "close")]) {
                    Ok(answer) => {
                        assert_eq!(answer.status, 200);
                        parse(&answer.text());
                        whole += 1;
                    }
                    // A connection that nobody had accepted yet.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => torn += 1,
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => torn += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (whole, torn)
        });
        std::thread::sleep(Duration::from_millis(300));
        agent.signal(Signal::SIGTERM);
        let (whole, torn) = scraping.join().unwrap();
        assert!(whole > 0 && torn <= 1, "{whole} whole, {torn} torn");
    }

    #[test]
    fn a_password_that_is_being_verified_does_not_hold_up_the_end() {
        let hash = OsStr::new("$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let users = ["--set", "http.users={ prometheus = { env = \"VIGIE_TEST_HASH\" } }"];
        let mut agent = Agent::launch(&Launch {
            args: &users,
            env: &[("VIGIE_TEST_HASH", hash)],
            config: Some(""),
            ..Launch::new()
        });
        let port = agent.port;
        for _ in 0..20 {
            let asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n";
            std::io::Write::write_all(&mut std::net::TcpStream::connect(("127.0.0.1", port)).unwrap(), asked).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        agent.signal(Signal::SIGTERM);
        let (status, took) = agent.wait_end();
        assert_eq!(status.code(), Some(0), "{}", agent.log());
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

mod reloading {
    use super::*;

    fn config(name: &str) -> String {
        format!("[host]\nname = \"{name}\"\n")
    }

    fn host_name(agent: &Agent) -> String {
        let page = agent.page();
        let (info, _) = page.of("vigie_host_info").next().expect("vigie_host_info is there");
        info.label("host").to_owned()
    }

    #[test]
    fn a_good_config_is_taken_whole_and_a_bad_one_not_at_all() {
        let agent = Agent::launch(&Launch { config: Some(&config("first")), ..Launch::new() });
        let file = agent.directory().join("config.toml");
        assert_eq!(host_name(&agent), "first");
        let succeeded = |agent: &Agent| agent.page().find("vigie_config_last_reload_successful", &[]);
        assert_eq!(succeeded(&agent), Some(1.0));
        let started = agent.page().value("process_start_time_seconds", &[]);

        std::fs::write(&file, config("second")).unwrap();
        agent.signal(Signal::SIGHUP);
        until("the second config is in use", PATIENCE, || (host_name(&agent) == "second").then_some(()));
        assert_eq!(succeeded(&agent), Some(1.0));

        std::fs::write(&file, "[host]\nname = \"third\"\nnmae = 1\n").unwrap();
        agent.signal(Signal::SIGHUP);
        until("the metric says that it was refused", PATIENCE, || (succeeded(&agent) == Some(0.0)).then_some(()));
        assert_eq!(host_name(&agent), "second");
        agent.wait_log("nmae");

        std::fs::write(&file, config("fourth")).unwrap();
        agent.signal(Signal::SIGHUP);
        until("the fourth config is in use", PATIENCE, || (host_name(&agent) == "fourth").then_some(()));
        assert_eq!(succeeded(&agent), Some(1.0));
        assert_eq!(agent.page().value("process_start_time_seconds", &[]), started);
    }

    #[test]
    fn a_sampler_can_be_switched_off_and_on() {
        let agent = Agent::launch(&Launch { config: Some(""), ..Launch::new() });
        let file = agent.directory().join("config.toml");
        let has_load = || agent.page().find("node_load1", &[]).is_some();
        assert!(has_load());
        std::fs::write(&file, "[samplers]\ndisabled = [\"loadavg\"]\n").unwrap();
        agent.signal(Signal::SIGHUP);
        until("the sampler is off", PATIENCE, || (!has_load()).then_some(()));
        std::fs::write(&file, "").unwrap();
        agent.signal(Signal::SIGHUP);
        until("the sampler is on again", PATIENCE, || has_load().then_some(()));
    }

    #[test]
    fn a_file_that_the_config_names_is_read_again() {
        const OF_U_STAR_U: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        const OF_U_STAR_U_STAR: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hash");
        std::fs::write(&file, OF_U_STAR_U).unwrap();
        let users = format!("http.users={{ prometheus = {{ file = \"{}\" }} }}", file.display());
        let agent = Agent::launch(&Launch { args: &["--set", &users], config: Some(""), ..Launch::new() });
        let status = |credentials| agent.get("/metrics", &[("Authorization", credentials)]).status;
        assert_eq!(status("Basic cHJvbWV0aGV1czpVKlU="), 200);
        std::fs::write(&file, OF_U_STAR_U_STAR).unwrap();
        agent.signal(Signal::SIGHUP);
        until("the new password opens the page", PATIENCE, || {
            (status("Basic cHJvbWV0aGV1czpVKlUq") == 200).then_some(())
        });
        assert_eq!(status("Basic cHJvbWV0aGV1czpVKlU="), 401);
    }

    #[test]
    fn counters_survive() {
        let agent = Agent::launch(&Launch { config: Some(&config("a")), ..Launch::new() });
        let before = agent.page();
        std::fs::write(agent.directory().join("config.toml"), config("b")).unwrap();
        agent.signal(Signal::SIGHUP);
        until("the new config is in use", PATIENCE, || (host_name(&agent) == "b").then_some(()));
        no_counter_fell(&before, &agent.page());
    }
}

fn no_counter_fell(before: &support::Page, after: &support::Page) {
    for (series, value) in before.counters() {
        if let Some(later) = after.series.get(series) {
            assert!(*later >= value, "{series} fell from {value} to {later}");
        }
    }
}

mod systemd {
    use super::*;

    /// A socket that stands for systemd, and the agent that tells it how it is.
    fn notified(watchdog: Option<&str>, args: &[&str]) -> (Agent, UnixDatagram, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut env = vec![("NOTIFY_SOCKET", path.as_os_str())];
        if let Some(microseconds) = watchdog {
            env.push(("WATCHDOG_USEC", OsStr::new(microseconds)));
        }
        let agent = Agent::launch(&Launch { env: &env, config: Some(""), args, ..Launch::new() });
        (agent, socket, directory)
    }

    fn wait_for(socket: &UnixDatagram, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        let mut heard = String::new();
        while begun.elapsed() < PATIENCE {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted} but {heard}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|line| line.starts_with(wanted)) {
                return message;
            }
            heard.push_str(&message);
        }
        panic!("no {wanted} but {heard}");
    }

    #[test]
    fn is_told_ready_reloading_and_stopping() {
        let (mut agent, socket, _directory) = notified(None, &[]);
        wait_for(&socket, "READY=1");
        agent.signal(Signal::SIGHUP);
        let reloading = wait_for(&socket, "RELOADING=1");
        // Type=notify-reload takes no RELOADING without the moment.
        assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
        wait_for(&socket, "READY=1");
        agent.signal(Signal::SIGTERM);
        wait_for(&socket, "STOPPING=1");
        assert_eq!(agent.wait_end().0.code(), Some(0));
    }

    #[test]
    fn is_told_that_the_loop_lives_for_as_long_as_it_does() {
        // A fast tier of a second: the watchdog must be fed well within two.
        let (agent, socket, _directory) = notified(Some("2000000"), &[]);
        wait_for(&socket, "READY=1");
        for _ in 0..3 {
            let begun = Instant::now();
            wait_for(&socket, "WATCHDOG=1");
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
        drop(agent);
    }

    #[test]
    fn no_watchdog_is_fed_that_nobody_asked_for() {
        let (agent, socket, _directory) = notified(None, &[]);
        wait_for(&socket, "READY=1");
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]);
            assert!(!message.contains("WATCHDOG=1"), "{message}");
        }
        drop(agent);
    }
}

mod time {
    use super::*;

    #[test]
    fn a_frozen_agent_comes_back_without_a_step_backwards() {
        let pause = Duration::from_secs(if std::env::var_os("VIGIE_LONG").is_some() { 30 } else { 3 });
        let agent = Agent::start(&[]);
        let before = agent.page();
        agent.signal(Signal::SIGSTOP);
        std::thread::sleep(pause);
        agent.signal(Signal::SIGCONT);
        // The first page after the pause may be the one of before, later ones may not.
        let mut last = agent.page();
        no_counter_fell(&before, &last);
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(300));
            let page = agent.page();
            no_counter_fell(&last, &page);
            last = page;
        }
        let moved = last.value("node_time_seconds", &[]) - before.value("node_time_seconds", &[]);
        assert!(moved >= pause.as_secs_f64(), "{moved}");
        assert!(!agent.log().contains("panicked"));
    }

    const HOUR: i64 = 3600;

    #[test]
    fn a_clock_that_is_set_changes_the_time_and_nothing_else() {
        let clock = match WallClock::new() {
            Ok(clock) => clock,
            Err(why) => return skipped(&why),
        };
        let agent = Agent::launch(&Launch { env: &clock.env(), config: Some(""), ..Launch::new() });
        let first = agent.page();
        let mut last = first.clone();
        let before_1970 = -2 * now_seconds() as i64;
        // An hour back, and then two forward.
        for offset in [0, -HOUR, HOUR, before_1970] {
            clock.set(offset);
            let shown = |page: &Page| page.value("node_time_seconds", &[]);
            let passes = |page: &Page| page.value("vigie_passes_total", &[]);
            let expected = || (now_seconds() + offset as f64).max(0.0);
            until("the page shows the new time", PATIENCE, || {
                ((shown(&agent.page()) - expected()).abs() < 2.0).then_some(())
            });
            for _ in 0..2 {
                let page = until("the next pass is on the page", PATIENCE, || {
                    let page = agent.page();
                    (passes(&page) > passes(&last)).then_some(page)
                });
                no_counter_fell(&last, &page);
                ages_are_true(&agent, &page);
                assert!((shown(&page) - expected()).abs() < 5.0, "{} and not {}", shown(&page), expected());
                last = page;
            }
            assert_eq!(agent.get("/health/ready", &[]).status, 200);
            // The tiers' phases follow from the wall clock: they are laid out anew, on the clock as it is now.
            agent.signal(Signal::SIGHUP);
            let loaded = |page: &Page| page.value("vigie_config_last_reload_success_timestamp_seconds", &[]);
            until("the config is loaded at the new time", PATIENCE, || {
                ((loaded(&agent.page()) - expected()).abs() < 10.0).then_some(())
            });
        }
        let started = |page: &Page| page.value("process_start_time_seconds", &[]);
        assert_eq!(started(&last), started(&first));
        assert!(!agent.log().contains("panicked"), "{}", agent.log());
    }

    /// No number is from the future, and none older than its tier allows.
    fn ages_are_true(agent: &Agent, page: &Page) {
        for (series, age) in page.of("vigie_source_age_seconds") {
            assert!((0.0..70.0).contains(&age), "{series} is {age}");
        }
        for (series, duration) in page.of("node_scrape_collector_duration_seconds") {
            assert!((0.0..60.0).contains(&duration), "{series} is {duration}");
        }
        let health = agent.health();
        let uptime_seconds = health["uptime_seconds"].as_f64().expect("uptime_seconds is a number");
        assert!((0.0..600.0).contains(&uptime_seconds), "{uptime_seconds}");
        for source in health["sources"].as_array().expect("a list of sources") {
            assert!(source["age_seconds"].as_f64().is_some_and(|age| (0.0..70.0).contains(&age)), "{source}");
        }
    }
}

mod page {
    use super::*;

    #[test]
    fn both_formats_are_what_they_say() {
        let agent = Agent::start(&[]);
        let plain = agent.get("/metrics", &[]);
        assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let plain = parse(&plain.text());

        let open = agent.get("/metrics", &[OPEN_METRICS]);
        let kind = open.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/openmetrics-text") && kind.contains("version=1.0.0"), "{kind}");
        assert!(open.text().ends_with("\n# EOF\n"));
        let open = parse_open_metrics(&open.text());

        // In OpenMetrics a counter's sample must end in _total; for the rest the two say the same.
        let missing: Vec<String> = plain
            .series
            .keys()
            .filter(|series| !open.series.contains_key(series))
            .filter(|series| plain.type_of(&series.name) != Some("counter") || series.name.ends_with("_total"))
            .map(ToString::to_string)
            .collect();
        assert!(missing.is_empty(), "only the text format has {missing:?}");
    }

    #[test]
    fn the_text_format_is_what_a_client_without_wishes_gets() {
        let agent = Agent::start(&[]);
        for accept in ["*/*", "text/html,*/*;q=0.1", "text/plain", "application/json, */*", "", "x", ";;q=,"] {
            let answer = agent.get("/metrics", &[("Accept", accept)]);
            assert_eq!(answer.status, 200, "{accept}");
            assert!(answer.header("content-type").unwrap_or_default().starts_with("text/plain"), "{accept}");
        }
        let refused = [("Accept", "application/openmetrics-text;q=0,text/plain")];
        assert!(agent.get("/metrics", &refused).header("content-type").unwrap_or_default().starts_with("text/plain"));
    }

    #[test]
    fn gzip_is_given_to_those_who_take_it() {
        let agent = Agent::start(&[]);
        let packed = agent.get("/metrics", &[("Accept-Encoding", "gzip")]);
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert!(packed.header("vary").unwrap_or_default().to_ascii_lowercase().contains("accept-encoding"));
        let text = packed.text();
        assert!(packed.body.len() * 3 < text.len(), "{} of {}", packed.body.len(), text.len());
        parse(&text);
        for refusal in ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, identity"] {
            let answer = agent.get("/metrics", &[("Accept-Encoding", refusal)]);
            assert_eq!(answer.header("content-encoding"), None, "{refusal}");
            parse(&answer.text());
        }
    }

    #[test]
    fn head_is_get_without_the_body() {
        let agent = Agent::start(&[]);
        for path in
            ["/metrics", "/health", "/-/healthy", "/-/ready", "/health/live", "/health/ready", "/health/startup"]
        {
            let mut connection = agent.connect().unwrap();
            let head = connection.ask(Method::Head, path, &[]).unwrap();
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            // The connection is still in step.
            let get = connection.get(path, &[]).unwrap();
            assert_eq!(get.status, 200, "{path}");
            assert!(!get.body.is_empty(), "{path}");
            assert_eq!(get.header("content-type"), head.header("content-type"), "{path}");
        }
    }

    #[test]
    fn the_wrong_way_and_the_wrong_place_are_told_apart() {
        let agent = Agent::start(&[]);
        for path in ["/nothing", "/metricsx", "/metrics/", "/../etc/passwd", "/health/nothing", "/-/reload"] {
            assert_eq!(agent.get(path, &[]).status, 404, "{path}");
        }
        for method in [Method::Post, Method::Delete] {
            let answer = agent.ask(method, "/metrics", &[("Content-Length", "0")]);
            assert_eq!(answer.status, 405);
            assert!(answer.header("allow").unwrap_or_default().contains("GET"));
        }
        assert_eq!(agent.get("/metrics?collect[]=cpu", &[]).status, 200);
    }

    #[test]
    fn garbage_ends_its_connection_only() {
        let agent = Agent::start(&[]);
        let huge = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
        let many = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", "x: y\r\n".repeat(10_000));
        let requests: [&[u8]; 5] = [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET\r\n\r\n",
            b"\0\0\0\0\r\n\r\n",
            huge.as_bytes(),
            many.as_bytes(),
        ];
        for request in requests {
            let mut connection = agent.connect().unwrap();
            // An answer of 4xx or none at all.
            if let Ok(answer) = connection.raw(request, Method::Get) {
                assert!((400..500).contains(&answer.status), "{answer:?}");
            }
        }
        agent.page();
        assert!(!agent.log().contains("panicked"));
    }

    #[test]
    fn health_tells_of_every_source() {
        let agent = Agent::start(&[]);
        let health = agent.health();
        assert!(health["version"].is_string(), "{health}");
        assert!(health["uptime_seconds"].as_f64() >= Some(0.0), "{health}");
        let sources = health["sources"].as_array().expect("a list of sources");
        let loadavg = sources.iter().find(|source| source["name"] == "loadavg").expect("loadavg among them");
        assert_eq!(loadavg["success"], true, "{loadavg}");
    }

    #[test]
    fn a_unix_socket_serves_the_same() {
        let agent = Agent::launch(&Launch { socket: Some("page.sock"), ..Launch::new() });
        assert!(agent.page().find("node_load1", &[]).is_some());
        assert!(Connection::tcp(agent.port).is_err());
    }

    #[test]
    fn the_socket_of_a_dead_agent_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("page.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listen = format!("http.listen=\"unix:{}\"", path.display());
        let mut agent = Agent::spawn(&Launch { args: &["--set", &listen], ..Launch::new() });
        until("the socket answers", PATIENCE, || {
            assert!(agent.running(), "{}", agent.log());
            Connection::unix(&path).and_then(|mut connection| connection.get("/-/healthy", &[])).ok()
        });
    }
}

mod load {
    use super::*;

    fn passes(agent: &Agent) -> f64 {
        let page = agent.page();
        page.find("vigie_passes_total", &[]).expect("vigie counts its passes")
    }

    #[test]
    fn concurrent_scrapes_share_passes() {
        let agent = Agent::start(&["--set", "http.max_connections=200"]);
        let before = passes(&agent);
        let begun = Instant::now();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let scrapes: Vec<_> = (0..100).map(|_| scope.spawn(|| agent.get("/metrics", &[]))).collect();
            scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect()
        });
        let took = begun.elapsed().as_secs_f64();
        for answer in &answers {
            assert_eq!(answer.status, 200);
            parse(&answer.text());
        }
        let grown = passes(&agent) - before;
        // A page may be a second old: one pass a second, the one that the count asked for, and one of the tier's own.
        assert!(grown <= took + 3.0, "{grown} passes for 100 scrapes in {took} s");
    }

    #[test]
    fn connections_are_bounded_and_come_back() {
        let agent = Agent::start(&["--set", "http.max_connections=4"]);
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut connection = agent.connect().unwrap();
            assert_eq!(connection.get("/-/healthy", &[]).unwrap().status, 200);
            held.push(connection);
        }
        // One more is refused, closed or kept waiting; it is never served beside the four.
        let fifth = std::net::TcpStream::connect(("127.0.0.1", agent.port)).unwrap();
        fifth.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        std::io::Write::write_all(&mut &fifth, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok();
        let mut start = [0; 12];
        let served =
            std::io::Read::read(&mut &fifth, &mut start).is_ok_and(|length| start[..length].ends_with(b" 200"));
        assert!(!served);
        drop((held, fifth));
        until("it serves again", PATIENCE, || {
            let answer = agent.connect().and_then(|mut connection| connection.get("/metrics", &[])).ok()?;
            (answer.status == 200).then_some(())
        });
    }
}

mod logs {
    use super::*;

    #[test]
    fn text_is_a_line_an_event() {
        let agent = Agent::start(&["--set", "log.format=\"text\"", "--set", "log.level=\"info\""]);
        until("it logs where it listens", PATIENCE, || agent.log().contains(&agent.port.to_string()).then_some(()));
        assert!(!agent.log().contains('\u{1b}'), "colours in {:?}", agent.log());
    }

    #[test]
    fn json_is_an_object_a_line() {
        let agent = Agent::start(&["--set", "log.format=\"json\""]);
        until("it logs where it listens", PATIENCE, || agent.log().contains(&agent.port.to_string()).then_some(()));
        for line in agent.log().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(event.is_object(), "{line}");
        }
    }

    #[test]
    fn errors_only_is_silence_on_a_good_day() {
        let mut agent = Agent::start(&["--set", "log.level=\"error\""]);
        agent.page();
        agent.signal(Signal::SIGTERM);
        agent.wait_end();
        assert_eq!(agent.log(), "");
    }

    #[test]
    fn a_secret_is_nowhere() {
        const SECRET: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hash");
        std::fs::write(&file, SECRET).unwrap();
        let from_file = format!("http.users={{ prometheus = {{ file = \"{}\" }} }}", file.display());
        let from_env = "http.users={ prometheus = { env = \"VIGIE_TEST_HASH\" } }";
        for setting in [from_file.as_str(), from_env] {
            let agent = Agent::launch(&Launch {
                args: &["--set", setting, "--set", "log.level=\"trace\""],
                env: &[("VIGIE_TEST_HASH", OsStr::new(SECRET))],
                config: Some(""),
                ..Launch::new()
            });
            agent.signal(Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(300));
            let with_password = [("Authorization", "Basic cHJvbWV0aGV1czpVKlU=")];
            let mut told = vec![agent.log()];
            for path in ["/metrics", "/health", "/"] {
                told.push(agent.get(path, &with_password).text());
                told.push(agent.get(path, &[]).text());
            }
            assert!(told.iter().all(|text| !text.contains(SECRET)), "{setting}");
        }
    }
}
