//! Where a request ends: every kind of body, through a real hyper server over HTTP/1 and
//! HTTP/2, against a client that reads all and one that leaves.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod wire;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use telemetry_lib::testing::{AttributeValue, Exposition, TestTelemetry};
use tokio::sync::Notify;
use wire::{Protocol, Wire, read, request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// Reads the response to its end.
    Reads,
    /// Leaves after the first frame of the body.
    LeavesBody,
    /// Leaves with the head of the response, and reads nothing of the body.
    LeavesHead,
    /// Leaves once the handler runs, without a response.
    LeavesHandler,
}

/// What span and metric must say.
#[derive(Clone, Copy, Debug)]
struct Told {
    status: Option<u16>,
    error_type: Option<&'static str>,
    is_error: bool,
}

const OK: Told = Told {
    status: Some(200),
    error_type: None,
    is_error: false,
};

const CANCELLED: Told = Told {
    error_type: Some("cancelled"),
    ..OK
};

/// A frame, then nothing, for ever.
fn endless() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n"))]);
    Body::from_stream(first.chain(stream::pending()))
}

fn broken() -> Body {
    let frames = [
        Ok(Bytes::from_static(b"a")),
        Err(std::io::Error::other("disk")),
    ];
    Body::from_stream(stream::iter(frames))
}

fn panicking() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"a"))]);
    Body::from_stream(first.chain(stream::once(async { panic!("in the body") })))
}

/// More than the buffers between server and client hold.
const LARGE: usize = 8 * 1024 * 1024;

/// So many bytes, promised in the head and given piece by piece, as a file is.
struct Pieces {
    left: usize,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: &[u8] = &[b'x'; 16 * 1024];
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= PIECE.len();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// As many bytes, in pieces whose number nobody was told.
fn large_chunks() -> Body {
    let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
    let chunks = LARGE / chunk.len();
    let chunks = std::iter::repeat_n(chunk, chunks).map(Ok::<_, Infallible>);
    Body::from_stream(stream::iter(chunks))
}

fn response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn events(body: Body) -> Response {
    let mut response = response(StatusCode::OK, body);
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    response
}

/// The head alone promises the length, as for files and what a proxy passes on.
fn sized(length: usize, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-length", length.to_string().parse().unwrap());
    response
}

async fn never(State(entered): State<Arc<Notify>>) -> Response {
    entered.notify_one();
    std::future::pending().await
}

fn router(entered: Arc<Notify>) -> Router {
    let chunks = || stream::iter(["a", "b", "c"].map(Ok::<_, Infallible>));
    let text = |status| move || async move { response(status, Body::from("hello")) };
    Router::new()
        .route("/fixed", any(text(StatusCode::OK)))
        .route("/failed", get(text(StatusCode::SERVICE_UNAVAILABLE)))
        .route("/empty", get(|| async {}))
        .route(
            "/chunked",
            get(move || async move { Body::from_stream(chunks()) }),
        )
        .route("/no-content", get(|| async { StatusCode::NO_CONTENT }))
        .route("/not-modified", get(text(StatusCode::NOT_MODIFIED)))
        .route("/endless", get(|| async { endless() }))
        .route("/events", get(|| async { events(endless()) }))
        .route(
            "/some-events",
            get(move || async move { events(Body::from_stream(chunks())) }),
        )
        .route("/one-frame", get(|| async { vec![b'x'; LARGE] }))
        .route(
            "/large",
            get(|| async { Body::new(Pieces { left: LARGE }) }),
        )
        .route("/large-chunked", get(|| async { large_chunks() }))
        .route(
            "/sized",
            get(move || async move { sized(3, Body::from_stream(chunks())) }),
        )
        .route(
            "/sized-empty",
            get(|| async {
                sized(
                    0,
                    Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()),
                )
            }),
        )
        .route(
            "/large-sized",
            get(|| async { sized(LARGE, large_chunks()) }),
        )
        .route("/broken", get(|| async { broken() }))
        .route("/panicking", get(|| async { panicking() }))
        .route("/never", get(never))
        .route(
            "/panics",
            get(|| async {
                if true {
                    panic!("in the handler")
                }
            }),
        )
        .with_state(entered)
}

