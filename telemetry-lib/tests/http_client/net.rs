//! A server on a loopback socket and a client of hyper-util, for tests of what travels.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use telemetry_lib::testing::{AttributeValue, Exposition, TestTelemetry};
use telemetry_lib::{HttpClient, Telemetry};
use tokio::task::JoinHandle;
use tower::Layer;

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

/// The page in OpenMetrics, which has the exemplars.
pub(crate) fn scrape(telemetry: &TestTelemetry) -> Exposition {
    let mut headers = HeaderMap::new();
    let accept = "application/openmetrics-text;version=1.0.0";
    headers.insert("accept", accept.parse().unwrap());
    let handle = telemetry.handle();
    let page = handle.answer(&Method::GET, "/metrics", &headers).unwrap();
    let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
    Exposition::parse(&kind, std::str::from_utf8(page.body()).unwrap()).unwrap()
}

pub(crate) fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

pub(crate) fn int(value: impl Into<i64>) -> Option<AttributeValue> {
    Some(AttributeValue::Int(value.into()))
}
