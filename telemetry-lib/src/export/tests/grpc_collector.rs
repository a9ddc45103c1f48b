//! A collector that takes OTLP over gRPC with tonic's server, so that what we write by hand is read
//! by somebody else. It answers as the test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) type Answer = Result<ExportTraceServiceResponse, Status>;
type Codec = ProstCodec<ExportTraceServiceResponse, ExportTraceServiceRequest>;

/// Stops when it is dropped.
pub(super) struct GrpcCollector {
    shared: Arc<Mutex<State>>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    received: Vec<Received>,
}

/// What came with one request.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) metadata: MetadataMap,
    pub(super) spans: Vec<String>,
    pub(super) service: String,
}

impl GrpcCollector {
    pub(super) fn start() -> Self {
        Self::listen(None)
    }

    pub(super) fn start_tls(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn endpoint(&self, scheme: &str) -> String {
        let host = match scheme {
            "https" => "localhost",
            _ => "127.0.0.1",
        };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// What happens to the next request that has no answer yet; all others are accepted.
    pub(super) fn next(&self, answer: Answer) {
        lock(&self.shared).script.push_back(answer);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.shared).received.clone()
    }

    /// How many spans each request had.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let received = self.received();
        received.iter().map(|request| request.spans.len()).collect()
    }

    fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, tls, state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for GrpcCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state).await;
                    }
                }
            }
        });
    }
}

/// A broken connection is the peer's business.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, state: Arc<Mutex<State>>) {
    let service = hyper::service::service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(export(request, state).await) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

async fn export(
    request: http::Request<hyper::body::Incoming>,
    state: Arc<Mutex<State>>,
) -> http::Response<tonic::body::Body> {
    if request.uri().path() != PATH {
        return Status::unimplemented("unknown service").into_http();
    }
    let method = tower::service_fn(move |request: Request<ExportTraceServiceRequest>| {
        let answer = answer(request, &state);
        async move { answer.map(Response::new) }
    });
    let mut grpc = tonic::server::Grpc::new(Codec::default())
        .accept_compressed(CompressionEncoding::Gzip)
        // As the Collector does, it answers gzip with gzip.
        .send_compressed(CompressionEncoding::Gzip);
    grpc.unary(method, request).await
}

fn answer(request: Request<ExportTraceServiceRequest>, state: &Mutex<State>) -> Answer {
    let metadata = request.metadata().clone();
    let resources = request.into_inner().resource_spans;
    let attributes = resources.iter().flat_map(|it| &it.resource);
    let attributes = attributes.flat_map(|it| &it.attributes);
    let mut service = attributes.filter(|it| it.key == "service.name");
    let service = service.next().map(|it| format!("{:?}", it.value));
    let scopes = resources.iter().flat_map(|it| &it.scope_spans);
    let spans = scopes.flat_map(|it| &it.spans).map(|it| it.name.clone());
    let mut state = lock(state);
    state.received.push(Received {
        metadata,
        spans: spans.collect(),
        service: service.unwrap_or_default(),
    });
    let scripted = state.script.pop_front();
    scripted.unwrap_or_else(|| Ok(ExportTraceServiceResponse::default()))
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