async fn drive(
    protocol: Protocol,
    router: Router,
    entered: &Notify,
    method: &str,
    path: &str,
    client: Client,
) {
    let mut wire = Wire::connect(protocol, router).await;
    let request = request(protocol, method, path).body(Empty::new()).unwrap();
    match client {
        Client::LeavesHandler => tokio::select! {
            response = wire.send(request) => panic!("{path} answered {response:?}"),
            () = entered.notified() => {}
        },
        Client::LeavesHead => drop(wire.send(request).await.unwrap()),
        Client::LeavesBody => {
            let response = wire.send(request).await.unwrap();
            let mut body = response.into_body();
            body.frame().await.unwrap().unwrap();
            drop(body);
        }
        Client::Reads => {
            if let Some(response) = wire.send(request).await {
                let _ = read(response).await;
            }
        }
    }
    wire.close().await;
}

async fn check(method: &str, path: &str, client: Client, told: Told) {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let telemetry = TestTelemetry::start();
        let entered = Arc::new(Notify::new());
        let app = telemetry.handle().instrument(router(Arc::clone(&entered)));
        drive(protocol, app, &entered, method, path, client).await;

        let context = format!("{protocol:?} {method} {path} {client:?}");
        let spans = telemetry.spans().await;
        assert_eq!(spans.len(), 1, "one span per request: {context} {spans:#?}");
        let span = &spans[0];
        let status = told.status.map(|code| AttributeValue::Int(code.into()));
        let error_type = told
            .error_type
            .map(|it| AttributeValue::Text(it.to_owned()));
        span.assert_attribute("http.response.status_code", status)
            .assert_attribute("error.type", error_type)
            .assert_attribute("http.route", Some(AttributeValue::Text(path.to_owned())));
        assert_eq!(span.is_error(), told.is_error, "{context}");
        assert_eq!(span.status_message(), "", "the code says it: {context}");

        check_metric(&telemetry.scrape(), method, path, told, span.duration());
    }
}

fn check_metric(scrape: &Exposition, method: &str, path: &str, told: Told, duration: Duration) {
    let status = told.status.map(|code| code.to_string());
    let mut labels = vec![("http_request_method", method), ("http_route", path)];
    labels.extend(
        status
            .as_deref()
            .map(|it| ("http_response_status_code", it)),
    );
    labels.extend(told.error_type.map(|it| ("error_type", it)));
    let family = "http_server_request_duration_seconds";
    let count = scrape.sample(&format!("{family}_count"), &labels).unwrap();
    assert_eq!(count.value, 1.0);
    for (label, told) in [
        ("http_response_status_code", status.as_deref()),
        ("error_type", told.error_type),
    ] {
        assert_eq!(count.labels.get(label).map(String::as_str), told, "{label}");
    }
    assert_eq!(
        scrape.total(&format!("{family}_count")),
        1.0,
        "observed once"
    );
    let sum = scrape.value(&format!("{family}_sum"), &labels).unwrap();
    let difference = (sum - duration.as_secs_f64()).abs();
    assert!(difference < 1e-8, "span {duration:?}, metric {sum} s");
    assert_eq!(
        scrape.total("http_server_active_requests"),
        0.0,
        "the gauge is back"
    );
}

const NO_RESPONSE: Told = Told {
    status: None,
    ..CANCELLED
};

const fn status(code: u16) -> Told {
    Told {
        status: Some(code),
        ..OK
    }
}

