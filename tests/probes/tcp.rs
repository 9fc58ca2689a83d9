//! tcp: ports that answer, and all the ways in which they don't.

use super::servers::{dripping, endless, mail, nobody, saying, silent};
use super::{Said, one};

fn tcp(address: &str, more: &str) -> Said {
    one(&format!("[[probe.tcp]]\nname = 'x'\naddress = '{address}'\ntimeout = '1500ms'\n{more}\n"))
}

#[test]
fn a_port_that_accepts_is_good() {
    let said = tcp(&silent().to_string(), "");
    assert_eq!(said.result, "good", "{said:?}");
    assert!(said.milliseconds < 1_000.0);
    let port = silent().port();
    assert_eq!(tcp(&format!("localhost:{port}"), "").result, "good");
}

#[test]
fn a_unix_socket_is_a_port_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = format!("unix:{}", path.display());
    assert_eq!(tcp(&address, "").result, "connect");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(tcp(&address, "").result, "good");
}

#[test]
fn a_conversation_goes_as_it_should_or_says_where_it_went_wrong() {
    let address = mail().to_string();
    let good = "script = [{ expect = '^220 ' }, { send = \"QUIT\\r\\n\", expect = '^221' }]";
    assert_eq!(tcp(&address, good).result, "good");
    let bad = "script = [{ expect = '^220 ' }, { send = \"HELO\\r\\n\", expect = '^250' }]";
    let said = tcp(&address, bad);
    assert_eq!(said.result, "timeout");
    assert!(said.why.contains("waiting for the line that is expected"), "{said:?}");
}

#[test]
fn each_failure_has_its_reason_in_time() {
    let script = "script = [{ expect = '^220' }]";
    let refused = tcp(&nobody().to_string(), "");
    assert_eq!(refused.result, "connect", "{refused:?}");
    assert!(refused.why.contains("refused") && refused.why.contains("→ check that the service runs"), "{refused:?}");
    assert_eq!(tcp("nobody.invalid:25", "").result, "dns");
    for (address, reason, words) in [
        (silent(), "timeout", "no answer within 1s500ms"),
        (dripping("220 mail\n"), "timeout", "no answer within 1s500ms"),
        (endless(), "body", "64 KiB"),
        (saying(""), "protocol", "before the connection was closed"),
        (saying("554 go away\r\n"), "body", "the last was \"554 go away\""),
    ] {
        let said = tcp(
            &address.to_string(),
            if reason == "timeout" { "script = [{ expect = '^220 mail$' }]" } else { script },
        );
        assert_eq!(said.result, reason, "{said:?}");
        assert!(said.why.contains(words), "{said:?}");
        assert!(said.milliseconds < 2_500.0, "{said:?}");
    }
}

#[test]
fn an_address_that_leads_nowhere_is_given_up_in_time() {
    // TEST-NET-1 of RFC 5737: some networks say so, some say nothing.
    let said = tcp("192.0.2.1:9", "");
    assert!(["timeout", "connect", "permission"].contains(&&*said.result), "{said:?}");
    assert!(said.milliseconds < 2_500.0, "{said:?}");
}
