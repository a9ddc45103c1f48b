//! reqwest's own types for request and response.

use std::task::{Context, Poll};

use ::reqwest::{Request, Response};
use tower_service::Service;

use super::answer::Answer;
use super::attempt::{Attempt, RequestHead};
use super::future::ClientFuture;
use super::layer::HttpClient;

impl Answer for Response {
    fn status(&self) -> http::StatusCode {
        self.status()
    }

    fn version(&self) -> http::Version {
        self.version()
    }

    fn extensions(&self) -> &http::Extensions {
        self.extensions()
    }
}

impl<S> Service<Request> for HttpClient<S>
where
    S: Service<Request, Response = Response>,
    S::Error: 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Some(head) = head(&mut request) else {
            return ClientFuture::passing(self.inner.call(request));
        };
        let attempt = Attempt::begin(&self.shared, RequestHead::of(&head));
        attempt.inject(request.headers_mut());
        let response = {
            let _entered = attempt.enter();
            self.inner.call(request)
        };
        ClientFuture::watching(response, attempt)
    }
}

impl HttpClient<::reqwest::Client> {
    /// As [`reqwest::Client::execute`], with a span, an observation and the context in the
    /// headers:
    ///
    /// ```no_run
    /// # use tower::Layer;
    /// # async fn ask(telemetry: &telemetry_lib::Telemetry) -> Result<(), reqwest::Error> {
    /// let plain = reqwest::Client::new();
    /// let client = telemetry.http_client().layer(plain.clone());
    /// let response = client.execute(plain.get("http://stock/items/7").build()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// reqwest follows redirects inside: they are one attempt, and the headers go along, baggage
    /// included. `redirect::Policy::none()` leaves them to the caller.
    ///
    /// # Errors
    ///
    /// Those of reqwest.
    pub fn execute(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Response, ::reqwest::Error>> + use<> {
        self.clone().call(request)
    }
}

/// The request without its body. reqwest shows a request's extensions, where the count of
/// attempts is, only through this conversion. `None` for a URL that is no URI, which reqwest
/// refuses before anything is sent.
fn head(request: &mut Request) -> Option<http::Request<::reqwest::Body>> {
    let body = request.body_mut().take();
    let copy = request.try_clone();
    *request.body_mut() = body;
    copy?.try_into().ok()
}

/// Of those errors whose causes say nothing.
pub(super) fn error_type(error: &::reqwest::Error) -> Option<&'static str> {
    if error.is_timeout() {
        Some("timeout")
    } else if error.is_connect() {
        Some("connect")
    } else if error.is_redirect() {
        Some("redirect")
    } else if error.is_builder() {
        Some("invalid_request")
    } else {
        None
    }
}
