//! `[module.KIND.NAME]` and `http.probe_targets`.

use super::*;

#[test]
fn a_module_is_a_probe_without_what_it_asks() {
    let config = loaded(concat!(
        "[module.tcp.smtp]\ntimeout = '2s'\nscript = [{ expect = '^220 ' }]\n",
        "[module.tcp.connect]\n[module.icmp.ping]\n[module.dns.zone]\nquery = 'example.org'\n",
        "[http]\nprobe_targets = ['*.example.org:25', '10.0.0.0/8']\n",
    ));
    assert_eq!(config.module.names(), ["connect", "ping", "smtp", "zone"]);
    let nobody = std::sync::Arc::from([]);
    let find = |name: &str, target: &str| config.module.find(name, target, &nobody);
    let wanted = find("smtp", "mail.example.org:25").unwrap().unwrap();
    let told = (wanted.plan.kind, &*wanted.plan.target, wanted.timeout);
    assert_eq!(told, ("tcp", "mail.example.org:25", Some(Duration::from_secs(2))));
    assert_eq!(wanted.destination.to_string(), "mail.example.org:25");
    assert!(config.http.probe_targets[0].admits(&wanted.destination));
    let zone = find("zone", "2001:db8::53").unwrap().unwrap();
    assert_eq!((&*zone.plan.target, zone.destination.to_string()), {
        ("example.org A @[2001:db8::53]:53", "[2001:db8::53]:53".to_owned())
    });
    assert!(find("ping", "a b").unwrap().is_err());
    assert!(find("connect", "unix:/run/x.sock").unwrap().is_err());
    assert!(find("nosuch", "x").is_none());
    assert_ne!(config.hash(), Config::default().hash());
}

#[test]
fn mistakes_in_modules_are_told_at_once_with_their_places() {
    assert_told(
        &refused(concat!(
            "[module.tcp_connect]\nprober = 'tcp'\n",
            "[module.tcp.a]\naddress = 'mail:25'\ntimout = '1s'\nname = 'x'\n",
            "[module.icmp.a]\ntimeout = 5\n",
            "[module.dns.b]\n",
            "[module.htttp.c]\n",
            "[http]\nprobe_targets = ['10.*']\n",
        )),
        r#"
vigie.toml:1:9: unknown key `tcp_connect` in [module]
  |
1 | [module.tcp_connect]
  |         ^^^^^^^^^^^ write [module.KIND.NAME], where the kind is one of `dns`, `http`, `icmp`, `tcp`

vigie.toml:3:13: `module.tcp.a`: a module of the kind icmp is called "a" too
  |
3 | [module.tcp.a]
  |             ^ a request names the module and no kind: give each a name of its own

vigie.toml:4:1: `module.tcp.a`: a module has no `address`: it comes with each request, as target=
  |
4 | address = 'mail:25'
  | ^^^^^^^

vigie.toml:5:1: unknown key `timout` in [module.tcp.a]
  |
5 | timout = …
  | ^^^^^^ did you mean `timeout`?

vigie.toml:6:1: unknown key `name` in [module.tcp.a]
  |
6 | name = …
  | ^^^^ known here: `timeout`, `ip`, `tls`, `script`

vigie.toml:8:11: `module.icmp.a.timeout`: expected a duration from 10ms to 1m with its unit, such as "250ms", found 5
  |
8 | timeout = 5
  |           ^

vigie.toml:9:1: `module.dns.b` lacks `query`
  |
9 | [module.dns.b]
  | ^^^^^^^^^^^^^^

vigie.toml:10:9: unknown key `htttp` in [module]
   |
10 | [module.htttp.c]
   |         ^^^^^ write [module.KIND.NAME], where the kind is one of `dns`, `http`, `icmp`, `tcp`

vigie.toml:12:18: `http.probe_targets`: expected targets such as "https://*.example.com", "db-1:5432", "10.0.0.0/8:*" or "[2001:db8::/32]:443", found "10.*"
   |
12 | probe_targets = ['10.*']
   |                  ^^^^^^
"#,
    );
}
