//! opentelemetry-instrumentation-tower for spans and metrics, with the SDK and its Prometheus
//! exporter; `tracing-opentelemetry` turns the handler's functions into spans.

use axum::Router;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_instrumentation_tower::http;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Stack, flush, sdk};

pub(super) fn build(router: Router) -> Stack {
    let provider = sdk();
    let exporter = opentelemetry_prometheus::exporter()
        .build()
        .expect("the registry is new");
    opentelemetry::global::set_meter_provider(
        SdkMeterProvider::builder().with_reader(exporter).build(),
    );
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("peers"));
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(spans)
        .init();
    Stack {
        router: router.layer(http::server::Layer::new()),
        flush: flush(provider),
    }
}
