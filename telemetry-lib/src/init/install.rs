//! Takes the global places of `tracing` and OpenTelemetry that are still free.

use std::io::Write;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, global};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::pipeline::Pipeline;
use crate::config::{Config, LogFormat};
use crate::engine::Engine;
use crate::fork::Standard;
use crate::log;

/// Which places we got, or were not to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed {
    pub(super) subscriber: bool,
    pub(super) logger: bool,
    pub(super) propagator: bool,
    pub(super) provider: bool,
}

pub(super) fn globally(config: &Config, pipeline: &Pipeline) -> Installed {
    let subscriber = config.install_subscriber && set_subscriber(config, pipeline);
    Installed {
        subscriber: subscriber || !config.install_subscriber,
        logger: !subscriber || set_logger(config, pipeline),
        propagator: set_propagator(config),
        provider: set_provider(pipeline),
    }
}

/// A subscriber with our layers.
pub(super) fn dispatch(
    config: &Config,
    pipeline: &Pipeline,
    output: Box<dyn Write + Send>,
) -> Dispatch {
    let spans = pipeline.tracing_layer();
    let lines = pipeline.logs.layer(config.traces.level, output);
    Dispatch::new(tracing_subscriber::registry().with(spans).with(lines))
}

fn set_subscriber(config: &Config, pipeline: &Pipeline) -> bool {
    let dispatch = dispatch(config, pipeline, Box::new(Standard::Output));
    let free = tracing::dispatcher::set_global_default(dispatch).is_ok();
    if free {
        pipeline.logs.set_in_use();
    }
    free
}

/// Records of the crate `log` become lines, if there are any, as the service's own events do.
fn set_logger(config: &Config, pipeline: &Pipeline) -> bool {
    let in_spans = match &pipeline.engine {
        Some(_) => Engine::EVENTS,
        None => LevelFilter::OFF,
    };
    config.logs.format == LogFormat::None || log::take_records(&pipeline.logs, in_spans)
}

fn set_propagator(config: &Config) -> bool {
    // The API's own default carries no header.
    let free = global::get_text_map_propagator(|current| current.fields().next().is_none());
    if free {
        global::set_text_map_propagator(config.traces.propagators);
    }
    free
}

fn set_provider(pipeline: &Pipeline) -> bool {
    let Some(engine) = &pipeline.engine else {
        return true;
    };
    let free = !has_provider();
    if free {
        global::set_tracer_provider(engine.provider().clone());
    }
    free
}

/// The API cannot be asked. Its no-op tracer hands the parent's ids on, every other one makes
/// a span id of its own; the parent is unsampled, so that no exporter sees the probe.
fn has_provider() -> bool {
    let parent = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    let context = Context::new().with_remote_span_context(parent.clone());
    let probe = global::tracer(env!("CARGO_PKG_NAME")).start_with_context("probe", &context);
    probe.span_context().span_id() != parent.span_id()
}
