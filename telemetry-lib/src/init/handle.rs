//! The handle that a service holds.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Response, Uri};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::pipeline::Pipeline;
use super::port::Port;
use super::report::Report;
use crate::admin::{Admin, Taken};
use crate::config::Config;
use crate::doctor::Diagnosis;
use crate::endpoint::EndpointSet;
#[cfg(feature = "grpc-client")]
use crate::grpc::GrpcClientLayer;
use crate::grpc::{self, GrpcServerLayer};
use crate::health::Readiness;
use crate::http::{Around, HttpServerLayer, RequestHead, ServerRequest, Shared, layer_made};
use crate::http_client::{self, HttpClientLayer};
use crate::log::{self, LogFilterError};
use crate::messaging::{Message, Operation, Origin};
use crate::metrics::{Exemplars, Metrics, MetricsConfig, Own, target_labels};
use crate::notice::Notices;
use crate::propagation::Propagators;
use crate::resource;

/// How long dropping the last handle may wait for spans to leave.
const LAST_FLUSH: Duration = Duration::from_secs(1);
/// Series of one metric family; the rest is one overflow series.
const MAX_SERIES: usize = 2_000;

/// A running telemetry. Cheap to clone; dropping the last clone flushes for at most 1 s.
///
/// Layers made from it hold none of it, so a router that lives on does not delay that.
#[derive(Clone)]
#[must_use = "dropping it ends the telemetry"]
pub struct Telemetry {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    metrics: Metrics,
    http: Arc<Shared>,
    http_client: Arc<http_client::Shared>,
    propagators: Propagators,
    grpc: Arc<grpc::Shared>,
    readiness: Readiness,
    endpoints: Arc<EndpointSet>,
    admin: Mutex<Vec<Admin>>,
    /// `false`: `OTEL_SDK_DISABLED` or `OTEL_METRICS_EXPORTER=none`.
    observed: bool,
    notices: Notices,
    /// Does not use the pipeline any more.
    left: AtomicBool,
}

impl Telemetry {
    pub(super) fn new(
        config: &Config,
        pipeline: Arc<Pipeline>,
        port: Port,
        notices: Notices,
    ) -> Self {
        let settings = MetricsConfig {
            max_series: MAX_SERIES,
        };
        let (service, redaction) = (config.service.clone(), config.logs.redaction.clone());
        let own = Own {
            target: Box::new(move || target_labels(&resource::detect(&service), &redaction)),
            health: Arc::clone(&pipeline.health),
            logs: Arc::clone(&pipeline.logs),
        };
        let marks = Arc::clone(&pipeline.marks);
        let metrics = Metrics::new(&settings, marks, own, notices.clone());
        metrics.collect(prometheus::default_registry().clone());
        metrics.watch_this_runtime();
        let observed = config.metrics && !config.disabled;
        let http = Shared::new(
            config,
            observed.then(|| metrics.http_server()),
            pipeline.queue(),
            notices.clone(),
        );
        let http_client = http_client::Shared::new(
            config,
            observed.then(|| metrics.http_client()),
            pipeline.queue(),
        );
        let grpc = grpc::Shared::new(
            Arc::clone(&http),
            observed.then(|| metrics.rpc()),
            notices.clone(),
        );
        let readiness = Readiness::default();
        let endpoints = EndpointSet::new(
            config.http.endpoints,
            metrics.clone(),
            readiness.clone(),
            notices.clone(),
        );
        let endpoints = Arc::new(endpoints);
        let admin = port.serve(&endpoints, &notices).into_iter().collect();
        Self {
            inner: Arc::new(Inner {
                pipeline,
                metrics,
                http,
                http_client,
                propagators: config.traces.propagators,
                grpc,
                notices,
                readiness,
                endpoints,
                admin: Mutex::new(admin),
                observed,
                left: AtomicBool::new(false),
            }),
        }
    }

    /// The server layer for any tower service.
    #[must_use]
    pub fn http_server(&self) -> HttpServerLayer {
        layer_made(Around::Anything);
        self.http_layer()
    }

    /// The client layer for any tower service that sends requests, and for reqwest.
    #[must_use]
    pub fn http_client(&self) -> HttpClientLayer {
        HttpClientLayer::new(Arc::clone(&self.inner.http_client))
    }

    /// The server layer for gRPC, as in `tonic::transport::Server::builder().layer(…)`.
    ///
    /// [`instrument`](Self::instrument) contains it.
    #[must_use]
    pub fn grpc_server(&self) -> GrpcServerLayer {
        layer_made(Around::Anything);
        self.grpc_layer()
    }

    /// The client layer for gRPC, to be put around a `tonic` channel. Needs the feature `grpc-client`.
    #[cfg(feature = "grpc-client")]
    #[must_use]
    pub fn grpc_client(&self) -> GrpcClientLayer {
        GrpcClientLayer::new(Arc::clone(&self.inner.grpc))
    }

