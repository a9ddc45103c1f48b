//! The client span and its metric as the semantic conventions (stable, 1.44) want them, over real
//! sockets, read from OTLP bytes and from scrapes.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod net;
mod through_reqwest;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::{any, get};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use net::{Body, Server, client, int, scrape, text};
use telemetry_lib::Resends;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tokio::sync::Notify;
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tracing::Instrument;

const DURATION: &str = "http_client_request_duration_seconds";

/// Answers with the status that the path names.
fn statuses() -> Router {
    let answer = |Path(code): Path<u16>| async move { StatusCode::from_u16(code).unwrap() };
    Router::new().route("/status/{code}", any(answer))
}

async fn ask(
    telemetry: &TestTelemetry,
    request: Request<Body>,
) -> Result<StatusCode, hyper_util::client::legacy::Error> {
    let client = client(telemetry.handle(), false);
    let response = client.oneshot(request).await?;
    let status = response.status();
    response.into_body().collect().await.unwrap();
    Ok(status)
}

async fn span_of(request: impl FnOnce(&Server) -> Request<Body>) -> (ReceivedSpan, Server) {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    ask(&telemetry, request(&server)).await.unwrap();
    let mut spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    (spans.remove(0), server)
}

#[tokio::test]
async fn a_span_has_the_attributes_of_the_conventions() {
    for (http2, version) in [(false, "1.1"), (true, "2")] {
        let telemetry = TestTelemetry::start();
        let server = Server::start(statuses()).await;
        let mut client = client(telemetry.handle(), http2);
        let request = server.request("GET", "/status/200?a=1&sig=secret");
        client.ready().await.unwrap().call(request).await.unwrap();

        let spans = telemetry.spans().await;
        let span = &spans[0];
        let port = server.address.port();
        let full = format!("http://127.0.0.1:{port}/status/200?a=1&sig=REDACTED");
        assert_eq!(span.name(), "GET");
        assert_eq!(span.kind(), "client");
        span.assert_attribute("http.request.method", text("GET"))
            .assert_attribute("http.request.method_original", None)
            .assert_attribute("http.request.resend_count", None)
            .assert_attribute("http.response.status_code", int(200))
            .assert_attribute("server.address", text("127.0.0.1"))
            .assert_attribute("server.port", int(port))
            .assert_attribute("url.full", text(&full))
            .assert_attribute("network.protocol.version", text(version))
            .assert_attribute("network.peer.address", text("127.0.0.1"))
            .assert_attribute("network.peer.port", int(port))
            .assert_attribute("error.type", None);
        assert!(!span.is_error());
    }
}

#[tokio::test]
async fn every_status_from_400_is_an_error() {
    for (code, is_error) in [(204, false), (304, false), (404, true), (503, true)] {
        let (span, _) = span_of(|server| server.request("GET", &format!("/status/{code}"))).await;
        let error_type = is_error.then(|| text(&code.to_string())).flatten();
        span.assert_attribute("http.response.status_code", int(code))
            .assert_attribute("error.type", error_type);
        assert_eq!(span.is_error(), is_error, "{code}");
        assert_eq!(span.status_message(), "", "the code says it");
    }
}

#[tokio::test]
async fn an_unknown_method_is_other_and_credentials_are_hidden() {
    let (span, _) = span_of(|server| server.request("PURGE", "/status/200")).await;
    assert_eq!(span.name(), "HTTP");
    span.assert_attribute("http.request.method", text("_OTHER"))
        .assert_attribute("http.request.method_original", text("PURGE"));

    let (span, server) = span_of(|server| {
        let mut request = server.request("GET", "/");
        let uri = format!("http://root:p4ss@{}/status/200", server.address);
        *request.uri_mut() = uri.parse().unwrap();
        request
    })
    .await;
    let shown = format!("http://REDACTED:REDACTED@{}/status/200", server.address);
    span.assert_attribute("url.full", text(&shown));
    assert!(!format!("{span:?}").contains("p4ss"));
}

#[tokio::test]
async fn what_fails_before_a_response_is_told_by_its_cause() {
    let telemetry = TestTelemetry::start();
    let closed = Server::start(Router::new()).await;
    let request = closed.request("GET", "/");
    drop(closed);
    tokio::task::yield_now().await;
    assert!(ask(&telemetry, request).await.unwrap_err().is_connect());

    // Takes the connection and says something that is not HTTP.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let peer = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 1_024];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        stream
            .write_all(b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
    };
    let request = Request::get(uri).body(Body::default()).unwrap();
    let (answer, ()) = tokio::join!(ask(&telemetry, request), peer);
    assert!(answer.is_err());

    let spans = telemetry.spans().await;
    let causes = ["connection_refused", "malformed_response"];
    assert_eq!(spans.len(), causes.len());
    for (span, cause) in spans.iter().zip(causes) {
        span.assert_attribute("error.type", text(cause))
            .assert_attribute("http.response.status_code", None)
            .assert_attribute("network.protocol.version", None);
        assert!(span.is_error());
        let labels = [("error_type", cause), ("server_address", "127.0.0.1")];
        let count = format!("{DURATION}_count");
        assert_eq!(scrape(&telemetry).value(&count, &labels), Some(1.0));
    }
}

