//! `[[probe.KIND]]`: what is read, and what is said of mistakes.

use super::*;
use crate::probes::Common;

#[test]
fn probes_stand_in_the_order_of_the_file_with_their_defaults() {
    let config = loaded(concat!(
        "[[probe.tcp]]\nname = 'smtp'\naddress = 'mail:25'\n",
        "[[probe.tcp]]\naddress = '[::1]:5432'\ninterval = '1m'\nname = 'db'\nfailures_before_down = 1\n",
    ));
    let [smtp, db] = config.probe.tcp.as_slice() else { panic!("{:?}", config.probe) };
    assert_eq!((&smtp.common, smtp.own.address.to_string()), (&Common::named("smtp"), "mail:25".to_owned()));
    let interval = Duration::from_secs(60);
    assert_eq!(db.common, Common { interval, failures_before_down: 1, ..Common::named("db") });
}

#[test]
fn another_probe_is_another_configuration() {
    let hash = |text| loaded(text).hash();
    let one = "[[probe.tcp]]\nname = 'a'\naddress = 'mail:25'\n";
    assert_eq!(hash(one), hash("[[probe.tcp]]\nname = 'a'\ninterval = '15s'\naddress = 'mail:25'\n"));
    assert_ne!(hash(one), hash("[[probe.tcp]]\nname = 'a'\naddress = 'mail:26'\n"));
}

#[test]
fn mistakes_in_probes_are_told_at_once_with_their_places() {
    assert_told(
        &refused(concat!(
            "[[probe.tcp]]\nname = 'a'\nadress = 'mail:25'\n",
            "[[probe.tcp]]\nname = 'b'\naddress = 'mail'\nintervall = '1m'\nsize = 3\n",
            "[[probe.tcp]]\nname = 'b'\naddress = 'mail:25'\ninterval = 5\n",
            "[[probe.tcp]]\naddress = 'mail:25'\n",
            "[[probe.tcp]]\nname = ''\naddress = 'mail:25'\ninterval = '2s'\ntimeout = '10s'\n",
            "script = [{ expect = '(' }, {}, { sent = 'x' }]\n",
        )),
        r#"
vigie.toml:3:1: unknown key `adress` in [probe.tcp]
  |
3 | adress = …
  | ^^^^^^ did you mean `address`?

vigie.toml:6:11: `probe.tcp.address`: expected an address such as "db-1:5432", "[::1]:25" or "unix:/run/service.sock", found "mail"
  |
6 | address = 'mail'
  |           ^^^^^^

vigie.toml:7:1: unknown key `intervall` in [probe.tcp]
  |
7 | intervall = …
  | ^^^^^^^^^ did you mean `interval`?

vigie.toml:8:1: unknown key `size` in [probe.tcp]
  |
8 | size = …
  | ^^^^ known here: `name`, `interval`, `timeout`, `failures_before_down`, `successes_before_up`, `address`, `tls`, `script`

vigie.toml:10:8: `probe.tcp.name`: two probes of this kind are called "b"
   |
10 | name = 'b'
   |        ^^^ give each a name of its own

vigie.toml:12:12: `probe.tcp.interval`: expected a duration from 1s to 1h with its unit, such as "10s", found 5
   |
12 | interval = 5
   |            ^

vigie.toml:13:1: `probe.tcp` lacks `name`
   |
13 | [[probe.tcp]]
   | ^^^^^^^^^^^^^

vigie.toml:16:8: `probe.tcp.name`: expected a name
   |
16 | name = ''
   |        ^^ such as "shop": it is the label `probe`

vigie.toml:19:11: `probe.tcp.timeout`: 10s is longer than the interval of 2s
   |
19 | timeout = '10s'
   |           ^^^^^ no check begins before the last one is over: shorten it, or raise `interval`

vigie.toml:20:22: `probe.tcp.script.expect`: found open group without closing ')'
   |
20 | script = [{ expect = '(' }, {}, { sent = … }]
   |                      ^^^

vigie.toml:20:29: `probe.tcp.script`: expected `send`, `expect` or both, found nothing
   |
20 | script = [{ expect = '(' }, {}, { sent = … }]
   |                             ^^

vigie.toml:20:35: unknown key `sent` in [probe.tcp.script]
   |
20 | script = [{ expect = '(' }, {}, { sent = … }]
   |                                   ^^^^ did you mean `send`?
"#,
    );
}

#[test]
fn mistakes_in_tls_are_told_with_their_places() {
    assert_told(
        &refused(concat!(
            "[[probe.tcp]]\nname = 'a'\naddress = 'mail:25'\ntls = { cert = '/a.pem' }\n",
            "[[probe.tcp]]\nname = 'b'\naddress = 'mail:25'\ntls = { min_version = '1.1', cafile = '/a.pem' }\n",
            "[[probe.tcp]]\nname = 'c'\naddress = 'mail:25'\nscript = [{ starttls = true }, { starttls = true }]\n",
        )),
        r#"
vigie.toml:4:16: `probe.tcp.tls` lacks `key`
  |
4 | tls = { cert = '/a.pem' }
  |                ^^^^^^^^ a certificate is shown with its private key

vigie.toml:8:23: `probe.tcp.tls.min_version`: expected one of "1.2", "1.3", found "1.1"
  |
8 | tls = { min_version = '1.1', cafile = … }
  |                       ^^^^^ did you mean "1.3"?

vigie.toml:8:30: unknown key `cafile` in [probe.tcp.tls]
  |
8 | tls = { min_version = '1.1', cafile = … }
  |                              ^^^^^^ did you mean `ca`?

vigie.toml:12:10: `probe.tcp.script`: expected one step with `starttls` at most: TLS begins once
   |
12 | script = [{ starttls = true }, { starttls = true }]
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
    );
}

#[test]
fn a_kind_that_nobody_knows_is_named() {
    let told = refused("[[probe.tcpp]]\nname = 'shop'\n");
    assert!(told.contains("unknown key `tcpp` in [probe]") && told.contains("did you mean `tcp`?"), "{told}");
}

#[test]
fn one_probe_alone_is_a_list_as_well() {
    assert_told(
        &refused("[probe.tcp]\nname = 'shop'\n"),
        "
vigie.toml:1:1: `probe.tcp`: expected a list, found a table
  |
1 | [probe.tcp]
  | ^^^^^^^^^^^ write [[probe.tcp]]: there may be several
",
    );
}
