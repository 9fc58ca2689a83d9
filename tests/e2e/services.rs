//! Two services of known load: what the page says of each beside what its shell says, and systemd where it counts.

use crate::machine::Machine;
use crate::page;
use crate::support::{PATIENCE, until};

/// Burns for so many rounds of short-lived processes, says how long that took, and waits.
const LOAD: &str = r#"i=0
while [ $i -lt $1 ]; do (j=0; while [ $j -lt 3000 ]; do j=$((j+1)); done); i=$((i+1)); done
times >/run/$2-times
mv /run/$2-times /run/$2-burnt
exec sleep infinity"#;

const ROUNDS: [(&str, u32); 2] = [("e2e-light", 50), ("e2e-heavy", 200)];

pub(crate) fn tells_two_services_apart(machine: &Machine) {
    for (unit, rounds) in ROUNDS {
        let rounds = rounds.to_string();
        machine.good(&["systemd-run", "--quiet", "--unit", unit, "sh", "-ec", LOAD, "sh", &rounds, unit]);
    }
    for (unit, _) in ROUNDS {
        until(&format!("{unit} has burnt what it should"), PATIENCE, || {
            (machine.run(&["test", "-e", &format!("/run/{unit}-burnt")]).code == Some(0)).then_some(())
        });
    }
    // A page may be a second old (http.max_age).
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = page(machine);
    let mut told = Vec::new();
    for (unit, _) in ROUNDS {
        let service = format!("{unit}.service");
        let labels = [("name", &*service), ("type", "service")];
        let seconds = page.value("vigie_unit_cpu_usage_seconds_total", &labels);
        let burnt = burnt_seconds(&machine.shell(&format!("cat /run/{unit}-burnt")));
        // The shell counts in hundredths; systemd's own start of it is the unit's too.
        assert!((seconds - burnt).abs() < 0.05 * burnt + 0.1, "{service}: {seconds} s, to its shell {burnt}");
        if let Ok(nanoseconds) = machine.property(&service, "CPUUsageNSec").parse::<f64>() {
            let counted = nanoseconds / 1e9;
            assert!((seconds - counted).abs() < 0.02 * counted + 0.01, "{service}: {seconds} s, to systemd {counted}");
        }
        told.push(seconds);
        if let Ok(bytes) = machine.property(&service, "MemoryCurrent").parse::<f64>() {
            let memory = page.value("systemd_unit_memory_bytes", &labels);
            assert!((memory - bytes).abs() < 0.1 * bytes + 65536.0, "{service}: {memory} bytes, to systemd {bytes}");
        }
        if let Ok(tasks) = machine.property(&service, "TasksCurrent").parse::<f64>() {
            assert_eq!(page.value("systemd_unit_tasks_current", &labels), tasks, "{service}");
        }
    }
    let [light, heavy] = told[..] else { panic!("two services, and {told:?}") };
    assert!((2.0..8.0).contains(&(heavy / light)), "four times the work took {heavy} s and {light} s");
    eprintln!("    {light} s and {heavy} s of CPU time");
    for (unit, _) in ROUNDS {
        machine.good(&["systemctl", "stop", unit]);
        machine.shell(&format!("rm /run/{unit}-burnt"));
    }
}

/// All times that the shell's `times` says, of itself and of its children: such as `0m1.25s 0m0.5s`.
fn burnt_seconds(times: &str) -> f64 {
    let seconds = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    times.split_ascii_whitespace().map(seconds).sum()
}
