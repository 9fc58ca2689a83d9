//! A collector: tonic's server with the service that OpenTelemetry's own protocol crate generates. It keeps what it is
//! sent, and answers as it is told to.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
pub(crate) use tonic::transport::{Certificate, Identity, ServerTlsConfig};
pub(crate) use tonic::{Code, Status};
use tonic::{Request, Response};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a call is answered.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Accept,
    /// All but so many points, and why; with no point rejected it is a warning.
    Partial(i64, &'static str),
    Refuse(Status),
    /// First nothing for so long.
    Wait(Duration),
}

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: ExportMetricsServiceRequest,
    pub(crate) metadata: MetadataMap,
    /// Where from: one address is one connection.
    pub(crate) from: Option<SocketAddr>,
    /// What it is refused with; what comes after a wait is not told.
    pub(crate) refused: Option<Status>,
}

impl Call {
    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.metadata.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &Metric> {
        let scopes = self.request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics)
    }
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    acts: VecDeque<Act>,
    otherwise: Option<Act>,
}

impl State {
    fn next(&mut self) -> Act {
        self.acts.pop_front().or_else(|| self.otherwise.clone()).unwrap_or(Act::Accept)
    }
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let from = request.remote_addr();
        let (metadata, _, request) = request.into_parts();
        let mut act = {
            let mut state = self.state();
            let act = state.next();
            let refused = if let Act::Refuse(status) = &act { Some(status.clone()) } else { None };
            state.calls.push(Call { request, metadata, from, refused });
            act
        };
        loop {
            let partial_success = match act {
                Act::Accept => None,
                Act::Partial(rejected_data_points, message) => {
                    Some(ExportMetricsPartialSuccess { rejected_data_points, error_message: message.to_owned() })
                }
                Act::Refuse(status) => return Err(status),
                Act::Wait(time) => {
                    tokio::time::sleep(time).await;
                    act = self.state().next();
                    continue;
                }
            };
            return Ok(Response::new(ExportMetricsServiceResponse { partial_success }));
        }
    }
}

/// Where a collector listens, and how.
#[derive(Clone, Default)]
pub(crate) struct Site {
    /// 0: any port of 127.0.0.1.
    pub(crate) port: u16,
    /// Every address of this host, not only the loopback.
    pub(crate) public: bool,
    /// Instead of a port.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) tls: Option<ServerTlsConfig>,
    /// Connections are closed after so long.
    pub(crate) max_age: Option<Duration>,
}

/// A collector at work, in a thread of its own. Dropping it ends it, and cuts its connections.
pub(crate) struct Collector {
    service: Service,
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// On some port of the loopback, without TLS.
    pub(crate) fn start() -> Collector {
        Collector::on(Site::default())
    }

    pub(crate) fn on(site: Site) -> Collector {
        let service = Service::default();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = service.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut server = Server::builder();
                if let Some(tls) = site.tls {
                    server = server.tls_config(tls).unwrap();
                }
                if let Some(age) = site.max_age {
                    server = server.max_connection_age(age);
                }
                let router =
                    server.add_service(MetricsServiceServer::new(served).accept_compressed(CompressionEncoding::Gzip));
                let serve = async {
                    if let Some(path) = site.socket {
                        let listener = UnixListener::bind(path).unwrap();
                        tell.send(0).unwrap();
                        router.serve_with_incoming(UnixListenerStream::new(listener)).await
                    } else {
                        let address = if site.public { [0; 4] } else { [127, 0, 0, 1] };
                        let listener = TcpListener::bind((std::net::Ipv4Addr::from(address), site.port)).await.unwrap();
                        tell.send(listener.local_addr().unwrap().port()).unwrap();
                        router.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))).await
                    }
                };
                tokio::select! {
                    served = serve => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let port = told.recv().unwrap();
        Collector { service, port, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What answers the next calls, one each; after them every call is accepted, or as [`Collector::always`] says.
    pub(crate) fn then(&self, acts: impl IntoIterator<Item = Act>) {
        self.service.state().acts.extend(acts);
    }

    /// What answers every other call.
    pub(crate) fn always(&self, act: Act) {
        self.service.state().otherwise = Some(act);
    }

    /// How many of [`Collector::then`] have answered nothing yet.
    pub(crate) fn pending(&self) -> usize {
        self.service.state().acts.len()
    }

    /// What came so far, also what was refused.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.service.state().calls.clone()
    }

    /// What came so far, which is forgotten.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.service.state().calls)
    }

    /// Waits until so many calls came in all.
    #[track_caller]
    pub(crate) fn wait(&self, count: usize) -> Vec<Call> {
        let begun = Instant::now();
        loop {
            let calls = self.calls();
            if calls.len() >= count {
                return calls;
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {count} calls came", calls.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
