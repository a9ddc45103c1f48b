//! The tower layer and its service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::Shared;
use super::attempt::{Attempt, RequestHead};
use super::future::ClientFuture;

/// Gives each attempt of an HTTP client a span and an observation, and its headers the context.
///
/// Works on any `Service<Request<A>, Response = Response<B>>`, such as the client of hyper-util,
/// and with the feature `reqwest` on a `reqwest::Client`. Errors pass through and are recorded by
/// their cause (`timeout`, `connection_refused`, `tls`, …), else by the name of their type.
/// Cheap to clone.
///
/// Put it next to the client, inside retries ([`Resends`](crate::Resends) numbers them) and
/// inside queues such as `tower::buffer`: the span's parent is what is current when `call` runs.
#[derive(Clone, Debug)]
pub struct HttpClientLayer {
    shared: Arc<Shared>,
}

/// The service of [`HttpClientLayer`].
#[derive(Clone, Debug)]
pub struct HttpClient<S> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

impl HttpClientLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl<S> Layer<S> for HttpClientLayer {
    type Service = HttpClient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpClient {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, A, B> Service<Request<A>> for HttpClient<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let attempt = Attempt::begin(&self.shared, RequestHead::of(&request));
        attempt.inject(request.headers_mut());
        let response = {
            let _entered = attempt.enter();
            self.inner.call(request)
        };
        ClientFuture::watching(response, attempt)
    }
}