#[tokio::test]
async fn who_leaves_before_the_response_has_cancelled_and_that_is_no_error() {
    let telemetry = TestTelemetry::start();
    let arrived = Arc::new(Notify::new());
    let there = Arc::clone(&arrived);
    let never = get(|| async move {
        there.notify_one();
        std::future::pending::<()>().await;
    });
    let server = Server::start(Router::new().route("/", never)).await;
    tokio::select! {
        _ = ask(&telemetry, server.request("GET", "/")) => panic!("nobody answers"),
        () = arrived.notified() => {}
    }
    let spans = telemetry.spans().await;
    spans[0].assert_attribute("error.type", text("cancelled"));
    assert!(!spans[0].is_error());
    let labels = [("error_type", "cancelled")];
    let count = format!("{DURATION}_count");
    assert_eq!(scrape(&telemetry).value(&count, &labels), Some(1.0));
}

#[tokio::test]
async fn f20_a_panic_below_is_recorded_and_goes_on() {
    let telemetry = TestTelemetry::start();
    let below = tower::service_fn(|_: Request<Body>| async {
        if true {
            panic!("in the connector");
        }
        Ok::<_, std::io::Error>(Response::new(Body::default()))
    });
    let client = telemetry.handle().http_client().layer(below);
    let request = Request::get("http://stock/").body(Body::default()).unwrap();
    let asked = std::panic::AssertUnwindSafe(client.oneshot(request));
    assert!(asked.catch_unwind().await.is_err());
    let spans = telemetry.spans().await;
    spans[0].assert_attribute("error.type", text("panic"));
    assert!(spans[0].is_error());
}

#[tokio::test]
async fn the_metric_says_what_the_span_says_and_its_exemplar_leads_there() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    ask(&telemetry, server.request("GET", "/status/404"))
        .await
        .unwrap();
    let spans = telemetry.spans().await;
    let page = scrape(&telemetry);
    let port = server.address.port().to_string();
    let labels = [
        ("http_request_method", "GET"),
        ("server_address", "127.0.0.1"),
        ("server_port", &port),
        ("http_response_status_code", "404"),
        ("error_type", "404"),
        ("network_protocol_version", "1.1"),
    ];
    let sample = page.sample(&format!("{DURATION}_count"), &labels).unwrap();
    assert_eq!(sample.value, 1.0);
    assert_eq!(sample.labels.len(), labels.len(), "{sample:?}");
    let seconds = page.value(&format!("{DURATION}_sum"), &labels).unwrap();
    let apart = (seconds - spans[0].duration().as_secs_f64()).abs();
    assert!(apart < 1e-6, "one reading for both: {apart}");

    let exemplars = page.exemplars(DURATION);
    assert_eq!(exemplars.len(), 1);
    assert_eq!(exemplars[0].labels["trace_id"], spans[0].trace_id());
    assert_eq!(exemplars[0].labels["span_id"], spans[0].span_id());
    spans[0].assert_attribute("exemplar", text("true"));
}

/// Sends again until the answer is a success; at most three times.
#[derive(Clone)]
struct ThreeTimes(u32);

impl<E> Policy<Request<Body>, Response<hyper::body::Incoming>, E> for ThreeTimes {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<hyper::body::Incoming>, E>,
    ) -> Option<Self::Future> {
        let failed = result
            .as_ref()
            .is_ok_and(|it| it.status().is_server_error());
        self.0 -= 1;
        (failed && self.0 > 0).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_attempt_is_a_span_of_its_own_and_says_which_one_it_is() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    let numbered = ServiceBuilder::new()
        .map_request(|mut request: Request<Body>| {
            request.extensions_mut().insert(Resends::default());
            request
        })
        .layer(RetryLayer::new(ThreeTimes(3)))
        .service(client(telemetry.handle(), false));
    for _ in 0..2 {
        let asked = numbered
            .clone()
            .oneshot(server.request("GET", "/status/503"));
        let parent = tracing::info_span!("order");
        assert_eq!(asked.instrument(parent).await.unwrap().status(), 503);
    }
    let spans = telemetry.spans().await;
    let orders: Vec<_> = spans.iter().filter(|it| it.name() == "order").collect();
    assert_eq!(orders.len(), 2, "each request counts from the start");
    for order in orders {
        let attempts = spans
            .iter()
            .filter(|it| it.parent_span_id() == order.span_id());
        let counts: Vec<_> = attempts
            .map(|it| it.attribute("http.request.resend_count").cloned())
            .collect();
        assert_eq!(counts, [None, int(1), int(2)]);
    }
    let count = format!("{DURATION}_count");
    assert_eq!(scrape(&telemetry).total(&count), 6.0);
}

#[tokio::test]
async fn the_parent_is_what_is_current_when_call_runs() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    let mut client = client(telemetry.handle(), false);
    client.ready().await.unwrap();
    let asking = tracing::info_span!("asking");
    let answer = asking.in_scope(|| client.call(server.request("GET", "/status/200")));
    answer
        .instrument(tracing::info_span!("waiting"))
        .await
        .unwrap();
    drop(asking);
    let spans = telemetry.spans().await;
    let named = |name: &str| spans.iter().find(|it| it.name() == name).unwrap();
    assert_eq!(named("GET").parent_span_id(), named("asking").span_id());
}

#[tokio::test]
async fn a_server_span_elsewhere_is_the_child_of_the_client_span() {
    let telemetry = TestTelemetry::start();
    let app = telemetry.handle().instrument(statuses());
    let server = Server::start(app).await;
    ask(&telemetry, server.request("GET", "/status/200"))
        .await
        .unwrap();
    let spans = telemetry.spans().await;
    let of_kind = |kind: &str| spans.iter().find(|it| it.kind() == kind).unwrap();
    let (near, far) = (of_kind("client"), of_kind("server"));
    assert_eq!(far.trace_id(), near.trace_id());
    assert_eq!(far.parent_span_id(), near.span_id());
}
