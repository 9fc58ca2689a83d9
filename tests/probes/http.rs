//! http: against nginx, in plain text and over TLS, HTTP/1.1 and HTTP/2, with redirects, users and compression.

use super::papers::Papers;
use super::support::{Nginx, skipped};
use super::{Said, agent, one, until_probe};

/// nginx as these tests ask it.
struct Site {
    nginx: Nginx,
    papers: Papers,
}

const PLAIN: &str = r#"
    listen 127.0.0.1:PORT; listen unix:FOLDER/socket;
    default_type text/plain;
    location = / { return 200 "hello from nginx\n"; }
    location = /who {
        return 200 "$request_method $http_host $http_authorization|$http_cookie|$http_x_key|$http_traceparent|$http_user_agent";
    }
    location = /json { default_type application/json; add_header x-two one; add_header x-two two; return 200 '{"status": "ok"}'; }
    location = /sent { return 200 "$request_method $content_length $content_type"; }
    location = /private { auth_basic shop; auth_basic_user_file FOLDER/users; try_files /nginx.conf =404; }
    location = /broken { return 503 "out of order"; }
    location = /to { return 302 /json; }
    location = /post { return 303 /sent; }
    location = /post-again { return 307 /sent; }
    location = /circle { return 301 /circle; }
    location = /one { return 301 /two; }
    location = /two { return 301 /three; }
    location = /three { return 301 /json; }
    location = /file { return 302 file:///etc/passwd; }
    location = /relative { absolute_redirect off; return 302 who; }
    location = /away { return 302 http://localhost:PORT/who; }
    location = /login { add_header Set-Cookie "session=1; Path=/; HttpOnly"; return 302 /who; }
    location = /gzip { gzip on; gzip_types text/plain; return 200 "needle in a haystack needle in a haystack needle in a haystack needle in a haystack"; }
    location = /none { return 204; }
"#;

impl Site {
    fn start() -> Option<Site> {
        let papers = Papers::new();
        papers.write("users", "vigie:{PLAIN}hunter2-hunter2\n");
        let folder = papers.folder().display().to_string();
        let tls = format!("ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;");
        let says = r#"location / { return 200 "$server_protocol $ssl_server_name $host $http_authorization"; }"#;
        let nginx = Nginx::start(&[
            PLAIN.replace("FOLDER", &folder),
            format!(
                "listen 127.0.0.1:PORT ssl http2; {tls} {says} location = /down {{ return 302 http://localhost/; }}"
            ),
            format!("listen 127.0.0.1:PORT ssl; {tls} {says}"),
            format!("listen 127.0.0.1:PORT http2; {says}"),
        ])?;
        Some(Site { nginx, papers })
    }

    fn plain(&self, path: &str, more: &str) -> Said {
        http(&format!("http://127.0.0.1:{}{path}", self.nginx.ports[0]), more)
    }

    /// Over TLS, by the server of that number.
    fn secure(&self, server: usize, more: &str) -> Said {
        let tls = format!("tls = {{ ca = '{}' }}\n", self.papers.path("ca.pem").display());
        http(&format!("https://localhost:{}/", self.nginx.ports[server]), &format!("{tls}{more}"))
    }
}

fn http(url: &str, more: &str) -> Said {
    one(&format!("[[probe.http]]\nname = 'x'\nurl = '{url}'\ntimeout = '1500ms'\n{more}\n"))
}

#[track_caller]
fn is(said: &Said, result: &str, words: &[&str]) {
    assert_eq!(said.result, result, "{said:?}");
    let lacks: Vec<_> = words.iter().filter(|word| !said.why.contains(**word)).collect();
    assert!(lacks.is_empty(), "lacks {lacks:?}: {said:?}");
}

#[test]
fn what_is_asked_and_what_is_expected() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    is(&site.plain("/", "expect = 'hello'"), "good", &[]);
    is(&site.plain("/", "expect = ['hello', \"nginx\\n$\"]\nexpect_not = 'apache'\nmethod = 'GET'"), "good", &[]);
    is(
        &site.plain("/", "expect = 'goodbye'"),
        "body",
        &["nothing in the content is like \"goodbye\"", "hello from nginx"],
    );
    is(&site.plain("/", "expect_not = ['z', 'hel+o']"), "body", &["is like \"hel+o\""]);
    is(&site.plain("/", "method = 'HEAD'"), "good", &[]);
    is(&site.plain("/none", "expect = '^$'"), "good", &[]);
    let agent = format!(r"expect = '\|vigie/{}$'", env!("CARGO_PKG_VERSION"));
    is(&site.plain("/who", &agent), "good", &[]);
    is(
        &site.plain(
            "/who",
            "headers = { host = 'shop.example', user-agent = 'me' }\nexpect = '^GET shop.example .*me$'",
        ),
        "good",
        &[],
    );
    is(
        &site.plain(
            "/who",
            r"traceparent = true
expect = '\|00-[0-9a-f]{32}-[0-9a-f]{16}-01\|'",
        ),
        "good",
        &[],
    );
    is(&site.plain("/broken", "traceparent = true"), "status", &["(trace "]);
    let post = "method = 'POST'\nheaders = { content-type = 'text/x' }\nbody = 'abc'\n";
    is(&site.plain("/sent", &format!("{post}expect = '^POST 3 text/x$'")), "good", &[]);
    for (path, status, result, words) in [
        ("/broken", "", "status", &["answers 503 Service Unavailable, expected 2xx", "→ check the target's log"][..]),
        ("/broken", "status = [200, '500-599']", "good", &[]),
        ("/broken", "status = '503'", "good", &[]),
        ("/broken", "status = 200", "status", &["expected 200"]),
        ("/nothing", "", "status", &["404 Not Found", "→ check the path"]),
        ("/private", "", "auth", &["401 Unauthorized", "→ say who asks, by `basic_auth`"]),
    ] {
        is(&site.plain(path, status), result, words);
    }
    for (headers, result, words) in [
        ("expect_headers = { content-type = '^application/json$', x-two = ['one', 'two'] }", "good", &[][..]),
        (
            "expect_headers = { x-two = 'three' }",
            "header",
            &["the header x-two is \"one\", expected it like \"three\""],
        ),
        ("expect_headers = { x-three = '.' }", "header", &["the header x-three is not there"]),
        ("expect_headers_not = { x-three = '.', server = 'apache' }", "good", &[]),
        ("expect_headers_not = { x-two = 'two' }", "header", &["the header x-two is \"two\", like \"two\""]),
    ] {
        is(&site.plain("/json", headers), result, words);
    }
    let socket = format!("socket = '{}'\nexpect = '^GET shop.example '", site.papers.path("socket").display());
    is(&http("http://shop.example/who", &socket), "good", &[]);
    is(&http("http://shop.example/away", &socket), "redirect", &["which is not behind"]);
    is(&http("http://shop.example/who", "socket = '/nowhere'"), "connect", &["unix:/nowhere"]);
    is(&http("http://nobody.invalid/", ""), "dns", &["nobody.invalid has no address"]);
    is(&site.plain("/", "ip = '4'"), "good", &[]);
    is(&site.plain("/", "ip = '6'"), "dns", &["no address of IPv6", "`ip`"]);
}

#[test]
fn secrets_are_sent_to_whom_they_are_for_and_shown_to_nobody() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    let (papers, secret) = (&site.papers, |name: &str| format!("{{ file = '{}' }}", site.papers.path(name).display()));
    papers.write("password", "hunter2-hunter2\n");
    papers.write("wrong", "hunter3-hunter3\n");
    let basic = |name: &str| format!("basic_auth = {{ user = 'vigie', password = {} }}\n", secret(name));
    is(&site.plain("/private", &basic("password")), "good", &[]);
    let refused = site.plain("/private", &basic("wrong"));
    is(&refused, "auth", &["401 Unauthorized", "→ check the user, the password"]);
    is(&site.plain("/private", &basic("gone")), "auth", &["cannot read the secret in"]);
    let bearer = format!("bearer_token = {}\n", secret("password"));
    let all = format!("{bearer}headers = {{ x-key = {}, cookie = {} }}\n", secret("password"), secret("wrong"));
    let sent = r"expect = ' Bearer hunter2-hunter2\|hunter3-hunter3\|hunter2-hunter2\|'";
    is(&site.plain("/who", &format!("{all}{sent}")), "good", &[]);
    // To another host of the same address: without any of it.
    is(&site.plain("/away", &format!("{all}expect = '^GET localhost:[0-9]+ [|][|][|][|]vigie'")), "good", &[]);
    // Who repeats them is not repeated.
    let repeated = site.plain("/who", &format!("{all}expect = 'nothing'"));
    is(&repeated, "body", &["Bearer ***"]);
    for said in [refused, repeated] {
        assert!(!said.why.contains("hunter"), "{said:?}");
    }
}

