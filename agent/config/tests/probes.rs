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
  | ^^^^ known here: `name`, `interval`, `timeout`, `failures_before_down`, `successes_before_up`, `address`, `ip`, `tls`, `script`

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

#[test]
fn an_http_probe_says_who_asks_without_showing_it() {
    let text = concat!(
        "[[probe.http]]\nname = 'a'\nurl = 'https://shop/'\nheaders = { Authorization = 'hunter2', ",
        "x-key = { file = '/x' }, accept = 'text/plain' }\n",
    );
    let shown = format!("{:?}", loaded(text).probe);
    assert!(shown.contains("text/plain") && shown.contains("file /x") && !shown.contains("hunter2"), "{shown}");
    assert_told(
        &refused(text),
        r#"
vigie.toml:4:29: `probe.http.headers.Authorization`: a secret in a file that others can read
  |
4 | headers = { Authorization = …, x-key = { file = '/x' }, accept = 'text/plain' }
  |                             ^ write { file = "…" }, { env = "…" } or { credential = "…" }, or chmod 600 vigie.toml
"#,
    );
}

#[test]
fn mistakes_in_an_http_probe_have_their_remedies() {
    assert_told(
        &refused(concat!(
            "[[probe.http]]\nname = 'a'\nurl = 'shop'\nmethod = 'get'\n",
            "headers = { 'x y' = '1', Connection = 'close', b = \"1\\n2\" }\nstatus = [200, '2x', 20]\n",
            "[[probe.http]]\nname = 'b'\nurl = 'ftp://shop/'\nexpect = ['a', '(']\nmax_body = '2GiB'\nsocket = 'x'\n",
            "[[probe.http]]\nname = 'c'\nurl = 'http://me:hunter2@shop/'\nversion = '3'\nip = 'v4'\n",
            "basic_auth = { user = 'a:b', password = { env = 'X' } }\nbearer_token = { env = 'X' }\n",
        )),
        r#"
vigie.toml:3:7: `probe.http.url`: expected a URL such as "https://shop.example.org/health", found "shop"
  |
3 | url = 'shop'
  |       ^^^^^^

vigie.toml:4:10: `probe.http.method`: expected a method such as "GET", "HEAD" or "POST", found "get"
  |
4 | method = 'get'
  |          ^^^^^

vigie.toml:5:13: `probe.http.headers`: expected the name of a header such as "x-api-key", found "x y"
  |
5 | headers = { 'x y' = '1', Connection = 'close', b = "1\n2" }
  |             ^^^^^

vigie.toml:5:26: `probe.http.headers`: expected another header: vigie writes connection itself
  |
5 | headers = { 'x y' = '1', Connection = 'close', b = "1\n2" }
  |                          ^^^^^^^^^^

vigie.toml:5:52: `probe.http.headers.b`: expected one line of ASCII
  |
5 | headers = { 'x y' = '1', Connection = 'close', b = "1\n2" }
  |                                                    ^^^^^^

vigie.toml:6:16: `probe.http.status`: expected statuses such as 200, "2xx" or "200-204", found "2x"
  |
6 | status = [200, '2x', 20]
  |                ^^^^

vigie.toml:6:22: `probe.http.status`: expected statuses such as 200, "2xx" or "200-204", found "20"
  |
6 | status = [200, '2x', 20]
  |                      ^^

vigie.toml:9:7: `probe.http.url`: expected a URL of http:// or https://, found one of ftp:
  |
9 | url = 'ftp://shop/'
  |       ^^^^^^^^^^^^^

vigie.toml:10:16: `probe.http.expect`: found open group without closing ')'
   |
10 | expect = ['a', '(']
   |                ^^^

vigie.toml:11:12: `probe.http.max_body`: expected a byte size from 1 to 1073741824, such as "256MiB", found "2GiB"
   |
11 | max_body = '2GiB'
   |            ^^^^^^

vigie.toml:12:10: `probe.http.socket`: expected the path of a unix socket such as "/run/docker.sock"
   |
12 | socket = 'x'
   |          ^^^

vigie.toml:15:7: `probe.http.url`: expected a URL without user and password: write them in `basic_auth`, where they are not shown
   |
15 | url = …
   |       ^

vigie.toml:16:11: `probe.http.version`: expected one of "auto", "1.1", "2", found "3"
   |
16 | version = '3'
   |           ^^^

vigie.toml:17:6: `probe.http.ip`: expected one of "any", "4", "6", "prefer-4", "prefer-6", found "v4"
   |
17 | ip = 'v4'
   |      ^^^^

vigie.toml:18:23: `probe.http.basic_auth.user`: expected a user without a colon
   |
18 | basic_auth = { user = 'a:b', password = { env = 'X' } }
   |                       ^^^^^ the password comes after the first one

vigie.toml:19:16: `probe.http`: who asks is said twice
   |
19 | bearer_token = { env = 'X' }
   |                ^^^^^^^^^^^^^ leave one of `basic_auth`, `bearer_token` and the header authorization
"#,
    );
}

#[test]
fn another_secret_is_another_probe_and_the_same_configuration_to_whoever_looks() {
    let one = "[[probe.redis]]\nname = 'a'\nurl = 'redis://db'\npassword = 'hunter2'\n";
    let other = one.replace("hunter2", "hunter3");
    let plans = |text: &str| loaded(text).probe.plans();
    assert!(plans(one)[0].same(&plans(one)[0]));
    assert!(!plans(one)[0].same(&plans(&other)[0]));
    assert!(!plans(one)[0].same(&plans(&one.replace("redis://db", "redis://dc"))[0]));
    assert!(!plans(one)[0].same(&plans(&format!("{one}interval = '1m'\n"))[0]));
    assert_eq!(loaded(one).hash(), loaded(&other).hash());
    assert!(!format!("{:?}", loaded(one).probe).contains("hunter2"));
}
