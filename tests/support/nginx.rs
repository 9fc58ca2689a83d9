//! nginx, each server of it on a spare port.

use std::path::Path;

use super::{Connection, PATIENCE, Peer, find, spare_port, until};

/// Where Debian has what makes nginx speak for mail servers.
const MAIL: &str = "/usr/lib/nginx/modules/ngx_mail_module.so";

/// A running nginx. It is one process: killing it ends it.
pub(crate) struct Nginx {
    pub(crate) peer: Peer,
    /// The port of each server, in their order.
    pub(crate) ports: Vec<u16>,
}

impl Nginx {
    /// Web servers, each the inside of a `server` block in which `PORT` is its own port; nothing where nginx is not
    /// installed.
    #[track_caller]
    pub(crate) fn start(servers: &[String]) -> Option<Nginx> {
        Nginx::run(servers, |place, blocks| {
            let place = place.display();
            format!(
                "events {{}}
                 http {{
                     access_log off; root {place}; ssl_protocols TLSv1.2 TLSv1.3;
                     client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
                     fastcgi_temp_path {place}/fastcgi; scgi_temp_path {place}/scgi; uwsgi_temp_path {place}/uwsgi;
                     {blocks}
                 }}"
            )
        })
    }

    /// The same for what stands before mail servers: it greets and begins TLS, and there is nobody behind it.
    #[track_caller]
    pub(crate) fn mail(servers: &[String]) -> Option<Nginx> {
        Path::new(MAIL).exists().then_some(())?;
        Nginx::run(servers, |_, blocks| {
            let head = format!("load_module {MAIL}; events {{}}");
            format!(
                "{head} mail {{ server_name localhost; auth_http 127.0.0.1:1/; ssl_protocols TLSv1.2 TLSv1.3; {blocks} }}"
            )
        })
    }

    #[track_caller]
    fn run(servers: &[String], config: impl FnOnce(&Path, &str) -> String) -> Option<Nginx> {
        let program = find("nginx")?;
        let ports: Vec<u16> = servers.iter().map(|_| spare_port()).collect();
        let blocks = servers.iter().zip(&ports);
        let blocks: String = blocks
            .map(|(server, port)| format!("server {{ {} }}\n", server.replace("PORT", &port.to_string())))
            .collect();
        let peer = Peer::spawn(&program, |_, command, directory| {
            let place = directory.display();
            let head = format!("daemon off; master_process off; pid {place}/pid; error_log stderr;");
            let config = format!("{head}\n{}", config(directory, &blocks));
            std::fs::write(directory.join("nginx.conf"), config).expect("a configuration for nginx");
            // The log is where nginx writes before it has read where to.
            command.arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf")).args(["-e", "stderr"]);
        });
        for port in &ports {
            until(&format!("nginx listens\n{}", peer.log()), PATIENCE, || Connection::tcp(*port).ok());
        }
        Some(Nginx { peer, ports })
    }
}
