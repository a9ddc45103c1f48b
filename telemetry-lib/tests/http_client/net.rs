//! A server on a loopback socket and a client of hyper-util, for tests of what travels.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use telemetry_lib::Telemetry;
use telemetry_lib::layers::HttpClient;
use telemetry_lib::testing::{AttributeValue, TestTelemetry};
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Plain = Client<HttpConnector, Body>;

/// Serves until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request<Body> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let uri = format!("http://{}{path}", self.address);
        let request = Request::builder().method(method).uri(uri);
        request.body(Body::default()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn client(telemetry: &Telemetry, http2: bool) -> HttpClient<Plain> {
    let mut builder = Client::builder(TokioExecutor::new());
    let plain = builder.http2_only(http2).build_http();
    telemetry.http_client().layer(plain)
}

/// Answers with the status that the path names.
pub(crate) fn statuses() -> Router {
    let answer = |Path(code): Path<u16>| async move { StatusCode::from_u16(code).unwrap() };
    Router::new().route("/status/{code}", any(answer))
}

/// One request through the layer, its body read to the end.
pub(crate) async fn ask(
    telemetry: &TestTelemetry,
    request: Request<Body>,
) -> Result<StatusCode, hyper_util::client::legacy::Error> {
    let client = client(telemetry.handle(), false);
    let response = client.oneshot(request).await?;
    let status = response.status();
    response.into_body().collect().await.unwrap();
    Ok(status)
}

pub(crate) fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

pub(crate) fn int(value: impl Into<i64>) -> Option<AttributeValue> {
    Some(AttributeValue::Int(value.into()))
}
