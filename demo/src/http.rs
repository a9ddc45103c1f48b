//! The least HTTP client for programs on this machine: one answer, bounded in time and size. A service
//! has one whose requests are seen in its telemetry.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Legacy};
use hyper_util::rt::TokioExecutor;
use telemetry_lib::Telemetry;
use telemetry_lib::layers::HttpClient;
use tower::{Layer, Service, ServiceExt};

/// More than any page of the demo.
const MAX_BODY: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

type Plain = Legacy<HttpConnector, Full<Bytes>>;

/// Keeps connections open between requests; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client<S = Plain>(S);

/// A client whose requests have spans and metrics, and carry the context.
pub(crate) type Observed = Client<HttpClient<Plain>>;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the address is not one")]
    Address(#[from] http::Error),
    #[error("no answer")]
    Send(#[from] legacy::Error),
    #[error("the answer broke off or is too long")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self(Legacy::builder(TokioExecutor::new()).build_http())
    }
}

impl Observed {
    pub(crate) fn observed(telemetry: &Telemetry) -> Self {
        Self(telemetry.http_client().layer(Client::new().0))
    }
}

impl<S, B> Client<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = legacy::Error> + Clone,
    B: HttpBody<Error: Into<axum::BoxError>>,
{
    pub(crate) async fn get(&self, to: SocketAddr, path: &str) -> Result<Answer, CallError> {
        self.send(Method::GET, to, path, Bytes::new()).await
    }

    pub(crate) async fn post(&self, to: SocketAddr, path: &str) -> Result<Answer, CallError> {
        self.send(Method::POST, to, path, Bytes::new()).await
    }

    /// The body, if there is one, is JSON.
    pub(crate) async fn send(
        &self,
        method: Method,
        to: SocketAddr,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body))?;
        let exchange = async {
            let response = self.0.clone().oneshot(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let body = body.map_err(CallError::Body)?.to_bytes();
            Ok(Answer { status, body })
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        answer.unwrap_or(Err(CallError::Late))
    }
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
