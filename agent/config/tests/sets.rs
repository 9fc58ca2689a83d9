//! `--set`.

use super::*;

#[test]
fn a_set_wins_over_the_file() {
    let sets = ["sampling.interval=5s", "http.listen=:9845", "http.tls={cert='c',key='k'}", "host.name=web 1"];
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let text = b"[sampling]\ninterval = 5\n[http]\nmax_connections = 3\ntls = { client_ca = 'x' }\n";
    let config = in_file(text, 0o644, |path| load(Some(path), &sets).ok().unwrap());
    assert_eq!(config.sampling.interval, Duration::from_secs(5));
    assert_eq!(config.http.listen, ["[::]:9845".parse().unwrap()]);
    assert_eq!(config.http.max_connections, 3);
    assert_eq!(config.http.tls, Some(Tls { cert: "c".into(), key: "k".into(), client_ca: None }));
    assert_eq!(config.host.name.as_deref(), Some("web 1"));
}

#[test]
fn a_set_is_toml_or_a_bare_word() {
    let listen = |text: &str| set(&[text]).map(|config| config.http.listen);
    let expected = Ok(vec!["[::]:4".parse().unwrap()]);
    for text in ["http.listen=:4", "http.listen=[::]:4", "http.listen=':4'", "http.listen = [\":4\"]"] {
        assert_eq!(listen(text), expected, "{text}");
    }
    let config = set(&["host.attributes.\"a=b\"=c"]).ok().unwrap();
    assert_eq!(config.host.attributes.get("a=b").map(String::as_str), Some("c"));
}

#[test]
fn a_bad_set_is_named_after_the_file() {
    let sets = ["http.listne=:4", "sampling.interval=5", "log.level", "log.level=", "log.level='x"];
    assert_told(
        &refused_bytes(b"[htpp]\n", 0o644, &sets),
        r#"
vigie.toml:1:2: unknown key `htpp`
  |
1 | [htpp]
  |  ^^^^ did you mean `http`?

--set: unknown key `listne` in [http]
 |
 | http.listne=…
 |      ^^^^^^ did you mean `listen`?

--set: `sampling.interval`: expected a duration from 1s to 1h with its unit, such as "10s", found 5
 |
 | sampling.interval=5
 |                   ^

--set: expected KEY=VALUE, such as sampling.interval=5s
 |
 | log.level
 | ^^^^^^^^^

--set: expected a value after the =
 |
 | log.level=
 |           ^

--set: invalid literal string, expected `'`
 |
 | log.level='x
 |             ^
"#,
    );
}
