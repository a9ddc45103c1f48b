//! axum-tracing-opentelemetry for spans, axum-prometheus for metrics.

use axum::Router;
use axum_prometheus::PrometheusMetricLayer;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Stack, flush, sdk};

pub(super) fn build(router: Router) -> Stack {
    let provider = sdk();
    tracing_subscriber::registry()
        .with(targets())
        .with(spans(&provider))
        .init();
    stack(router, provider)
}

/// With the layer for JSON lines that its README names, and the trace id in the response.
pub(super) fn logging(router: Router) -> Stack {
    let provider = sdk();
    tracing_subscriber::registry()
        .with(targets())
        .with(spans(&provider))
        .with(tracing_subscriber::fmt::layer().json())
        .init();
    stack(router.layer(OtelInResponseLayer), provider)
}

/// Its server span is at TRACE under a target of its own.
fn targets() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("otel::tracing", LevelFilter::TRACE)
}

fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer().with_tracer(provider.tracer("peers"))
}

fn stack(router: Router, provider: SdkTracerProvider) -> Stack {
    let (metrics, _handle) = PrometheusMetricLayer::pair();
    Stack {
        router: router.layer(OtelAxumLayer::default()).layer(metrics),
        flush: flush(provider),
    }
}