#[test]
fn redirects_are_followed_as_far_as_they_may_be() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    is(&site.plain("/to", "expect = 'ok'"), "good", &[]);
    is(&site.plain("/one", "expect = 'ok'\nmax_redirects = 3"), "good", &[]);
    is(&site.plain("/one", "max_redirects = 2"), "redirect", &["more than 2 times", "/json"]);
    is(&site.plain("/circle", ""), "redirect", &["more than 10 times", "where it has been before"]);
    is(&site.plain("/to", "follow_redirects = false"), "status", &["302 Found", "set `follow_redirects`"]);
    is(&site.plain("/to", "follow_redirects = false\nstatus = 302"), "good", &[]);
    let named = "headers = { host = 'shop.example' }\nexpect = '^GET shop.example '";
    is(&site.plain("/relative", named), "good", &[]);
    is(&site.plain("/file", ""), "redirect", &["redirects to a URL of file:, where no check goes"]);
    is(&site.plain("/login", "expect = 'session=1'"), "good", &[]);
    let post = "method = 'POST'\nheaders = { content-type = 'text/x' }\nbody = 'abc'\n";
    is(&site.plain("/post", &format!("{post}expect = '^GET  $'")), "good", &[]);
    is(&site.plain("/post-again", &format!("{post}expect = '^POST 3 text/x$'")), "good", &[]);
}

