//! The axum side of the server layer: one layer that also answers the endpoints.
//!
//! It adds no routes, because axum panics when two overlap: it answers only what no route
//! matched, so a route of the user's always wins.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use bytes::Buf;
use http_body_util::BodyExt as _;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::endpoint::EndpointSet;
use crate::grpc::{CallBody, GrpcServer, GrpcServerFuture, GrpcServerLayer, is_call};
use crate::http::{HttpServer, HttpServerLayer, Received, ResponseFuture, Watched};

/// What `Telemetry::instrument` puts around every route and the fallback.
#[derive(Clone, Debug)]
pub(crate) struct RouterLayer {
    server: HttpServerLayer,
    calls: GrpcServerLayer,
    endpoints: Arc<EndpointSet>,
}

/// The service of [`RouterLayer`].
#[derive(Clone, Debug)]
pub(crate) struct InstrumentedRoute<S> {
    // A call is marked as instrumented, so the layer for HTTP lets it pass.
    inner: GrpcServer<HttpServer<S>>,
    endpoints: Arc<EndpointSet>,
}

/// Watched as a request or as a call, never as both.
type RouteBody = CallBody<Watched<Body>>;

pin_project! {
    #[project = RouteFutureProjection]
    pub(crate) enum RouteFuture<F> {
        Answered { response: Option<Response> },
        Served { #[pin] inner: GrpcServerFuture<ResponseFuture<F>> },
    }
}

impl RouterLayer {
    pub(crate) fn new(
        server: HttpServerLayer,
        calls: GrpcServerLayer,
        endpoints: Arc<EndpointSet>,
    ) -> Self {
        Self {
            // The service is axum's `Route`, which makes a future and calls the handler in it.
            server: server.entering_polls_only(),
            calls,
            endpoints,
        }
    }
}

impl<S> Layer<S> for RouterLayer {
    type Service = InstrumentedRoute<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InstrumentedRoute {
            inner: self.calls.layer(self.server.layer(inner)),
            endpoints: Arc::clone(&self.endpoints),
        }
    }
}

impl<S> Service<Request> for InstrumentedRoute<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response<RouteBody>;
    type Error = Infallible;
    type Future = RouteFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        self.endpoints.serves_here();
        match self.answer(&request) {
            Some(response) => RouteFuture::Answered {
                response: Some(response),
            },
            None => {
                count_body(&mut request);
                RouteFuture::Served {
                    inner: self.inner.call(request),
                }
            }
        }
    }
}

impl<S> InstrumentedRoute<S> {
    /// The layer's own answer, where no route matched.
    fn answer(&self, request: &Request) -> Option<Response> {
        let path = request.uri().path();
        let endpoint = self.endpoints.find(request.method(), path)?;
        if let Some(route) = request.extensions().get::<MatchedPath>() {
            self.endpoints.route_wins(path, route.as_str());
            return None;
        }
        let response = self.endpoints.answer(endpoint, request.headers());
        Some(response.map(Body::from))
    }
}

/// Counts what is read of a body, if there is one. Calls of gRPC have no metric for it.
fn count_body(request: &mut Request) {
    let is_empty = request.body().size_hint().upper() == Some(0);
    if is_empty || is_call(request) || request.extensions().get::<Received>().is_some() {
        return;
    }
    let received = Received::default();
    request.extensions_mut().insert(received.clone());
    let body = std::mem::take(request.body_mut());
    let counted = body.inspect_frame(move |frame| {
        received.add(frame.data_ref().map_or(0, Buf::remaining));
    });
    *request.body_mut() = Body::new(counted);
}

impl<F> Future for RouteFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response<RouteBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            RouteFutureProjection::Served { inner } => inner.poll(context),
            RouteFutureProjection::Answered { response } => {
                let response = response
                    .take()
                    .expect("a future is not polled after it was ready");
                Poll::Ready(Ok(
                    response.map(|body| CallBody::passing(Watched::passing(body)))
                ))
            }
        }
    }
}
