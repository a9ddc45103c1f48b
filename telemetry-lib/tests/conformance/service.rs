//! A service behind real sockets whose telemetry can be read: spans as a collector got them, the
//! page as a scraper got it.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use telemetry_lib::opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use telemetry_lib::opentelemetry::{Context, KeyValue};
use telemetry_lib::propagation::{self, HeaderCarrierMut};
use telemetry_lib::testing::{Exposition, FakeCollector, ReceivedSpan, TestTelemetry};
use telemetry_lib::tracing_opentelemetry::OpenTelemetrySpanExt;
use telemetry_lib::{Config, layers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::read::ABSENT;

pub(crate) struct Service {
    pub(crate) telemetry: TestTelemetry,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// An answer, as far as it came.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(&[], |config| config).await
    }

    /// `{collector}` in a value is the collector's endpoint.
    pub(crate) async fn with(
        variables: &[(&str, &str)],
        configure: impl FnOnce(Config) -> Config,
    ) -> Self {
        let collector = FakeCollector::start();
        let endpoint = collector.endpoint();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.replace("{collector}", &endpoint)))
            .collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let telemetry = TestTelemetry::try_configured(collector, &variables, configure).unwrap();
        let app = telemetry.handle().instrument(routes());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            telemetry,
            address,
            server,
        }
    }

    /// Sends a request line and headers, one a line, and reads until the server closes.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        Self::ask(self.address, request).await
    }

    /// The same, of whoever listens there.
    pub(crate) async fn ask(address: SocketAddr, request: &str) -> Answer {
        Self::ask_with(address, request, b"").await
    }

    /// A request with what follows its head.
    pub(crate) async fn post(&self, request: &str, body: &[u8]) -> Answer {
        Self::ask_with(self.address, request, body).await
    }

    async fn ask_with(address: SocketAddr, request: &str, body: &[u8]) -> Answer {
        let mut stream = write(address, request).await;
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        // A body that breaks ends the connection; what came before is the answer.
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
        let body = answer.split_off(end.map_or(answer.len(), |end| end + 4));
        Answer {
            head: String::from_utf8_lossy(&answer).to_ascii_lowercase(),
            body,
        }
    }

    /// Sends a request and leaves the connection open once the head of the answer is there.
    pub(crate) async fn open(&self, request: &str) -> TcpStream {
        let mut stream = write(self.address, request).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        stream
    }

    /// The same path over HTTP/2, from the connection's preface on.
    pub(crate) async fn send_http2(&self, path: &str) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let executor = TokioExecutor::new();
        let (mut client, connection) = http2::handshake(executor, TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get(format!("http://shop.example:8080{path}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = client.send_request(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        connection.abort();
    }

    /// The span of the last request.
    pub(crate) async fn span(&self) -> ReceivedSpan {
        let spans = self.telemetry.spans().await;
        let server = spans.into_iter().rfind(|span| span.kind() == "server");
        server.expect("the request has a span")
    }

    /// The page for a scraper that prefers this format.
    pub(crate) async fn page(&self, accept: &str) -> (String, Exposition) {
        let answer = self
            .send(&format!("GET /metrics HTTP/1.1\naccept: {accept}"))
            .await;
        let kind = answer.header("content-type");
        let text = String::from_utf8(answer.body).unwrap();
        let page = Exposition::parse(&kind, &text);
        (text.clone(), page.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Answer {
    /// The value of a header, in lower case; [`ABSENT`] without it.
    pub(crate) fn header(&self, name: &str) -> String {
        let mut lines = self.head.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or(ABSENT).trim().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn write(address: SocketAddr, request: &str) -> TcpStream {
    let mut head = request.trim().to_owned();
    if !head.contains("host:") && head.contains("HTTP/1.1") {
        head.push_str("\nhost: shop.example:8080");
    }
    let lines: Vec<&str> = head.lines().map(str::trim).collect();
    let wire = lines.join("\r\n") + "\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(wire.as_bytes()).await.unwrap();
    stream
}

fn routes() -> Router {
    let status = |Path(code): Path<u16>| async move { StatusCode::from_u16(code).unwrap() };
    Router::new()
        .route("/users/{id}", any(|| async { "user" }))
        .route("/status/{code}", get(status))
        .route(
            "/reads",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route("/breaks", get(|| async { breaking() }))
        .route("/endless", get(|| async { Body::from_stream(endless()) }))
        .route("/relay", get(relay))
        .route("/rich", get(rich))
        .route(
            "/panics",
            get(|| async {
                if true {
                    panic!("in the handler")
                }
            }),
        )
        .layer(layers::panic())
}

/// A body that gives nothing and does not end.
fn endless() -> stream::Pending<Result<Bytes, std::io::Error>> {
    stream::pending()
}

/// 201, then a body that fails.
fn breaking() -> Response {
    let frames = [Ok("some"), Err(std::io::Error::other("disk"))];
    let mut response = Response::new(Body::from_stream(stream::iter(frames)));
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// What a service sends on, as lines.
async fn relay() -> String {
    let mut headers = HeaderMap::new();
    propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
    let line = |name: &str| {
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        format!("{name}: {}\n", value.unwrap_or(ABSENT))
    };
    ["traceparent", "tracestate", "baggage"].map(line).concat()
}

/// A child span with six attributes, four events of three fields (and level and target) and four
/// links of two attributes.
async fn rich() -> &'static str {
    let span = tracing::info_span!(
        "rich",
        a = 1,
        b = 2,
        c = 3,
        d = 4,
        e = 5,
        text = "0123456789"
    );
    for number in 1..=4_u64 {
        let linked = SpanContext::new(
            TraceId::from(u128::from(number)),
            SpanId::from(number),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let attributes = vec![KeyValue::new("a", 1), KeyValue::new("b", 2)];
        span.add_link_with_attributes(linked, attributes);
    }
    span.in_scope(|| {
        for a in 1..=4 {
            tracing::warn!(a, b = 2, c = 3, "again");
        }
    });
    "rich"
}
