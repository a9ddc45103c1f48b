//! The HTTP server layer: one span and one observation per request, both ended by the
//! same reading at the end of the body.

mod body;
mod captured;
mod flight;
mod forwarded;
mod future;
mod head;
mod headers;
mod host;
mod method;
mod nesting;
mod outcome;
mod query;
mod received;
mod request;
mod route;
#[cfg(test)]
pub(crate) mod secrets;
mod server;

use std::sync::Arc;

pub use body::Watched;
pub(crate) use forwarded::ends;
pub use future::ResponseFuture;
pub(crate) use head::RequestHead;
pub(crate) use head::{peer_attributes, protocol_version};
pub(crate) use method::{Folded, span_name};
pub(crate) use nesting::{Around, layer_made};
pub(crate) use outcome::{Ending, ErrorType, Outcome};
pub(crate) use query::shown_query;
#[cfg(feature = "axum")]
pub(crate) use received::Received;
pub use request::{EnteredRequest, ServerRequest};
pub use route::RouteTemplate;
pub(crate) use server::Instrumented;
pub use server::{HttpServer, HttpServerLayer};

use crate::config::HttpConfig;
use crate::export::QueueProcessor;
use crate::metrics::HttpServerMetrics;
use crate::notice::Notices;
use crate::propagation::Propagators;

/// What all requests of one handle share. Holds no handle, so it does not delay the last flush.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: HttpConfig,
    pub(crate) propagators: Propagators,
    /// `None`: `OTEL_SDK_DISABLED` or `OTEL_METRICS_EXPORTER=none`.
    pub(crate) metrics: Option<HttpServerMetrics>,
    /// `false`: `OTEL_SDK_DISABLED`; the caller's context still passes through.
    pub(crate) spans: bool,
    /// The queue that an exemplar's span must fit in; `None`: no exemplars.
    pub(crate) exemplars: Option<QueueProcessor>,
    pub(crate) routes: route::RouteWatch,
}

impl Shared {
    pub(crate) fn new(
        config: &crate::Config,
        metrics: Option<HttpServerMetrics>,
        queue: Option<QueueProcessor>,
        notices: Notices,
    ) -> Arc<Self> {
        Arc::new(Self {
            config: config.http.clone(),
            propagators: config.traces.propagators,
            metrics,
            spans: !config.disabled,
            exemplars: queue.filter(|_| config.exemplars),
            routes: route::RouteWatch::new(notices),
        })
    }
}
