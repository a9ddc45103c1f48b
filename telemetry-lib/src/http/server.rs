//! The tower layer and its service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::Shared;
use super::body::Watched;
use super::flight::Flight;
use super::future::ResponseFuture;
use super::head::RequestHead;
use super::nesting::may_nest;

/// Gives each request of a tower service a server span and its metrics.
///
/// Works on any `Service<Request<A>, Response = Response<B>>`; errors pass through and are
/// recorded with the name of their type. Without axum the route comes from a
/// [`RouteTemplate`](crate::RouteTemplate). Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpServerLayer {
    shared: Arc<Shared>,
    enters_call: bool,
}

/// The service of [`HttpServerLayer`].
#[derive(Clone, Debug)]
pub struct HttpServer<S> {
    inner: S,
    shared: Arc<Shared>,
    enters_call: bool,
}

/// Stands in the extensions of a request that has its span already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instrumented;

impl HttpServerLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            enters_call: true,
        }
    }

    /// For services whose `call` runs nothing: all their work is in the future.
    #[cfg(feature = "axum")]
    pub(crate) fn entering_polls_only(self) -> Self {
        Self {
            enters_call: false,
            ..self
        }
    }
}

impl<S> Layer<S> for HttpServerLayer {
    type Service = HttpServer<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpServer {
            inner,
            shared: Arc::clone(&self.shared),
            enters_call: self.enters_call,
        }
    }
}

impl<S, A, B> Service<Request<A>> for HttpServer<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<Watched<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        if request.extensions().get::<Instrumented>().is_some() {
            return ResponseFuture::passing(self.inner.call(request));
        }
        let method = request.method().clone();
        let flight = if self.shared.config.skips(request.uri().path()) {
            Flight::skipped(&self.shared, RequestHead::of(&request))
        } else {
            let flight = Flight::begin(&self.shared, RequestHead::of(&request));
            if may_nest() {
                request.extensions_mut().insert(Instrumented);
            }
            flight
        };
        let response = {
            let _entered = self.enters_call.then(|| flight.enter());
            self.inner.call(request)
        };
        ResponseFuture::watching(response, method, flight)
    }
}
