//! `/probe?target=…&module=…` of a running agent.

use std::time::{Duration, Instant};

use super::agent;
use super::servers::{dripping, mail, nobody, saying};
use super::support::{Agent, Answer, Nginx, parse, parse_open_metrics, skipped};

const MODULES: &str = concat!(
    "[module.tcp.smtp]\nscript = [{ expect = '^220 ' }]\n",
    "[module.tcp.tcp_connect]\ntimeout = '200ms'\n[module.icmp.ping]\n",
);

fn prober() -> Agent {
    agent(&format!("{MODULES}[http]\nprobe_targets = ['127.0.0.1:*']\nmax_connections = 8\n"))
}

fn refused(answer: &Answer, status: u16, part: &str) {
    let text = answer.text();
    assert!(answer.status == status && text.contains(part), "{} {text}", answer.status);
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_target_is_asked_as_blackbox_exporter_would() {
    let agent = prober();
    let answer = agent.get(&format!("/probe?target={}&module=smtp", mail()), &[]);
    assert_eq!(answer.status, 200);
    let page = parse(&answer.text());
    assert_eq!((page.value("probe_success", &[]), page.value("probe_failed_due_to_regex", &[])), (1.0, 0.0));
    assert_eq!(page.value("probe_ip_protocol", &[]), 4.0);
    assert!(page.value("probe_duration_seconds", &[]) < 1.0);
    assert!(!answer.text().contains('{') && !answer.text().contains("vigie_"), "{}", answer.text());
    let answer = agent.get(&format!("/probe?module=tcp_connect&target={}", nobody()), &[]);
    let page = parse(&answer.text());
    assert_eq!((answer.status, page.value("probe_success", &[])), (200, 0.0));
    let open = [("Accept", "application/openmetrics-text;version=1.0.0")];
    parse_open_metrics(&agent.get(&format!("/probe?target={}&module=smtp", mail()), &open).text());
}

#[test]
fn who_asks_for_what_may_not_be_had_is_told_why() {
    let agent = prober();
    let get = |query: &str| agent.get(&format!("/probe{query}"), &[]);
    refused(&get(""), 400, "the target is missing");
    refused(&get("?module=smtp"), 400, "the target is missing");
    refused(&get("?module=nosuch&target=127.0.0.1:1"), 400, "ping, smtp, tcp_connect");
    refused(&get("?target=127.0.0.1:1"), 400, "no module is called \"http_2xx\"");
    refused(&get("?target=here&module=smtp"), 400, "expected an address such as");
    refused(&get("?target=%zz&module=smtp"), 400, "the target is no text");
    refused(&get("?target=127.0.0.2:25&module=smtp"), 403, "http.probe_targets does not admit 127.0.0.2:25");
    refused(&get("?target=unix:/run/x.sock&module=smtp"), 400, "a unix socket is not asked for others");
    let shut = super::agent(MODULES);
    refused(&shut.get("/probe?target=127.0.0.1:1&module=smtp", &[]), 403, "name those that may in http.probe_targets");
}

#[test]
fn what_was_done_is_told_to_whom_debugs() {
    let agent = prober();
    let answer = agent.get(&format!("/probe?debug=true&target={}&module=smtp", saying("500 no\r\n")), &[]);
    let text = answer.text();
    for part in [
        "Logs for the probe:\ntcp of 127.0.0.1:",
        " ms  connecting\n",
        " ms  waiting for the line that is expected\n",
        " ms  failed (body): no line like \"^220 \"",
        "\nMetrics that would have been returned:\n# HELP",
        "\nprobe_success 0\n",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_slow_target_keeps_nobody_waiting() {
    let (agent, slow) = (prober(), dripping("220-a mail server that is slow\r\n220 x\r\n"));
    let path = format!("/probe?target={slow}&module=smtp");
    let begun = Instant::now();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let ask = || agent.get(&path, &[("X-Prometheus-Scrape-Timeout-Seconds", "2")]).status;
        let asked: Vec<_> = (0..5).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(agent.get("/metrics", &[]).status, 200);
        assert!(begun.elapsed() < Duration::from_millis(1500), "the page waited for them: {:?}", begun.elapsed());
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    // Two at a time, of eight connections, and each for as long as the scraper waits, less half a second.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1490), "{took:?}");
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 2, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 503).count(), 3, "{answers:?}");
}

#[test]
fn a_web_server_is_asked_without_a_module_and_sends_nobody_anywhere() {
    let servers = ["listen 127.0.0.1:PORT; return 200 good;", "listen 127.0.0.1:PORT; return 302 http://127.0.0.2/;"];
    let Some(nginx) = Nginx::start(&servers.map(str::to_owned)) else {
        return skipped("nginx is not installed");
    };
    let agent = agent("[module.http.http_2xx]\n[http]\nprobe_targets = ['http://127.0.0.1:*']\n");
    let page = |port: u16| parse(&agent.get(&format!("/probe?target=127.0.0.1:{port}"), &[]).text());
    let [good, elsewhere] = nginx.ports[..] else { panic!() };
    assert_eq!((page(good).value("probe_success", &[]), page(good).value("probe_http_status_code", &[])), (1.0, 200.0));
    assert_eq!(page(elsewhere).value("probe_success", &[]), 0.0);
    let told = agent.get(&format!("/probe?debug=true&target=http://127.0.0.1:{elsewhere}/"), &[]).text();
    assert!(told.contains("redirects to http://127.0.0.2/, which http.probe_targets does not admit"), "{told}");
}
