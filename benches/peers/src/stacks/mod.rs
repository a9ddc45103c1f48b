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

use crate::Case;
use crate::app;

/// A way to build an instrumented application.
pub type Build = fn(Router) -> Stack;

/// The bare router, with the name that it has in no table: all others are told beyond it.
const BARE: (&str, Build) = ("bare router", bare);

/// Stacks that do the same work, and what they are asked. The first is the bare router, and the second the
/// one that the others are compared with.
pub struct Group {
    /// What they do.
    pub title: &'static str,
    /// With their names, as in a table.
    pub stacks: &'static [(&'static str, Build)],
    /// The columns.
    pub cases: &'static [Case],
}

/// All that is measured.
pub const GROUPS: [Group; 3] = [
    Group {
        title: "Traces and metrics",
        stacks: &[
            BARE,
            ("axum-tracing-opentelemetry + axum-prometheus", usual::build),
            ("opentelemetry-instrumentation-tower", contrib::build),
            (
                "hand-written prometheus layer (no traces)",
                handwritten::build,
            ),
            ("telemetry-lib", ours::without_log),
            ("telemetry-lib, collector away", ours::collector_away),
            ("telemetry-lib with its JSON log", ours::two_lines),
        ],
        cases: &[
            Case::Sampled,
            Case::Unsampled,
            Case::SampledNested,
            Case::UnsampledNested,
        ],
    },
    Group {
        title: "Traces, metrics and a JSON line for each request",
        stacks: &[
            BARE,
            (
                "the usual stack with the JSON lines of tracing-subscriber",
                usual::logging,
            ),
            ("telemetry-lib, no line folded", ours::all_lines),
        ],
        cases: &[Case::SampledLogged, Case::UnsampledLogged],
    },
    Group {
        title: "Metrics alone",
        stacks: &[
            BARE,
            ("hand-written prometheus layer", handwritten::build),
            ("telemetry-lib without a subscriber", ours::metrics_alone),
        ],
        cases: &[Case::Unsampled],
    },
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
    let mut stacks = GROUPS.iter().flat_map(|group| group.stacks);
    let (_, build) = stacks.find(|(known, _)| *known == name)?;
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
