//! The page with a lock on it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vigie::page::server::Options;

use super::{Running, Stub, options};

fn locked(stub: Stub) -> Running {
    let hash = bcrypt::hash("secret", 4).unwrap().parse().ok().unwrap();
    Running::start(stub, Options { users: [("prometheus".to_owned(), hash)].into(), ..options() })
}

fn credentials(text: &str) -> String {
    format!("authorization: Basic {}\r\n", STANDARD.encode(text))
}

#[test]
fn the_page_is_for_users_only() {
    let server = locked(Stub::default());
    for path in ["/metrics", "/health", "/"] {
        let refused = server.get(path, "");
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.header("www-authenticate"), Some("basic realm=\"vigie\", charset=\"utf-8\""));
        assert_eq!(server.get(path, &credentials("prometheus:wrong")).status, 401, "{path}");
        assert_eq!(server.get(path, &credentials("prometheus:secret")).status, 200, "{path}");
    }
}

#[test]
fn an_orchestrator_needs_no_password_and_learns_no_reason() {
    let server = locked(Stub { ready: false, ..Stub::default() });
    let answer = server.get("/health/ready", "");
    assert_eq!((answer.status, answer.text()), (503, "not ready\n"));
    assert_eq!(server.get("/-/healthy", "").text(), "live\n");
}
