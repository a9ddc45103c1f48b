//! The server's tower layer and its service.

use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use tower_layer::Layer;
use tower_service::Service;

use super::body::CallBody;
use super::call::{Call, Side};
use super::future::GrpcServerFuture;
use super::method::Asked;
use super::{Shared, is_call};
use crate::clock::Moment;
use crate::config::Callers;
use crate::engine::OpenSpan;
use crate::http::{Instrumented, RequestHead, ends, peer_attributes};

/// Gives each gRPC call that a service answers a server span and its metric.
///
/// For `tonic::transport::Server::builder().layer(…)` and any other tower service that speaks
/// gRPC in `http` types. Requests that are not `application/grpc`, that are instrumented already,
/// or whose path `Config::skip_paths` names pass through. `Telemetry::instrument` contains it.
/// Cheap to clone.
///
/// `rpc.method` is `_OTHER` until the server showed that it has the method, by a response of gRPC that
/// began: at most 450 methods are learned so. An interceptor that refuses whatever is asked for cannot
/// be told from a method that fails, so of names with nothing but a status that is no router's and no
/// guard's at most 50 are recorded. [`methods`](Self::methods) leaves no doubt.
#[derive(Clone, Debug)]
pub struct GrpcServerLayer {
    shared: Arc<Shared>,
}

/// The service of [`GrpcServerLayer`].
#[derive(Clone, Debug)]
pub struct GrpcServer<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl GrpcServerLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Names all methods that the server has, as `package.Service/Method`, instead of learning
    /// them (the default); any other is `_OTHER`.
    #[must_use]
    pub fn methods<T: Into<String>>(self, methods: impl IntoIterator<Item = T>) -> Self {
        Self {
            shared: self.shared.serving(methods.into_iter().map(Into::into)),
        }
    }
}

impl<S> Layer<S> for GrpcServerLayer {
    type Service = GrpcServer<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcServer {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, A, B> Service<Request<A>> for GrpcServer<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<CallBody<B>>;
    type Error = S::Error;
    type Future = GrpcServerFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let passes = !is_call(&request)
            || request.extensions().get::<Instrumented>().is_some()
            || self.shared.http.config.skips(request.uri().path());
        if passes {
            return GrpcServerFuture::new(self.inner.call(request), None);
        }
        let call = begin(&self.shared, RequestHead::of(&request));
        request.extensions_mut().insert(Instrumented);
        let inner = {
            let _entered = call.enter();
            self.inner.call(request)
        };
        GrpcServerFuture::new(inner, Some(call))
    }
}

fn begin(shared: &Arc<Shared>, head: RequestHead<'_>) -> Call {
    let asked = shared.served.ask(head.uri.path());
    let parent = parent(shared, head);
    let started = Moment::now();
    let mut span = open(shared, parent, &asked);
    if span.is_recording() {
        span.set_all(attributes(shared, head));
    }
    Call::new(shared, Side::Server, span, asked, head.headers.all, started)
}

fn parent(shared: &Shared, head: RequestHead<'_>) -> Context {
    let extraction = shared.http.propagators.extract(&head.headers);
    if let Some(metrics) = &shared.http.metrics {
        for header in extraction.malformed.headers() {
            metrics.malformed(header.as_str());
        }
    }
    extraction.context
}

fn open(shared: &Shared, remote: Context, asked: &Asked) -> OpenSpan {
    if !shared.http.spans {
        return OpenSpan::carried(remote);
    }
    match shared.http.config.callers {
        Callers::Trusted => OpenSpan::rpc_server(remote, asked.as_str()),
        Callers::Public => {
            // Its baggage stays outside, too.
            let span = OpenSpan::rpc_server(Context::new(), asked.as_str());
            let caller = remote.span().span_context().clone();
            if caller.is_valid() {
                span.link(caller);
            }
            span
        }
    }
}

/// Where it was asked, and by whom.
fn attributes(shared: &Shared, head: RequestHead<'_>) -> Vec<KeyValue> {
    let peer = head.peer();
    let trusted = &shared.http.config.trusted_proxies;
    let ends = ends(head.uri, &head.headers, peer, trusted);
    let mut attributes = Vec::with_capacity(4);
    if let Some(address) = ends.server {
        attributes.push(KeyValue::new("server.address", address));
    }
    if let Some(port) = ends.server_port {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    if let Some(peer) = peer {
        attributes.extend(peer_attributes(peer));
    }
    attributes
}
