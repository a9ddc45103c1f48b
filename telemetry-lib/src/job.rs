//! Work that nobody requests over HTTP: one span and one observation per run.

use opentelemetry::Context;

use crate::engine::OpenSpan;
use crate::metrics::JobMetrics;
use crate::work;

/// Runs `work` inside a span of its own. A run inside a traced request is its child.
pub(crate) async fn run<T, E>(
    metrics: Option<&JobMetrics>,
    spans: bool,
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = if spans {
        OpenSpan::job(name)
    } else {
        OpenSpan::carried(Context::current())
    };
    let observe = |outcome, elapsed| {
        if let Some(metrics) = metrics {
            metrics.observe(name, outcome, elapsed);
        }
    };
    work::run(span, observe, work).await
}