    fn http_layer(&self) -> HttpServerLayer {
        self.inner.metrics.watch_this_runtime();
        HttpServerLayer::new(Arc::clone(&self.inner.http))
    }

    fn grpc_layer(&self) -> GrpcServerLayer {
        self.inner.metrics.watch_this_runtime();
        GrpcServerLayer::new(Arc::clone(&self.inner.grpc))
    }

    /// Begins a request of a framework that is not tower; see [`ServerRequest`].
    ///
    /// What the server knows of the connection stands in `extensions`, as for the layers: the peer as a
    /// `SocketAddr`, TLS as `http::uri::Scheme::HTTPS`, a [`RouteTemplate`](crate::RouteTemplate) if it
    /// is known this early.
    pub fn server_request(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> ServerRequest {
        self.inner.metrics.watch_this_runtime();
        let head = RequestHead::parts(method, uri, headers, extensions);
        ServerRequest::begin(&self.inner.http, head)
    }

    /// The layer to add to a `tracing` subscriber that the service builds itself:
    /// `registry().with(fmt::layer().with_filter(filter)).with(telemetry.tracing_layer())`. A filter over
    /// the whole subscriber, or over this layer, hides spans; if it hides ours, a notice on stderr says so.
    pub fn tracing_layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.inner.pipeline.tracing_layer()
    }

    /// Runs `work` as a job: a span, its duration by outcome, and the time of its last success
    /// (`job_duration_seconds`, `job_last_success_timestamp_seconds`).
    ///
    /// `name` becomes a label. Inside a traced request the run is a child of it, elsewhere a
    /// trace of its own. Dropped before its end it counts as `cancelled`.
    ///
    /// # Errors
    ///
    /// What `work` returns; the name of the error's type is recorded, never its text.
    pub async fn job<T, E>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let inner = &self.inner;
        inner.metrics.watch_this_runtime();
        let metrics = inner.observed.then(|| inner.metrics.jobs());
        let spans = inner.pipeline.engine.is_some();
        crate::job::run(metrics, spans, name, work).await
    }

    /// Opens the span of a message, or of a batch, named `{operation} {destination}`.
    ///
    /// `system` is the broker's name in the semantic conventions (`kafka`, `rabbitmq`, `redis`),
    /// `destination` a topic, queue or stream from the code or the configuration.
    ///
    /// ```
    /// use telemetry_lib::opentelemetry::Context;
    /// use telemetry_lib::propagation::{Pairs, PairsMut, extract};
    /// use telemetry_lib::{Operation, Origin, Telemetry};
    /// # type Headers = Vec<(String, Vec<u8>)>;
    /// # async fn produce(_: &Headers) -> Result<(), std::io::Error> { Ok(()) }
    /// # async fn handle(_: &Headers) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// async fn send(telemetry: &Telemetry) -> std::io::Result<()> {
    ///     let mut headers = Headers::new();
    ///     let sending = telemetry.message(Operation::Send, "kafka", "orders", Origin::Current);
    ///     sending.inject(&mut PairsMut(&mut headers));
    ///     sending.run(produce(&headers)).await
    /// }
    ///
    /// async fn receive(telemetry: &Telemetry, headers: Headers) -> std::io::Result<()> {
    ///     let sender = Origin::Parent(extract(&Pairs(&headers)));
    ///     let message = telemetry.message(Operation::Process, "kafka", "orders", sender);
    ///     message.run(handle(&headers)).await
    /// }
    ///
    /// fn batch(telemetry: &Telemetry, batch: &[Headers]) -> std::io::Result<()> {
    ///     let senders = batch.iter().map(|headers| extract(&Pairs(headers))).collect();
    ///     let links = Origin::Links(senders);
    ///     let messages = telemetry.message(Operation::Process, "kafka", "orders", links);
    ///     messages.in_scope(|| Ok(()))
    /// }
    /// ```
    pub fn message(
        &self,
        operation: Operation,
        system: &str,
        destination: &str,
        origin: Origin,
    ) -> Message {
        let inner = &self.inner;
        let settings = (inner.pipeline.engine.is_some(), inner.propagators);
        Message::open(settings, operation, (system, destination), origin)
    }

    /// Adds a registry of the `prometheus` crate to `/metrics`; the default one is there.
    ///
    /// If a family clashes with one of ours, the registry's wins.
    pub fn collect(&self, registry: prometheus::Registry) {
        self.inner.metrics.collect(registry);
    }

    /// Adds exemplars to the histograms of such registries; a scraper that asks for OpenMetrics
    /// sees them.
    pub fn collect_exemplars(&self, exemplars: Exemplars) {
        self.inner.metrics.collect_exemplars(exemplars);
    }

    /// The answer to a GET or HEAD of `/metrics`, `/healthz` or `/readyz`, for servers that are not
    /// axum; `None` for everything else. While 16 bodies of `/metrics` are held it is 503; the body stands
    /// there for HEAD, too, where a server leaves it out.
    #[must_use]
    pub fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        self.inner.metrics.watch_this_runtime();
        let endpoint = self.inner.endpoints.find(method, path)?;
        Some(self.inner.endpoints.answer(endpoint, headers))
    }

    /// Serves `/metrics`, `/healthz` and `/readyz` at `address`, on a thread of its own, until
    /// the last handle is dropped; returns the address with the port that was chosen. The
    /// service's own port does not answer `/metrics` any more. Of more than 64 connections the oldest ends.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound or the thread not started.
    pub fn admin(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let taken = Taken::new(address)?;
        let bound = taken.address();
        let admin = taken.serve(Arc::clone(&self.inner.endpoints));
        let open = self.inner.admin.lock();
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        open.push(admin);
        Ok(bound)
    }

    /// Makes `/readyz` answer 503, as [`serve_gracefully`](crate::serve_gracefully) does
    /// before it stops; `true` takes it back.
    pub fn set_ready(&self, ready: bool) {
        self.inner.readiness.set(ready);
    }

    /// Walks the way that spans take, from this process to the Collector, and says at each step
    /// what is wrong and what to do: configuration, subscriber, name, connection, TLS, what the
    /// endpoint answers to an empty export, clocks.
    ///
    /// For `--doctor` flags, support pages and start-up logs. It opens connections of its own to
    /// the endpoint and sends an export without spans, so it costs nobody a span, and it needs
    /// neither the caller's runtime nor the export thread: either may be what is broken. For that
    /// it is not `async`; it blocks for at most half a minute, usually for milliseconds. In a task
    /// use `tokio::task::spawn_blocking(move || telemetry.doctor())`.
    ///
    /// No secret stands in the result: header values, passwords and query strings are left out.
    #[must_use]
    pub fn doctor(&self) -> Diagnosis {
        self.inner.pipeline.doctor()
    }

    /// Changes which log lines are written, from now on: `set_log_filter("info,my_crate=debug")`.
    ///
    /// Takes the place of `RUST_LOG`. Spans, and so traces, do not change. A word alone that is no level
    /// is a target; if other targets write no lines then and it looks like a mistyped level, a notice on
    /// stderr says so.
    ///
    /// # Errors
    ///
    /// If the text is no filter, or the lines are another subscriber's; then nothing changes.
    pub fn set_log_filter(&self, directives: &str) -> Result<(), LogFilterError> {
        self.inner.pipeline.logs.set_filter(directives)?;
        if let Some(doubt) = log::doubt("set_log_filter", directives) {
            self.inner.notices.once(&doubt, || doubt.clone());
        }
        Ok(())
    }

    /// Sends what is queued and says what became of it; waits at most `limit`.
    ///
    /// Needs no particular runtime, or none.
    pub async fn flush(&self, limit: Duration) -> Report {
        self.inner.pipeline.flush(limit).await
    }

    /// Sends what is queued, then stops exporting; waits at most `limit`.
    ///
    /// Spans that end later are counted as dropped `after_shutdown`; their ids still travel.
    /// Calling it again gives the same counts. Of several calls at once each has its own limit: what
    /// one did not see the end of is still tried until the last one's is over. Clones of a handle are one handle. While the handle of
    /// another [`init`](fn@crate::init) is in use, neither shut down nor dropped, this one only flushes:
    /// export ends with the last of them.
    pub async fn shutdown(&self, limit: Duration) -> Report {
        let inner = &self.inner;
        inner.pipeline.shutdown(&inner.left, limit).await
    }

    /// [`shutdown`](Self::shutdown) without `async`: blocks the calling thread.
    pub fn shutdown_blocking(&self, limit: Duration) -> Report {
        let inner = &self.inner;
        inner.pipeline.shutdown_blocking(&inner.left, limit)
    }
}

