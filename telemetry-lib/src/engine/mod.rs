//! The seam: where a `tracing` span becomes an OTLP span.
//!
//! Everything outside asks for a span under a remote parent, its ids and whether it is
//! sampled; sets name, attributes, status, links and events late; ends it at a given
//! instant. Only this folder knows that `tracing-opentelemetry` and the SDK do the work.

mod client;
mod events;
mod filter;
mod finish;
mod hidden;
mod ids;
mod numbers;
mod rpc;
mod sampler;
mod span;

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanLimits, SpanProcessor};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

pub(crate) use client::{ClientFields, MessageFields, MessageKind};
pub(crate) use hidden::{HIDDEN, UNHIDE};
pub(crate) use rpc::RPC_SYSTEM;
pub(crate) use span::{Entered, Fields, OpenSpan};

use crate::config::Config;
use crate::gate::Gated;
use crate::notice::Notices;
use crate::redact::Redaction;

/// Makes and ends spans. There is one per process; tests may build more.
///
/// The provider is never shut down: after that, new spans would have zero ids and
/// propagation would break. Shutdown closes the queue behind the processor instead.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    level: tracing::Level,
    redaction: Arc<Redaction>,
    hidden: Arc<hidden::HiddenWatch>,
}

impl Engine {
    /// Events of this level and above are added to their spans.
    pub(crate) const EVENTS: LevelFilter = LevelFilter::WARN;

    /// `queue` takes the ended spans; without one they have ids and go nowhere.
    pub(crate) fn new(
        config: &Config,
        resource: Resource,
        queue: Option<impl SpanProcessor + 'static>,
        notices: Notices,
    ) -> Self {
        let redaction = Arc::new(config.logs.redaction.clone());
        let config = &config.traces;
        let limits = config.limits;
        let mut builder = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_id_generator(ids::Ids::new())
            .with_sampler(sampler::build(config.sampler))
            .with_span_limits(SpanLimits {
                max_attributes_per_span: limits.attributes,
                max_events_per_span: limits.events,
                max_links_per_span: limits.links,
                max_attributes_per_event: limits.event_attributes,
                max_attributes_per_link: limits.link_attributes,
            });
        if let Some(queue) = queue {
            builder = builder.with_span_processor(finish::Finish::new(
                config,
                Arc::clone(&redaction),
                queue,
            ));
        }
        let provider = builder.build();
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let tracer = provider.tracer_with_scope(scope);
        Self {
            provider,
            tracer,
            level: config.level,
            redaction,
            hidden: Arc::new(hidden::HiddenWatch::new(config.level, notices)),
        }
    }

    /// The layers that make spans of `tracing` spans and span events of WARN and above.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let wanted = filter::Spans { level: self.level };
        // Spans only: an ERROR event would set the status, and nothing could unset it.
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_error_fields_to_exceptions(false)
            .with_error_records_to_exceptions(false)
            .with_error_events_to_exceptions(false)
            .with_error_events_to_status(false);
        let events = events::SpanEvents::new(Arc::clone(&self.redaction), Arc::clone(&self.hidden));
        let spans = numbers::Numbers
            .and_then(spans)
            .and_then(numbers::NoNumbers);
        Gated::new(spans, wanted).and_then(Gated::new(events, filter::SpansAndWarnings(wanted)))
    }

    /// For code that uses the OpenTelemetry API without `tracing`.
    pub(crate) fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }
}

/// Whether our layers are part of this subscriber. One that wraps its layers in types of its own,
/// such as a reload handle, cannot be asked.
pub(crate) fn is_in(dispatch: &Dispatch) -> bool {
    dispatch.downcast_ref::<events::SpanEvents>().is_some()
}
