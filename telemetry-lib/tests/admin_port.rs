//! The endpoints on a port of their own.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use telemetry_lib::testing::TestTelemetry;
use tokio::net::TcpStream;
use tower::ServiceExt;

fn app(telemetry: &TestTelemetry) -> Router {
    let users = Router::new().route("/users/{id}", get(|| async { "user" }));
    telemetry.handle().instrument(users)
}

async fn ask(app: &Router, request: http::request::Builder) {
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The head of the answer; a connection takes the next request when its body was read.
async fn send(client: &mut SendRequest<Body>, path: &str) -> Response<Incoming> {
    let request = http::Request::get(path).header("host", "localhost");
    let request = request.body(Body::empty()).unwrap();
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn an_admin_port_takes_the_metrics_over() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let bound = telemetry.handle().admin(address).unwrap();
    ask(&app, Request::get("/users/1")).await;

    let mut client = connect(bound).await;
    for (path, status) in [
        ("/metrics", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/", 404),
    ] {
        let response = send(&mut client, path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(
            page.contains("http_route=\"/users/{id}\""),
            path == "/metrics",
            "{page}"
        );
    }
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 404);
}

#[tokio::test]
async fn f41_an_admin_port_that_is_taken_is_an_error_and_the_service_goes_on() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let taken = telemetry.handle().admin(address).unwrap();
    let error = telemetry.handle().admin(taken).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    ask(&app, Request::get("/users/1")).await;
    let client = connect(taken).await;
    drop(client);
    assert_eq!(telemetry.spans().await.len(), 1);
}

#[tokio::test]
async fn the_oldest_of_sixty_four_connections_gives_way_to_the_next() {
    let telemetry = TestTelemetry::start();
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let bound = telemetry.handle().admin(address).unwrap();
    let mut open = VecDeque::new();
    for _ in 0..64 {
        let mut client = connect(bound).await;
        drop(send(&mut client, "/healthz").await.collect().await.unwrap());
        open.push_back(client);
    }
    assert!(open.iter().all(|client| !client.is_closed()));
    let mut probe = connect(bound).await;
    assert_eq!(send(&mut probe, "/healthz").await.status(), 200);
    let mut oldest = open.pop_front().unwrap();
    // Its end is here before the answer of a connection that was accepted later, or with it.
    assert!(oldest.ready().await.is_err());
    for client in &mut open {
        assert_eq!(send(client, "/healthz").await.status(), 200);
    }
}

#[tokio::test]
async fn a_probe_by_head_is_answered_on_both_ports() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    for path in ["/metrics", "/healthz", "/readyz"] {
        let request = Request::head(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let bound = telemetry.handle().admin(address).unwrap();
    let mut client = connect(bound).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        let request = Request::head(path).header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.is_empty(), "{path}");
    }
}
