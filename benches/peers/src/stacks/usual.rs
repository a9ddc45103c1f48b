//! axum-tracing-opentelemetry for spans, axum-prometheus for metrics.

use axum::Router;
use axum_prometheus::PrometheusMetricLayer;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Stack, flush, sdk};

pub(super) fn build(router: Router) -> Stack {
    let provider = sdk();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("peers"));
    // Its server span is at TRACE under a target of its own.
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("otel::tracing", LevelFilter::TRACE);
    tracing_subscriber::registry()
        .with(targets)
        .with(spans)
        .init();
    let (metrics, _handle) = PrometheusMetricLayer::pair();
    Stack {
        router: router.layer(OtelAxumLayer::default()).layer(metrics),
        flush: flush(provider),
    }
}
