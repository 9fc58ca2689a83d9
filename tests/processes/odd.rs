//! Odd processes: none of them is an error, and each is where it belongs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::programs::{Programs, Running};
use crate::support::{Agent, PATIENCE, until};
use crate::{BY_NAME, of};

#[test]
fn no_name_and_no_command_line_is_an_error() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    let names = [&b"vg) R 1 ("[..], b"vg\nline", b"vg\xff\xfe", b"vg \"quote\\", b"((vg"];
    let long = format!("read line; : {}", "x".repeat(100_000));
    let _running: Vec<Running> =
        names.iter().map(|name| programs.shell_of(&OsString::from_vec(name.to_vec()), &long)).collect();
    let page = until("all are there", PATIENCE, || {
        let page = agent.page();
        let groups = ["vg) R 1 (", "vg?line", "vg\u{fffd}\u{fffd}", "vg \"quote\\", "((vg"];
        groups.iter().all(|group| of(&page, "num_procs", group) == 1.0).then_some(page)
    });
    assert_eq!(page.value("namedprocess_scrape_procread_errors", &[]), 0.0);
}
