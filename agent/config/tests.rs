//! Every kind of mistake in a file, and what is said of it, to the letter.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

mod environment;
mod example;
mod modules;
mod otlp;
mod probes;
mod secrets;
mod sets;

fn in_file<T>(content: &[u8], mode: u32, look: impl FnOnce(&Path) -> T) -> T {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("vigie-config-{}-{}.toml", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let seen = look(&path);
    std::fs::remove_file(&path).unwrap();
    seen
}

/// Loads without an environment: the machine's says what it likes.
fn load(file: Option<&Path>, sets: &[String]) -> Result<Config, ConfigErrors> {
    Config::load_in(&|_| None, file, sets)
}

fn refused_bytes(content: &[u8], mode: u32, sets: &[&str]) -> String {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    in_file(content, mode, |path| {
        let errors = load(Some(path), &sets).err().unwrap();
        errors.to_string().replace(&path.display().to_string(), "vigie.toml")
    })
}

fn refused(text: &str) -> String {
    refused_bytes(text.as_bytes(), 0o644, &[])
}

fn loaded(text: &str) -> Config {
    in_file(text.as_bytes(), 0o600, |path| load(Some(path), &[]).ok().unwrap())
}

fn set(sets: &[&str]) -> Result<Config, String> {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(None, &sets).map_err(|errors| errors.to_string())
}

#[track_caller]
fn assert_told(told: &str, expected: &str) {
    assert_eq!(told, expected.trim_matches('\n'), "\n{told}\n");
}

#[test]
fn a_misspelt_section_is_named() {
    assert_told(
        &refused("[htpp]\nlisten = ':9844'\n"),
        "
vigie.toml:1:2: unknown key `htpp`
  |
1 | [htpp]
  |  ^^^^ did you mean `http`?
",
    );
}

#[test]
fn a_misspelt_key_is_named_and_its_value_is_not_shown() {
    assert_told(
        &refused("[http]\nusr = { prometheus = 'hunter2' }\n"),
        "
vigie.toml:2:1: unknown key `usr` in [http]
  |
2 | usr = { prometheus = … }
  | ^^^ did you mean `users`?
",
    );
}

#[test]
fn a_key_of_another_section_is_sent_there() {
    assert_told(
        &refused("listen = ':9844'\n[http]\ninterval = '5s'\nport = 9844\n"),
        "
vigie.toml:1:1: unknown key `listen`
  |
1 | listen = …
  | ^^^^^^ `listen` belongs in [http]

vigie.toml:3:1: unknown key `interval` in [http]
  |
3 | interval = …
  | ^^^^^^^^ `interval` belongs in [sampling]

vigie.toml:4:1: unknown key `port` in [http]
  |
4 | port = …
  | ^^^^ known here: `listen`, `max_age`, `deadline`, `max_connections`, `tls`, `users`, `probe_targets`
",
    );
}

#[test]
fn a_number_without_a_unit_is_no_duration() {
    assert_told(
        &refused("[sampling]\ninterval = 10\n"),
        r#"
vigie.toml:2:12: `sampling.interval`: expected a duration from 1s to 1h with its unit, such as "10s", found 10
  |
2 | interval = 10
  |            ^^
"#,
    );
    assert_told(
        &refused("[sampling]\ninterval = \"10x\"\n"),
        r#"
vigie.toml:2:12: `sampling.interval`: expected a duration from 1s to 1h with its unit, such as "10s", found "10x"
  |
2 | interval = "10x"
  |            ^^^^^
"#,
    );
}

#[test]
fn wrong_types_and_values_of_all_sections_are_told_at_once() {
    assert_told(
        &refused(concat!(
            "host = 'web-1'\n",
            "[paths]\nproc = 4\n",
            "[sampling]\ninterval = '0s'\n",
            "[samplers]\ndisabled = ['lodavg', 3]\n",
            "[http]\nlisten = ['127.0.0.1:9844', 'localhost:9844']\nmax_connections = 0\ndeadline = '2h'\n",
            "[log]\nlevel = 'inf'\nformat = true\n",
        )),
        r#"
vigie.toml:1:8: `host`: expected a table, found a string
  |
1 | host = 'web-1'
  |        ^^^^^^^

vigie.toml:3:8: `paths.proc`: expected a path, as a string, found 4
  |
3 | proc = 4
  |        ^

vigie.toml:5:12: `sampling.interval`: expected a duration from 1s to 1h with its unit, such as "10s", found "0s"
  |
5 | interval = '0s'
  |            ^^^^

vigie.toml:7:13: `samplers.disabled`: no sampler is called "lodavg"
  |
7 | disabled = ['lodavg', 3]
  |             ^^^^^^^^ did you mean "loadavg"?

vigie.toml:7:23: `samplers.disabled`: expected a string, found 3
  |
7 | disabled = ['lodavg', 3]
  |                       ^

vigie.toml:9:29: `http.listen`: expected an address such as "127.0.0.1:9844", "[::1]:9844", ":9844" or "unix:/run/vigie/page.sock", found "localhost:9844"
  |
9 | listen = ['127.0.0.1:9844', 'localhost:9844']
  |                             ^^^^^^^^^^^^^^^^

vigie.toml:10:19: `http.max_connections`: expected a whole number from 1 to 10000, found 0
   |
10 | max_connections = 0
   |                   ^

vigie.toml:11:12: `http.deadline`: expected a duration from 10ms to 1m with its unit, such as "250ms", found "2h"
   |
11 | deadline = '2h'
   |            ^^^^

vigie.toml:13:9: `log.level`: expected one of "error", "warn", "info", "debug", "trace", found "inf"
   |
13 | level = 'inf'
   |         ^^^^^ did you mean "info"?

vigie.toml:14:10: `log.format`: expected a string, found true
   |
14 | format = true
   |          ^^^^
"#,
    );
}

#[test]
fn a_bad_pattern_of_a_sampler_is_told_with_its_place() {
    let told = refused("[samplers.vmstat]\nfields = '('\nfeilds = 'x'\n[samplers.loadavg]\nx = 1\n");
    assert_told(
        &told,
        "
vigie.toml:2:10: `samplers.vmstat.fields`: found open group without closing ')'
  |
2 | fields = '('
  |          ^^^

vigie.toml:3:1: unknown key `feilds` in [samplers.vmstat]
  |
3 | feilds = …
  | ^^^^^^ did you mean `fields`?

vigie.toml:4:11: unknown key `loadavg` in [samplers]
  |
4 | [samplers.loadavg]
  |           ^^^^^^^ the sampler `loadavg` has no options
",
    );
}

#[test]
fn addresses_that_exclude_each_other_are_told() {
    assert_told(
        &refused("[http]\nlisten = [':9844', '[::]:9844', '127.0.0.1:9844']\n"),
        "
vigie.toml:2:20: `http.listen`: [::]:9844 is listed twice
  |
2 | listen = [':9844', '[::]:9844', '127.0.0.1:9844']
  |                    ^^^^^^^^^^^

vigie.toml:2:33: `http.listen`: 127.0.0.1:9844 and [::]:9844 cannot be listened on at once: one covers the other
  |
2 | listen = [':9844', '[::]:9844', '127.0.0.1:9844']
  |                                 ^^^^^^^^^^^^^^^^
",
    );
    assert_told(
        &refused("http.listen = []\n"),
        r#"
vigie.toml:1:15: `http.listen`: expected at least one address
  |
1 | http.listen = []
  |               ^^ such as "127.0.0.1:9844"
"#,
    );
}

#[test]
fn attributes_that_would_collide_are_told() {
    assert_told(
        &refused("[host]\nname = ''\nattributes = { 'a.b' = '', a_b = '' }\n"),
        r#"
vigie.toml:2:8: `host.name`: expected a name
  |
2 | name = ''
  |        ^^ leave it out to use the hostname

vigie.toml:3:28: `host.attributes`: "a.b" and "a_b" are the same label on the page
  |
3 | attributes = { 'a.b' = '', a_b = '' }
  |                            ^^^
"#,
    );
}

#[test]
fn a_table_that_lacks_a_key_is_told_once() {
    assert_told(
        &refused("[http]\ntls = { cert = 'a.pem' }\n"),
        "
vigie.toml:2:7: `http.tls` lacks `key`
  |
2 | tls = { cert = 'a.pem' }
  |       ^^^^^^^^^^^^^^^^^^
",
    );
    assert_told(
        &refused("[http]\ntls = { cert = 'a.pem', kee = 'b.pem' }\n"),
        "
vigie.toml:2:25: unknown key `kee` in [http.tls]
  |
2 | tls = { cert = 'a.pem', kee = … }
  |                         ^^^ did you mean `key`?
",
    );
}

#[test]
fn what_is_no_toml_gives_its_first_error() {
    for (text, expected) in [
        (
            "[log]\nlevel = 'info'\nlevel = 'debug'\n",
            "
vigie.toml:3:1: duplicate key
  |
3 | level = 'debug'
  | ^^^^^ a key or a table stands once
",
        ),
        (
            "[log]\nlevel = info\n",
            r#"
vigie.toml:2:9: invalid float, expected `inf`
  |
2 | level = info
  |         ^^^^ a text is written in quotes, such as "info"
"#,
        ),
        (
            "[http]\nlisten = \":9844\n",
            r#"
vigie.toml:2:16: invalid basic string, expected `"`
  |
2 | listen = ":9844
  |                ^
"#,
        ),
    ] {
        assert_told(&refused(text), expected);
    }
}

#[test]
fn a_file_that_cannot_be_a_configuration_is_named() {
    let gone = load(Some(Path::new("/nowhere/vigie.toml")), &[]).err().unwrap();
    assert_eq!(gone.to_string(), "/nowhere/vigie.toml: cannot read it: No such file or directory (os error 2)");
    let directory = load(Some(Path::new("/")), &[]).err().unwrap();
    assert_eq!(directory.to_string(), "/: expected a file, found a directory");
    let binary = refused_bytes(b"[http]\n\xff\xfe\n", 0o644, &[]);
    assert_eq!(binary, "vigie.toml: expected UTF-8, found another byte on line 2");
    let huge = refused_bytes(&vec![b'#'; (1 << 20) + 1], 0o644, &[]);
    assert_eq!(huge, "vigie.toml: expected a configuration of at most 1 MiB");
}

#[test]
fn a_long_line_is_cut_around_its_mistake() {
    let told = refused(&format!("[http]\nlisten = [{} 5, {}]\n", "':9844',".repeat(1_000), "':9844',".repeat(1_000)));
    assert!(told.lines().all(|line| line.chars().count() < 250), "{told}");
    assert!(told.ends_with("\n\nand 1950 more"), "{told}");
}

#[test]
fn paths_follow_the_root() {
    let config = loaded("[paths]\nroot = '/host'\nsys = '/sys'\n");
    assert_eq!(config.paths.proc, Path::new("/host/proc"));
    assert_eq!(config.paths.sys, Path::new("/sys"));
    assert_eq!(Paths::default().proc, Path::new("/proc"));
}

#[test]
fn the_hash_follows_what_is_in_force() {
    let defaults = Config::default().hash();
    assert_eq!(loaded("# nothing\n[http]\nmax_age = '1000ms'\n").hash(), defaults);
    assert_ne!(loaded("[http]\nmax_age = '2s'\n").hash(), defaults);
    let user = |secret: &str| loaded(&format!("[http.users]\na = {secret}\n")).hash();
    assert_eq!(user("'one'"), user("'two'"));
    assert_ne!(user("{ file = 'one' }"), user("{ file = 'two' }"));
    assert!(defaults < 1 << 48);
}
