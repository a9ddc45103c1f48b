//! The HTTP client layer: one span and one observation for each attempt, the context in its
//! headers.
//!
//! Span and metric end when the head of the response is there, not its body: nobody has to read
//! a body to its end, and the conventions want a client's span to end early for that reason. So
//! the response passes through with its type unchanged.

mod answer;
mod attempt;
mod fault;
mod future;
mod layer;
#[cfg(feature = "reqwest")]
mod reqwest;
mod resends;
mod target;

use std::sync::Arc;

pub use future::ClientFuture;
pub use layer::{HttpClient, HttpClientLayer};
pub use resends::Resends;

use crate::config::HttpConfig;
use crate::export::QueueProcessor;
use crate::metrics::HttpClientMetrics;
use crate::propagation::Propagators;

/// What all requests of one handle share. Holds no handle, so it does not delay the last flush.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Known methods, what of a query is recorded, and where baggage may go.
    http: HttpConfig,
    propagators: Propagators,
    /// `None`: `OTEL_SDK_DISABLED` or `OTEL_METRICS_EXPORTER=none`.
    metrics: Option<HttpClientMetrics>,
    /// `false`: `OTEL_SDK_DISABLED`; the current context still goes out.
    spans: bool,
    /// The queue that an exemplar's span must fit in; `None`: no exemplars.
    exemplars: Option<QueueProcessor>,
}

impl Shared {
    pub(crate) fn new(
        config: &crate::Config,
        metrics: Option<HttpClientMetrics>,
        queue: Option<QueueProcessor>,
    ) -> Arc<Self> {
        Arc::new(Self {
            http: config.http.clone(),
            propagators: config.traces.propagators,
            metrics,
            spans: !config.disabled,
            exemplars: queue.filter(|_| config.exemplars),
        })
    }
}
