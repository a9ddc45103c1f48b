//! The client's tower layer and its service.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use http_body::Body;
use opentelemetry::KeyValue;
use tower_layer::Layer;
use tower_service::Service;

use super::Shared;
use super::body::CallBody;
use super::call::{Call, Side};
use super::future::{BoxError, GrpcClientFuture};
use crate::clock::Moment;
use crate::engine::OpenSpan;
use crate::metrics::RpcServer;
use crate::propagation::{Host, stamp};

/// Gives each gRPC call that a client makes a client span, its metric, and the headers that continue
/// the trace on the other side.
///
/// For `tower::ServiceBuilder::new().layer(…).service(channel)` around a `tonic` channel. The span is
/// a child of what is current when `call` runs, not when the response is polled. A valid
/// `traceparent` of the same trace that stands in the metadata is left alone. Every code but OK is
/// an error, also CANCELLED. Made by `Telemetry::grpc_client`, with the feature `grpc-client`. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct GrpcClientLayer {
    shared: Arc<Shared>,
    server: Option<Arc<RpcServer>>,
}

/// The service of [`GrpcClientLayer`]. Errors come boxed, as tonic's clients take them.
#[derive(Clone, Debug)]
pub struct GrpcClient<S> {
    inner: S,
    shared: Arc<Shared>,
    server: Option<Arc<RpcServer>>,
}

impl GrpcClientLayer {
    #[cfg(feature = "grpc-client")]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            server: None,
        }
    }

    /// Names the server that the channel goes to, for `server.address` and `server.port`.
    ///
    /// Without it they come from the request's URI; tonic's channel adds its own further inside,
    /// where this layer cannot see it. It becomes a label: name the service, not its replicas.
    /// Baggage goes only to a server that is named, and that `Config::propagate_to` covers.
    #[must_use]
    pub fn server(mut self, address: impl Into<String>, port: u16) -> Self {
        self.server = Some(Arc::new(RpcServer::new(address, Some(port))));
        self
    }
}

impl<S> Layer<S> for GrpcClientLayer {
    type Service = GrpcClient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcClient {
            inner,
            shared: Arc::clone(&self.shared),
            server: self.server.clone(),
        }
    }
}

impl<S, A, B> Service<Request<A>> for GrpcClient<S>
where
    S: Service<Request<A>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Error + 'static>,
{
    type Response = Response<CallBody<B>>;
    type Error = BoxError;
    type Future = GrpcClientFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call = self.begin(&mut request);
        let inner = {
            let _entered = call.enter();
            self.inner.call(request)
        };
        GrpcClientFuture::new(inner, call)
    }
}

impl<S> GrpcClient<S> {
    fn begin<A>(&self, request: &mut Request<A>) -> Call {
        let shared = &self.shared;
        let asked = shared.called.ask(request.uri().path());
        let started = Moment::now();
        let mut span = if shared.http.spans {
            OpenSpan::rpc_client(asked.as_str())
        } else {
            OpenSpan::carried(opentelemetry::Context::current())
        };
        let own = || server_of(request.uri()).map(Arc::new);
        let server = self.server.clone().or_else(own);
        if span.is_recording()
            && let Some(server) = &server
        {
            span.set_all(attributes(server));
        }
        let headers = request.headers_mut();
        // Baggage goes to nobody whose name is not known.
        let config = &shared.http.config;
        let host = server
            .as_ref()
            .map_or(Host::Foreign, |server| config.host(&server.address));
        stamp(span.context(), headers, shared.http.propagators, host);
        Call::new(shared, Side::Client(server), span, asked, headers, started)
    }
}

fn server_of(uri: &Uri) -> Option<RpcServer> {
    Some(RpcServer::new(uri.host()?, uri.port_u16()))
}

fn attributes(server: &RpcServer) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("server.address", server.address.clone())];
    if let Some(port) = server.port() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    attributes
}