#[test]
fn content_is_unpacked_and_not_too_long() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    let gzip = "compression = 'gzip'\nexpect_headers = { content-encoding = 'gzip' }\n";
    is(&site.plain("/gzip", &format!("{gzip}expect = '(needle.*){{4}}'")), "good", &[]);
    is(&site.plain("/gzip", "compression = 'gzip'\nmax_body = '60B'"), "size", &["longer than 60 bytes", "`max_body`"]);
    let by_hand = "headers = { accept-encoding = 'gzip' }\nexpect = 'needle'";
    is(&site.plain("/gzip", by_hand), "body", &["→ it comes compressed: set `compression`"]);
    is(&site.plain("/", "compression = 'gzip'\nexpect = 'hello'"), "good", &[]);
    is(&site.plain("/", "max_body = 5"), "size", &["longer than 5 bytes"]);
}

#[test]
fn tls_and_http_2_are_spoken_where_they_are_asked_for() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    is(&site.secure(1, "expect = '^HTTP/2.0 localhost localhost '"), "good", &[]);
    is(&site.secure(1, "version = '2'\nexpect = '^HTTP/2.0'"), "good", &[]);
    is(&site.secure(1, "version = '1.1'\nexpect = '^HTTP/1.1'"), "good", &[]);
    is(&site.secure(2, "expect = '^HTTP/1.1'"), "good", &[]);
    is(&site.secure(2, "version = '2'"), "protocol", &["does not speak HTTP/2 over TLS", "`version`"]);
    is(&site.secure(1, "headers = { host = 'shop.example' }"), "tls", &["is for localhost, not for shop.example"]);
    let plain = |more: &str| http(&format!("http://127.0.0.1:{}/", site.nginx.ports[3]), more);
    is(&plain("version = '2'\nexpect = '^HTTP/2.0'"), "good", &[]);
    is(&plain(""), "protocol", &["speaks HTTP/2 only", "`version`"]);
    is(&site.plain("/", "version = '2'"), "protocol", &["speaks HTTP/1, not HTTP/2"]);
    // The wrong port, either way.
    let swapped =
        |scheme: &str, server: usize| http(&format!("{scheme}://localhost:{}/", site.nginx.ports[server]), "");
    is(&swapped("http", 2), "protocol", &["speaks TLS, not plain HTTP", "→ write https://"]);
    is(&swapped("https", 0), "tls", &["speaks no TLS", "by http://"]);
}