/// What only works with axum.
#[cfg(feature = "axum")]
impl Telemetry {
    /// Instruments an axum router: server spans, metrics, and answers to `/metrics`,
    /// `/healthz` and `/readyz` where the router has no route for them.
    ///
    /// Requests of gRPC (`application/grpc`) become calls, as with
    /// [`grpc_server`](Self::grpc_server).
    ///
    /// Call it last: what is added to the router afterwards is not seen. Requests that another
    /// layer has instrumented pass through, but not one that was under way already when the second
    /// layer of the process was made: make all layers before you serve. A handler that sends its
    /// request through this router again makes a second one of it where this is the only layer.
    /// Below `nest_service` there is no `http.route`.
    /// Where the trait `tracing::Instrument` is in scope, its method of the same name comes
    /// first: write `Telemetry::instrument(&telemetry, router)`.
    pub fn instrument<S>(&self, router: axum::Router<S>) -> axum::Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        layer_made(Around::OneRouter);
        router.layer(crate::router::RouterLayer::new(
            self.http_layer(),
            self.grpc_layer(),
            Arc::clone(&self.inner.endpoints),
        ))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pipeline.drop_user(&self.left, LAST_FLUSH);
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("pipeline", &self.inner.pipeline)
            .finish_non_exhaustive()
    }
}
