//! The client layer on reqwest: its own types go in and come out.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use http::HeaderMap;
use telemetry_lib::Resends;
use telemetry_lib::testing::TestTelemetry;
use tower::Layer;

use crate::net::{Server, int, text};

/// Without a certificate store: everything here is plain text on loopback.
fn plain() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
    builder.no_proxy().build().unwrap()
}

async fn echo() -> Server {
    let parent = |headers: HeaderMap| async move {
        let parent = headers.get("traceparent").cloned();
        parent
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let never = || std::future::pending::<()>();
    let app = Router::new()
        .route("/", get(parent))
        .route("/moved", get(|| async { Redirect::temporary("/") }))
        .route("/never", get(never));
    Server::start(app).await
}

#[tokio::test]
async fn a_request_has_its_span_its_metric_and_the_context() {
    let telemetry = TestTelemetry::start();
    let server = echo().await;
    let plain = plain();
    let client = telemetry.handle().http_client().layer(plain.clone());
    let uri = format!("http://{}/?sig=secret", server.address);
    let request = plain.get(&uri).header("x-own", "kept").build().unwrap();
    let response = client.execute(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.url().as_str(), uri, "reqwest's own response");
    let parent = response.text().await.unwrap();

    let spans = telemetry.spans().await;
    let span = &spans[0];
    assert_eq!((span.name(), span.kind()), ("GET", "client"));
    assert_eq!(
        parent,
        format!("00-{}-{}-03", span.trace_id(), span.span_id())
    );
    let shown = format!("http://{}/?sig=REDACTED", server.address);
    span.assert_attribute("url.full", text(&shown))
        .assert_attribute("server.address", text("127.0.0.1"))
        .assert_attribute("server.port", int(server.address.port()))
        .assert_attribute("network.peer.port", int(server.address.port()))
        .assert_attribute("http.response.status_code", int(200));
    let count = "http_client_request_duration_seconds_count";
    assert_eq!(telemetry.scrape().total(count), 1.0);
}

#[tokio::test]
async fn errors_are_told_by_their_cause() {
    let telemetry = TestTelemetry::start();
    let server = echo().await;
    let plain = plain();
    let client = telemetry.handle().http_client().layer(plain.clone());
    let never = plain.get(format!("http://{}/never", server.address));
    let late = never.timeout(Duration::from_millis(1)).build().unwrap();
    assert!(client.execute(late).await.unwrap_err().is_timeout());
    let uri = format!("http://{}/", server.address);
    drop(server);
    tokio::task::yield_now().await;
    let refused = plain.get(uri).build().unwrap();
    assert!(client.execute(refused).await.unwrap_err().is_connect());
    let spans = telemetry.spans().await;
    spans[0].assert_attribute("error.type", text("timeout"));
    spans[1].assert_attribute("error.type", text("connection_refused"));
}

#[tokio::test]
async fn a_redirect_is_one_attempt_because_reqwest_follows_it_inside() {
    let telemetry = TestTelemetry::start();
    let server = echo().await;
    let plain = plain();
    let client = telemetry.handle().http_client().layer(plain.clone());
    let moved = plain.get(format!("http://{}/moved", server.address));
    let response = client.execute(moved.build().unwrap()).await.unwrap();
    assert_eq!(response.url().path(), "/");
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    assert_eq!(response.text().await.unwrap()[36..52], spans[0].span_id());
}

#[tokio::test]
async fn attempts_of_a_loop_are_numbered_through_the_extension() {
    let telemetry = TestTelemetry::start();
    let server = echo().await;
    let client = telemetry.handle().http_client().layer(plain());
    let request = http::Request::get(format!("http://{}/", server.address))
        .extension(Resends::default())
        .body("")
        .unwrap();
    let request = reqwest::Request::try_from(request).unwrap();
    for _ in 0..3 {
        client.execute(request.try_clone().unwrap()).await.unwrap();
    }
    let spans = telemetry.spans().await;
    let counts = spans
        .iter()
        .map(|it| it.attribute("http.request.resend_count").cloned());
    assert_eq!(counts.collect::<Vec<_>>(), [None, int(1), int(2)]);
}

#[tokio::test]
async fn a_stream_as_the_requests_body_is_sent_and_not_copied() {
    let telemetry = TestTelemetry::start();
    let sized = |body: axum::body::Bytes| async move { body.len().to_string() };
    let app = Router::new().route("/", axum::routing::post(sized));
    let server = Server::start(app).await;
    let plain = plain();
    let client = telemetry.handle().http_client().layer(plain.clone());
    let body = http_body_util::Full::new(bytes::Bytes::from(vec![7; 100_000]));
    let post = plain.post(format!("http://{}/", server.address));
    let request = post.body(reqwest::Body::wrap(body)).build().unwrap();
    let response = client.execute(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "100000");
    assert_eq!(telemetry.spans().await.len(), 1);
}
