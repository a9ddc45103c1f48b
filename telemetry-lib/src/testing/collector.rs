//! A trace collector on loopback that decodes what it is sent and answers as the test says. It
//! uses threads and needs no runtime, so it works inside any test.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::HeaderMap;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::Answer;
use super::connection::serve;
use super::span::ReceivedSpan;

/// How long a test may wait for what should come at once; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// For longer than any test a thread is kept for the next connection.
const STAY: Duration = Duration::from_secs(60 * 60);

/// The collector. It stops, and closes its connections, when it is dropped.
#[derive(Debug)]
pub struct FakeCollector {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    acceptor: Option<JoinHandle<()>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The path, with its query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The size of the body on the wire, in bytes.
    pub body_bytes: usize,
    /// The spans in it, whether or not they were then accepted.
    pub spans: Arc<Vec<ReceivedSpan>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    usual: Answer,
    requests: Vec<ReceivedRequest>,
    accepted: Vec<ReceivedSpan>,
    connections: Vec<TcpStream>,
    stopped: bool,
}

impl FakeCollector {
    /// A plain-text collector on a free port of 127.0.0.1 that accepts everything.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    #[must_use]
    pub fn start() -> Self {
        Self::listen("http", serve)
    }

    /// The same over TLS; clients reach it under the name `localhost`.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    #[must_use]
    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::listen("https", move |stream, shared| {
            let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            serve(StreamOwned::new(tls, stream), shared)
        })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let host = match self.scheme {
            "https" => "localhost",
            _ => "127.0.0.1",
        };
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// For `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    #[must_use]
    pub fn traces_endpoint(&self) -> String {
        format!("{}/v1/traces", self.endpoint())
    }

    /// What happens to the next request that has no answer yet.
    pub fn next(&self, answer: Answer) {
        self.shared.lock().script.push_back(answer);
    }

    /// What happens to every request for which nothing was scripted.
    pub fn always(&self, answer: Answer) {
        self.shared.lock().usual = answer;
    }

    /// All requests until now.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.clone()
    }

    /// The spans that were accepted until now.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.lock().accepted.clone()
    }

    /// Waits until so many spans were accepted, and returns all of them.
    ///
    /// # Panics
    ///
    /// When they do not come within a minute.
    #[track_caller]
    pub fn wait_for_spans(&self, count: usize) -> Vec<ReceivedSpan> {
        self.wait(|state| (state.accepted.len() >= count).then(|| state.accepted.clone()))
    }

    /// Waits until so many requests came, and returns all of them.
    ///
    /// # Panics
    ///
    /// When they do not come within a minute.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> Vec<ReceivedRequest> {
        self.wait(|state| (state.requests.len() >= count).then(|| state.requests.clone()))
    }

    #[track_caller]
    fn wait<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |state| ready(state).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match ready(&state) {
            Some(found) => found,
            None => panic!(
                "the collector has {} requests and {} spans after {PATIENCE:?}",
                state.requests.len(),
                state.accepted.len()
            ),
        }
    }

    fn listen(
        scheme: &'static str,
        serve: impl Fn(TcpStream, &Shared) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared::new());
        let accepting = Arc::clone(&shared);
        let serve = Arc::new(serve);
        // Its threads stay when their connections end. The standard library holds a lock while a thread ends, and a
        // process that is forked just then has a child in which none can run.
        let pool = tokio::runtime::Builder::new_current_thread()
            .thread_keep_alive(STAY)
            .build()
            .expect("a runtime without drivers");
        let acceptor = thread::spawn(move || {
            let streams = listener.incoming().map_while(Result::ok);
            let accepted =
                streams.map_while(|stream| Some((accepting.connected(&stream)?, stream)));
            for (end, stream) in accepted {
                let (shared, serve) = (Arc::clone(&accepting), Arc::clone(&serve));
                pool.spawn_blocking(move || {
                    // A broken connection is the peer's business, or the script's.
                    drop(serve(stream, &shared));
                    drop(end.shutdown(Shutdown::Both));
                });
            }
            // One that a script keeps waiting is not waited for.
            pool.shutdown_background();
        });
        Self {
            shared,
            address,
            scheme,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        self.shared.stop();
        // Wakes the acceptor, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                script: VecDeque::new(),
                usual: Answer::ok(),
                requests: Vec::new(),
                accepted: Vec::new(),
                connections: Vec::new(),
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Notes the request and decides its answer.
    pub(super) fn receive(&self, request: ReceivedRequest) -> (Answer, Arc<Vec<ReceivedSpan>>) {
        let spans = Arc::clone(&request.spans);
        let mut state = self.lock();
        state.requests.push(request);
        let answer = state.script.pop_front();
        let answer = answer.unwrap_or_else(|| state.usual.clone());
        drop(state);
        self.changed.notify_all();
        (answer, spans)
    }

    pub(super) fn accept(&self, spans: Arc<Vec<ReceivedSpan>>) {
        self.lock().accepted.extend(spans.iter().cloned());
        self.changed.notify_all();
    }

    pub(super) fn wait_for_stop(&self) {
        let state = self.lock();
        drop(self.changed.wait_while(state, |state| !state.stopped));
    }

    /// A second handle, to end the connection with, unless the collector has stopped. The stop
    /// keeps a third: it cuts what is still open.
    fn connected(&self, stream: &TcpStream) -> Option<TcpStream> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        state.connections.push(stream.try_clone().ok()?);
        stream.try_clone().ok()
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        for connection in state.connections.drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint at which nobody listens.
///
/// # Panics
///
/// When no port can be bound.
#[must_use]
pub fn closed_endpoint() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    format!("http://{address}/v1/traces")
}