/// Each kind of body against a client that reads all of it and one that leaves. A body that is
/// small, or one frame, is in the server's buffers before a client can leave, so it is complete:
/// what happens there nobody above can see.
const MATRIX: [(&str, &str, Client, Told); 36] = [
    ("GET", "/fixed", Client::Reads, OK),
    ("GET", "/fixed", Client::LeavesBody, OK),
    ("GET", "/one-frame", Client::Reads, OK),
    ("GET", "/one-frame", Client::LeavesBody, OK),
    ("GET", "/large", Client::Reads, OK),
    ("GET", "/large", Client::LeavesBody, CANCELLED),
    ("GET", "/large", Client::LeavesHead, CANCELLED),
    ("GET", "/chunked", Client::Reads, OK),
    ("GET", "/large-chunked", Client::Reads, OK),
    ("GET", "/large-chunked", Client::LeavesBody, CANCELLED),
    ("GET", "/large-chunked", Client::LeavesHead, CANCELLED),
    ("GET", "/sized", Client::Reads, OK),
    ("GET", "/sized-empty", Client::Reads, OK),
    ("HEAD", "/sized", Client::Reads, OK),
    ("GET", "/large-sized", Client::Reads, OK),
    ("GET", "/large-sized", Client::LeavesBody, CANCELLED),
    ("GET", "/large-sized", Client::LeavesHead, CANCELLED),
    ("GET", "/empty", Client::Reads, OK),
    ("GET", "/empty", Client::LeavesHead, OK),
    ("HEAD", "/fixed", Client::Reads, OK),
    ("HEAD", "/fixed", Client::LeavesHead, OK),
    ("HEAD", "/chunked", Client::Reads, OK),
    ("HEAD", "/chunked", Client::LeavesHead, OK),
    ("HEAD", "/large", Client::Reads, OK),
    ("HEAD", "/large", Client::LeavesHead, OK),
    ("GET", "/no-content", Client::Reads, status(204)),
    ("GET", "/no-content", Client::LeavesHead, status(204)),
    ("GET", "/not-modified", Client::Reads, status(304)),
    ("GET", "/not-modified", Client::LeavesHead, status(304)),
    ("GET", "/endless", Client::LeavesBody, CANCELLED),
    ("GET", "/endless", Client::LeavesHead, CANCELLED),
    ("GET", "/some-events", Client::Reads, OK),
    ("GET", "/some-events", Client::LeavesHead, OK),
    ("GET", "/events", Client::LeavesBody, OK),
    ("GET", "/events", Client::LeavesHead, OK),
    ("GET", "/never", Client::LeavesHandler, NO_RESPONSE),
];

#[tokio::test]
async fn every_kind_of_body_against_a_client_that_reads_and_one_that_leaves() {
    for (method, path, client, told) in MATRIX {
        check(method, path, client, told).await;
    }
}

#[tokio::test]
async fn a_failure_that_the_status_tells_is_an_error() {
    let failed = Told {
        error_type: Some("503"),
        is_error: true,
        ..status(503)
    };
    check("GET", "/failed", Client::Reads, failed).await;
}

/// A tunnel is open as long as it likes; the request ends with the head of its response.
#[tokio::test]
async fn a_tunnel_ends_the_request_with_its_head() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let telemetry = TestTelemetry::start();
        let accept = |request: axum::extract::Request| async {
            tokio::spawn(async { drop(hyper::upgrade::on(request).await) });
            StatusCode::OK
        };
        let app = telemetry
            .handle()
            .instrument(Router::new().fallback(accept));
        let mut wire = Wire::connect(protocol, app).await;
        let tunnel = http::Request::connect("shop.example:8080").header("host", "shop.example");
        let response = wire.send(tunnel.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{protocol:?}");
        // The connection is still open, the span is not.
        let spans = telemetry.spans().await;
        assert_eq!(spans.len(), 1, "{protocol:?}");
        let text = |text: &str| Some(AttributeValue::Text(text.to_owned()));
        spans[0]
            .assert_attribute("http.request.method", text("CONNECT"))
            .assert_attribute("http.response.status_code", Some(AttributeValue::Int(200)))
            .assert_attribute("error.type", None);
        drop(response);
        wire.close().await;
    }
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_even_after_a_200() {
    let told = Told {
        error_type: Some("axum_core::error::Error"),
        is_error: true,
        ..OK
    };
    check("GET", "/broken", Client::Reads, told).await;
}

#[tokio::test]
async fn f20_a_panic_in_handler_or_body_is_told_as_one() {
    let told = Told {
        error_type: Some("panic"),
        is_error: true,
        ..OK
    };
    check("GET", "/panicking", Client::Reads, told).await;
    check(
        "GET",
        "/panics",
        Client::Reads,
        Told {
            status: None,
            ..told
        },
    )
    .await;
}

#[tokio::test]
async fn an_upgrade_ends_the_request_with_its_head() {
    let telemetry = TestTelemetry::start();
    let switch = get(|request: axum::extract::Request| async {
        tokio::spawn(async { drop(hyper::upgrade::on(request).await) });
        let mut response = response(StatusCode::SWITCHING_PROTOCOLS, Body::empty());
        let echo = http::HeaderValue::from_static("echo");
        response.headers_mut().insert("upgrade", echo);
        response
    });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/echo", switch));
    let mut wire = Wire::connect(Protocol::Http1, app).await;
    let request = request(Protocol::Http1, "GET", "/echo")
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Empty::new())
        .unwrap();
    let response = wire.send(request).await.unwrap();
    // The connection is still open, the span is not.
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    spans[0].assert_attribute("http.response.status_code", Some(AttributeValue::Int(101)));
    drop(response);
    wire.close().await;
}