#[test]
fn what_was_seen_stands_on_the_page() {
    let Some(site) = Site::start() else { return skipped("nginx is not installed") };
    let [plain, secure, ..] = site.nginx.ports[..] else { panic!("{:?}", site.nginx.ports) };
    let tls = format!("tls = {{ ca = '{}' }}\n", site.papers.path("ca.pem").display());
    let probes = [
        ("redirected", format!("url = 'http://127.0.0.1:{plain}/one'\nexpect = 'nothing'")),
        ("packed", format!("url = 'http://127.0.0.1:{plain}/gzip'\ncompression = 'gzip'")),
        ("file", format!("url = 'http://127.0.0.1:{plain}/nginx.conf'")),
        ("secure", format!("url = 'https://localhost:{secure}/'\n{tls}")),
        ("down", format!("url = 'https://localhost:{secure}/down'\nmax_redirects = 1\n{tls}")),
        ("nobody", "url = 'http://nobody.invalid/'".to_owned()),
    ];
    let config: String =
        probes.iter().map(|(name, own)| format!("[[probe.http]]\nname = '{name}'\ninterval = '1s'\n{own}\n")).collect();
    let agent = agent(&config);
    for (name, _) in &probes {
        until_probe(&agent, name, "asked", |probe| !probe["success"].is_null());
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    let value = |probe: &str, name: &str| {
        let mut found = page.of(name).filter(|(series, _)| series.label("probe") == probe);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} of {probe} stands twice");
        value
    };
    for (probe, name, expected) in [
        ("redirected", "probe_http_redirects", Some(3.0)),
        ("redirected", "probe_http_status_code", Some(200.0)),
        ("redirected", "probe_failed_due_to_regex", Some(1.0)),
        ("redirected", "probe_http_version", Some(1.1)),
        ("redirected", "probe_http_content_length", Some(16.0)),
        ("redirected", "probe_http_ssl", Some(0.0)),
        ("redirected", "probe_tls_version_info", None),
        ("packed", "probe_http_content_length", Some(-1.0)),
        ("packed", "probe_http_uncompressed_body_length", Some(83.0)),
        ("secure", "probe_http_ssl", Some(1.0)),
        ("secure", "probe_http_version", Some(2.0)),
        ("secure", "probe_tls_version_info", Some(1.0)),
        ("down", "probe_tls_version_info", None),
        ("nobody", "probe_http_status_code", Some(0.0)),
        ("nobody", "probe_success", Some(0.0)),
        ("nobody", "probe_http_last_modified_timestamp_seconds", None),
    ] {
        assert_eq!(value(probe, name), expected, "{name} of {probe}");
    }
    assert!(value("file", "probe_http_last_modified_timestamp_seconds").is_some_and(|seconds| seconds > 1.7e9));
    let phases = page.of("probe_http_duration_seconds").count();
    assert_eq!(phases, 5 * probes.len());
}
