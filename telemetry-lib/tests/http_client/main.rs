//! The client layer around real clients and sockets: what fails, whose child a span is, and
//! reqwest. What the conventions say of span and metric: `tests/conformance/http_client.rs`.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod net;
mod through_reqwest;

use axum::Router;
use futures_util::FutureExt;
use http::{Request, Response};
use net::{Body, Server, ask, client, statuses, text};
use telemetry_lib::testing::TestTelemetry;
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

const DURATION: &str = "http_client_request_duration_seconds";

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
        assert_eq!(telemetry.scrape().value(&count, &labels), Some(1.0));
    }
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
