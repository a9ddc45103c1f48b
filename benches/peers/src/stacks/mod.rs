//! The stacks, each wired as its own documentation says, with spans over OTLP/HTTP to the endpoint
//! of the environment.

mod contrib;
mod handwritten;
mod ours;
mod usual;

use axum::Router;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::app;

/// The stack that others are compared with: the most common one.
pub const USUAL: &str = "axum-tracing-opentelemetry + axum-prometheus";

/// A way to build an instrumented application.
pub type Build = fn(Router) -> Stack;

/// Their names, as in a table.
pub const STACKS: [(&str, Build); 6] = [
    ("bare router", bare),
    (USUAL, usual::build),
    ("opentelemetry-instrumentation-tower", contrib::build),
    (
        "hand-written prometheus layer (no traces)",
        handwritten::build,
    ),
    ("telemetry-lib", ours::without_log),
    ("telemetry-lib with its JSON log", ours::two_lines),
];

/// An instrumented application.
pub struct Stack {
    /// The application.
    pub router: Router,
    /// Exports what is queued, and returns when it is.
    pub flush: Box<dyn Fn()>,
}

/// Builds the stack of that name.
pub fn build(name: &str) -> Option<Stack> {
    let (_, build) = STACKS.iter().find(|(known, _)| *known == name)?;
    let mut stack = build(app::router());
    // As `axum::serve` does: else every request would build its route's layers anew.
    stack.router = stack.router.with_state(());
    Some(stack)
}

fn bare(router: Router) -> Stack {
    Stack {
        router,
        flush: Box::new(|| {}),
    }
}

/// The SDK as its documentation sets it up.
fn sdk() -> SdkTracerProvider {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = SpanExporter::builder()
        .with_http()
        .build()
        .expect("the endpoint is valid");
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("peers").build())
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    provider
}

fn flush(provider: SdkTracerProvider) -> Box<dyn Fn()> {
    Box::new(move || provider.force_flush().expect("the sink takes everything"))
}
