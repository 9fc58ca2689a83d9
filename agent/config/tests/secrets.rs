//! Secrets, and that no message shows them.

use super::*;

#[test]
fn a_plain_secret_wants_a_private_file_and_is_never_shown() {
    let text = "[http]\nusers = { a = 'hunter2', b = 70007 }\n";
    assert_told(
        &refused(text),
        r#"
vigie.toml:2:15: `http.users.a`: a secret in a file that others can read
  |
2 | users = { a = …, b = … }
  |               ^ write { file = "…" }, { env = "…" } or { credential = "…" }, or chmod 600 vigie.toml

vigie.toml:2:30: `http.users.b`: expected a secret: { file = "…" }, { env = "…" } or { credential = "…" }, found something else
  |
2 | users = { a = …, b = … }
  |                      ^
"#,
    );
    let config = loaded("[http]\nusers = { a = 'hunter2' }\n");
    let secret = config.http.users.get("a").unwrap().load().ok().unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert_told(
        &set(&["http.users.a=hunter2"]).err().unwrap(),
        r#"
--set: `http.users.a`: a secret among the arguments, which every user can read
 |
 | http.users.a=…
 |              ^ write { file = "…" }, { env = "…" } or { credential = "…" }
"#,
    );
}

#[test]
fn no_mistake_shows_a_secret_on_its_line() {
    for text in [
        "http.users = 'hunter2'",
        "http.users = ['hunter2']",
        "http.users.a = ['hunter2']",
        "http.users.a = { plain = 'hunter2' }",
        "http.users.a = { file = 'x', plain = 'hunter2' }",
        "http.users = { a = 'hunter2', b = 5 }",
        "http.users = { a = 'hunter2' ",
        "http.users = { a = hunter2 }",
        "http.users.a = 'hunter2",
        "[http.users]\na = hunter2",
        "http.user.a = 'hunter2'",
        "htpp.users.a = 'hunter2'",
        "http = [{ users = { a = 'hunter2' } }]",
        "[[http]]\nusers.a = 'hunter2'",
        "[[probe.postgres]]\npassword = hunter2",
        "probe.postgres = [{ password = 'hunter2' }]",
        "[[probe.redis]]\nname = 'a'\nurl = 'redis://me:hunter2@cache'",
        "[[probe.redis]]\nname = 'a'\nurl = 'redis://cache'\npassword = 'hunter2'",
    ] {
        let told = refused(text);
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_secret_has_one_place() {
    assert_told(
        &refused("[http.users]\na = { fil = 'x' }\nb = { file = 'x', env = 'X' }\nc = { credential = '/x' }\n"),
        "
vigie.toml:2:7: unknown key `fil` in [http.users.a]
  |
2 | a = { fil = … }
  |       ^^^ did you mean `file`?

vigie.toml:3:5: `http.users.b`: expected exactly one of `file`, `env` and `credential`
  |
3 | b = { file = 'x', env = 'X' }
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^

vigie.toml:4:5: `http.users.c`: a credential is named by LoadCredential=, not by a path
  |
4 | c = { credential = '/x' }
  |     ^^^^^^^^^^^^^^^^^^^^^
",
    );
}
