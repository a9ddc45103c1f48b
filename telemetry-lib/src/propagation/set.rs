//! The configured propagators, applied together: which headers are read and written.

use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::Extractor;
use opentelemetry::propagation::Injector;
use opentelemetry::propagation::text_map_propagator::{FieldIter, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};

use super::b3::{B3, Sampling};
use super::carrier::{Carrier, Header};
use super::traceparent::{MAX_BYTES, RANDOM, Traceparent};
use super::{baggage, tracestate};

/// Which of the propagators are on (`OTEL_PROPAGATORS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagators {
    pub(crate) tracecontext: bool,
    pub(crate) baggage: bool,
    /// One line, `b3`.
    pub(crate) b3: bool,
    /// Several lines, `x-b3-*`.
    pub(crate) b3multi: bool,
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
    /// The single header or one of the several.
    pub(crate) b3: bool,
}

/// Stands in a context whose trace id came from elsewhere without the random flag, so
/// that we do not promise for others what only holds for ids of our own.
#[derive(Debug)]
struct NotRandom;

/// Stands in a context whose trace is debugged: B3 wants that told to everybody below.
#[derive(Debug)]
struct Debugged;

impl Default for Propagators {
    fn default() -> Self {
        Self {
            tracecontext: true,
            baggage: true,
            ..Self::NONE
        }
    }
}

impl Propagators {
    pub(crate) const NONE: Self = Self {
        tracecontext: false,
        baggage: false,
        b3: false,
        b3multi: false,
    };

    /// Turns on the one of this name, as `OTEL_PROPAGATORS` spells it; `false` if there is none.
    pub(crate) fn choose(&mut self, name: &str) -> bool {
        match name {
            "tracecontext" => self.tracecontext = true,
            "baggage" => self.baggage = true,
            "b3" => self.b3 = true,
            "b3multi" => self.b3multi = true,
            "none" => {}
            _ => return false,
        }
        true
    }

    /// W3C goes before B3: where both stand they name the same caller, and W3C says more.
    pub(crate) fn extract(self, carrier: &impl Carrier) -> Extraction {
        let mut extraction = Extraction::default();
        let found = self.tracecontext && extraction.read_trace(carrier);
        if !found && (self.b3 || self.b3multi) {
            extraction.read_b3(carrier);
        }
        if self.baggage && carrier.values(Header::Baggage).next().is_some() {
            extraction.read_baggage(carrier);
        }
        extraction
    }

    pub(crate) fn inject(self, context: &Context, carrier: &mut dyn Injector) {
        self.inject_trace(context, carrier);
        if self.baggage && !context.baggage().is_empty() {
            carrier.set(Header::Baggage.as_str(), baggage::render(context.baggage()));
        }
    }

    /// Everything but the baggage.
    pub(crate) fn inject_trace(self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        if self.tracecontext {
            let parent = Traceparent::of(span, is_random(context, span));
            carrier.set(Header::Traceparent.as_str(), parent.render());
            let state = span.trace_state().header();
            if !state.is_empty() {
                carrier.set(Header::Tracestate.as_str(), state);
            }
        }
        let b3 = B3::of(span, context.get::<Debugged>().is_some());
        if self.b3 {
            carrier.set(Header::B3.as_str(), b3.render());
        }
        if self.b3multi {
            for (header, value) in b3.lines() {
                carrier.set(header.as_str(), value);
            }
        }
    }

    /// The headers that carry the trace, as far as they are on.
    pub(crate) fn trace_headers(self) -> impl Iterator<Item = Header> {
        const TRACECONTEXT: &[Header] = &[Header::Traceparent, Header::Tracestate];
        const SINGLE: &[Header] = &[Header::B3];
        const SEVERAL: &[Header] = &[
            Header::B3TraceId,
            Header::B3SpanId,
            Header::B3Sampled,
            Header::B3Flags,
        ];
        [
            (self.tracecontext, TRACECONTEXT),
            (self.b3, SINGLE),
            (self.b3multi, SEVERAL),
        ]
        .into_iter()
        .filter_map(|(on, headers)| on.then_some(headers))
        .flatten()
        .copied()
    }

    /// A place among the sixteen sets.
    fn index(self) -> usize {
        let bits = [self.tracecontext, self.baggage, self.b3, self.b3multi];
        bits.into_iter()
            .fold(0, |index, on| index << 1 | usize::from(on))
    }
}

impl Extraction {
    /// Whether there is a caller in it.
    fn read_trace(&mut self, carrier: &impl Carrier) -> bool {
        let mut lines = carrier.values(Header::Traceparent);
        let Some(first) = lines.next() else {
            return false;
        };
        // Two lines name two parents; neither can be believed.
        let parsed = match lines.next() {
            None if first.len() <= MAX_BYTES => Traceparent::parse(first).ok(),
            None | Some(_) => None,
        };
        let Some(parent) = parsed else {
            self.malformed.traceparent = true;
            return false;
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
        true
    }

    fn read_b3(&mut self, carrier: &impl Carrier) {
        let Ok(found) = B3::read(carrier) else {
            self.malformed.b3 = true;
            return;
        };
        let Some(b3) = found else { return };
        let remote = SpanContext::new(b3.trace_id, b3.span_id, b3.flags(), true, TraceState::NONE);
        let mut context = base(false);
        if b3.sampling == Sampling::Debug {
            context = context.with_value(Debugged);
        }
        self.context = context.with_remote_span_context(remote);
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
            (self.b3, Header::B3),
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
        if found.get::<Debugged>().is_some() {
            merged = merged.with_value(Debugged);
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
        // The API wants a slice that outlives the call; there are only sixteen of them.
        static FIELDS: [OnceLock<Vec<String>>; 16] = [const { OnceLock::new() }; 16];
        FieldIter::new(FIELDS[self.index()].get_or_init(|| {
            let baggage = self.baggage.then_some(Header::Baggage);
            let headers = self.trace_headers().chain(baggage);
            headers.map(|header| header.as_str().to_owned()).collect()
        }))
    }
}
