//! The configured propagators, applied together: which headers are read and written.

use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::Extractor;
use opentelemetry::propagation::Injector;
use opentelemetry::propagation::text_map_propagator::{FieldIter, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};

use super::carrier::{Carrier, Header};
use super::traceparent::{RANDOM, Traceparent};
use super::{baggage, tracestate};

/// Which of the propagators are on (`OTEL_PROPAGATORS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagators {
    pub(crate) tracecontext: bool,
    pub(crate) baggage: bool,
}

/// A remote context and which headers were broken on the way to it.
#[derive(Debug, Default)]
pub(crate) struct Extraction {
    pub(crate) context: Context,
    pub(crate) malformed: Malformed,
}

/// The headers that had to be ignored, in whole or in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) traceparent: bool,
    pub(crate) tracestate: bool,
    pub(crate) baggage: bool,
}

/// Stands in a context whose trace id came from elsewhere without the random flag, so
/// that we do not promise for others what only holds for ids of our own.
#[derive(Debug)]
struct NotRandom;

impl Default for Propagators {
    fn default() -> Self {
        Self {
            tracecontext: true,
            baggage: true,
        }
    }
}

impl Propagators {
    pub(crate) fn extract(self, carrier: &impl Carrier) -> Extraction {
        let mut extraction = Extraction::default();
        if self.tracecontext {
            extraction.read_trace(carrier);
        }
        if self.baggage && carrier.values(Header::Baggage).next().is_some() {
            extraction.read_baggage(carrier);
        }
        extraction
    }

    pub(crate) fn inject(self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if self.tracecontext && span.is_valid() {
            let parent = Traceparent::of(span, is_random(context, span));
            carrier.set(Header::Traceparent.as_str(), parent.render());
            let state = span.trace_state().header();
            if !state.is_empty() {
                carrier.set(Header::Tracestate.as_str(), state);
            }
        }
        if self.baggage && !context.baggage().is_empty() {
            carrier.set(Header::Baggage.as_str(), baggage::render(context.baggage()));
        }
    }
}

impl Extraction {
    fn read_trace(&mut self, carrier: &impl Carrier) {
        let mut lines = carrier.values(Header::Traceparent);
        let Some(first) = lines.next() else { return };
        // Two lines name two parents; neither can be believed.
        let parsed = match lines.next() {
            None => Traceparent::parse(first).ok(),
            Some(_) => None,
        };
        let Some(parent) = parsed else {
            self.malformed.traceparent = true;
            return;
        };
        let state = tracestate::parse(carrier.values(Header::Tracestate));
        self.malformed.tracestate = state.is_err();
        let remote = SpanContext::new(
            parent.trace_id,
            parent.span_id,
            parent.flags,
            true,
            state.unwrap_or(TraceState::NONE),
        );
        let random = parent.flags & RANDOM == RANDOM;
        self.context = base(random).with_remote_span_context(remote);
    }

    fn read_baggage(&mut self, carrier: &impl Carrier) {
        let parsed = baggage::parse(carrier.values(Header::Baggage));
        self.malformed.baggage = parsed.malformed;
        if !parsed.baggage.is_empty() {
            self.context = self.context.with_baggage(parsed.baggage);
        }
    }
}

impl Malformed {
    /// The names of the broken headers, for a counter's label.
    pub(crate) fn headers(self) -> impl Iterator<Item = Header> {
        [
            (self.traceparent, Header::Traceparent),
            (self.tracestate, Header::Tracestate),
            (self.baggage, Header::Baggage),
        ]
        .into_iter()
        .filter_map(|(broken, header)| broken.then_some(header))
    }
}

/// Built once: a context value costs an allocation, and most callers still speak Level 1.
fn base(random: bool) -> Context {
    static LEVEL_1: OnceLock<Context> = OnceLock::new();
    if random {
        return Context::new();
    }
    LEVEL_1
        .get_or_init(|| Context::new().with_value(NotRandom))
        .clone()
}

fn is_random(context: &Context, span: &SpanContext) -> bool {
    let flagged = span.trace_flags() & RANDOM == RANDOM;
    flagged || !(span.is_remote() || context.get::<NotRandom>().is_some())
}

/// So that code written against the global propagator of the API speaks the same headers.
impl TextMapPropagator for Propagators {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        (*self).inject(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = (*self).extract(&extractor).context;
        let span = found.span().span_context().clone();
        let random = span.trace_flags() & RANDOM == RANDOM;
        let mut merged = context.clone();
        if span.is_valid() && !random {
            merged = merged.with_value(NotRandom);
        }
        if span.is_valid() {
            merged = merged.with_remote_span_context(span);
        }
        if !found.baggage().is_empty() {
            let entries = found.baggage().iter().map(|(key, (value, metadata))| {
                opentelemetry::baggage::KeyValueMetadata::new(
                    key.clone(),
                    value.clone(),
                    metadata.clone(),
                )
            });
            merged = merged.with_baggage(entries.collect::<Vec<_>>());
        }
        merged
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<[String; 3]> = OnceLock::new();
        let all = FIELDS.get_or_init(|| {
            [Header::Traceparent, Header::Tracestate, Header::Baggage]
                .map(|header| header.as_str().to_owned())
        });
        FieldIter::new(match (self.tracecontext, self.baggage) {
            (true, true) => all,
            (true, false) => &all[..2],
            (false, true) => &all[2..],
            (false, false) => &[],
        })
    }
}
