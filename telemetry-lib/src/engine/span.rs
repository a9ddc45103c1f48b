//! One span, open: made under a remote parent, changed late, ended at a given instant.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::hidden;
use crate::clock::Elapsed;

/// What our own spans are called until they end.
const OPENED_AS: [&str; 4] = ["request", "job", "call", "message"];

/// Room for the attributes of a usual request, those that come with its end included.
const ATTRIBUTES: usize = 16;

thread_local! {
    /// The span that this thread is entering, leaving or closing with its context in hand; 0: none.
    static PASSING: Cell<u64> = const { Cell::new(0) };
    /// This thread is opening a span of our own.
    static OPENING: Cell<bool> = const { Cell::new(false) };
    /// What the span that this thread is ending is still to get.
    static ENDING: Cell<Option<Own>> = const { Cell::new(None) };
}

/// What a server span shows to every `tracing` layer from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// A span's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

/// A `tracing` span and its OpenTelemetry context.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    span: Span,
    /// Whether attributes are worth building.
    recording: bool,
    /// The span's own context; the caller's if the span is disabled or has no engine.
    context: Context,
    own: Own,
    /// Nothing attaches the caller's context for us, so entering must.
    carried: bool,
}

/// What this crate says of a span of its own, kept here until the span ends: the bridge would
/// copy it field by field, and the SDK take it one by one under a lock.
#[derive(Debug)]
pub(super) struct Own {
    name: Cow<'static, str>,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    /// So many of them were known first: the service may have changed them since.
    early: usize,
    /// What the metric counts from: the bridge has read the time itself.
    start: Option<SystemTime>,
}

/// While it lives, new spans are children of the entered one.
///
/// The context is attached here and not by the bridge, which would have to find it first.
pub(crate) struct Entered<'a> {
    // Left in this order.
    span: Option<tracing::span::Entered<'a>>,
    passing: u64,
    _context: ContextGuard,
}

impl OpenSpan {
    /// Opens a server span under `parent`, which is empty for a new trace.
    pub(crate) fn server(
        parent: Context,
        name: impl FnOnce() -> String,
        fields: Fields<'_>,
    ) -> Self {
        // Where nobody listens at all, as in a service that has metrics alone, most of the work is saved.
        if Level::INFO > LevelFilter::current() {
            hidden::look();
            return Self::carried(parent);
        }
        let name = name();
        // Not `set_parent`: a layer that reads ids on creation would already have started
        // the span, and the parent would be refused.
        let attached = parent.clone().attach();
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::http",
                "request",
                otel.name = name,
                otel.kind = "server",
                http.request.method = fields.method,
                http.route = fields.route,
                url.path = fields.path,
            )
        });
        drop(attached);
        Self::started(span, parent, Own::new(name.into(), SpanKind::Server))
    }

    /// Opens a span for work of the service's own, under whatever is current.
    pub(crate) fn job(name: &'static str) -> Self {
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::job",
                "job",
                otel.name = name,
                otel.kind = "internal",
            )
        });
        let own = Own::new(name.into(), SpanKind::Internal);
        Self::started(span, Context::current(), own)
    }

    /// The sampler runs here at the latest, before code of the service.
    pub(super) fn started(span: Span, parent: Context, own: Own) -> Self {
        let context = span.context();
        let carried = !context.span().span_context().is_valid();
        if carried {
            hidden::look();
        }
        Self {
            recording: !carried && context.span().is_recording(),
            span,
            context: if carried { parent } else { context },
            own,
            carried,
        }
    }

    /// No span of ours: the caller's context passes through unchanged.
    pub(crate) fn carried(caller: Context) -> Self {
        Self {
            span: Span::none(),
            recording: false,
            context: caller,
            own: Own::new(Cow::Borrowed(""), SpanKind::Internal),
            carried: true,
        }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        let context = self.context.clone().attach();
        let passing = self.passing();
        let enter = || self.span.enter();
        Entered {
            span: (!self.span.is_none()).then(|| pass(passing, enter)),
            passing,
            _context: context,
        }
    }

    /// What the bridge need not look after.
    fn passing(&self) -> u64 {
        let id = if self.carried { None } else { self.span.id() };
        id.map_or(0, |id| id.into_u64())
    }

    /// What travels on: the span's own context, or the caller's.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn tracing(&self) -> Span {
        self.span.clone()
    }

    /// The ids of a span of our own; none if it is disabled or without an engine.
    pub(crate) fn ids(&self) -> Option<Ids> {
        if self.carried {
            return None;
        }
        let span = self.context.span();
        let context = span.span_context();
        Some(Ids {
            trace: context.trace_id(),
            span: context.span_id(),
        })
    }

    /// Whether somebody will see the span.
    pub(crate) fn is_sampled(&self) -> bool {
        !self.carried && self.context.span().span_context().is_sampled()
    }

    /// Whether attributes are worth building.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording
    }

    pub(crate) fn rename(&mut self, name: String) {
        self.own.name = name.into();
    }

    /// What is known at the start, each key once. A value of the service's own for the same key wins.
    pub(crate) fn describe(&mut self, fill: impl FnOnce(&mut Vec<KeyValue>)) {
        let attributes = &mut self.own.attributes;
        attributes.reserve(ATTRIBUTES);
        fill(attributes);
        self.own.early = attributes.len();
    }

    /// What is known later, and wins. Each key once: a second time it is [`set_again`](Self::set_again).
    pub(crate) fn set(&mut self, attribute: KeyValue) {
        self.own.attributes.push(attribute);
    }

    /// As [`set`](Self::set), for several.
    pub(crate) fn set_all(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.own.attributes.extend(attributes);
    }

    /// In place of what was said for the same key, if anything was.
    pub(crate) fn set_again(&mut self, attribute: KeyValue) {
        self.own.set_again(attribute);
    }

    /// An error that the status code or `error.type` explains needs no description.
    pub(crate) fn fail(&self) {
        self.context.span().set_status(Status::error(""));
    }

    pub(crate) fn link(&self, to: SpanContext) {
        self.context.span().add_link(to, Vec::new());
    }

    /// Ends the span with the reading that the metric uses, its start included: the bridge has read
    /// the time itself, and between the two readings a call site may have been visited for the
    /// first time or the thread been put aside.
    pub(crate) fn end(&mut self, elapsed: Elapsed) {
        self.own.start = Some(elapsed.start);
        self.end_at(elapsed.end);
    }

    /// Ends the OpenTelemetry span; the `tracing` span may live on in a spawned task.
    fn end_at(&mut self, instant: SystemTime) {
        if self.recording {
            let nothing = Own::new(Cow::Borrowed(""), SpanKind::Internal);
            let own = std::mem::replace(&mut self.own, nothing);
            // A thread that is being torn down loses them, not the span.
            let _ = ENDING.try_with(|ending| ending.set(Some(own)));
        }
        if !self.carried {
            self.context.span().end_with_timestamp(instant);
            // Whoever ended the span before us took none.
            drop(take_own());
            // If it closes now, the bridge has nothing left to end.
            let passing = self.passing();
            pass(passing, || self.span = Span::none());
        }
    }
}

impl Own {
    pub(super) fn new(name: Cow<'static, str>, kind: SpanKind) -> Self {
        Self {
            name,
            kind,
            attributes: Vec::new(),
            early: 0,
            start: None,
        }
    }

    /// Keeps the keys different, so that nobody need look for repeated ones at the end.
    fn set_again(&mut self, attribute: KeyValue) {
        let known = self.attributes.iter();
        if let Some(at) = known.map(|it| &it.key).position(|it| *it == attribute.key) {
            self.attributes.remove(at);
            self.early -= usize::from(at < self.early);
        }
        self.attributes.push(attribute);
    }

    /// Puts our attributes around those that the span has, and no more than the limit allows.
    pub(super) fn add_to(self, span: &mut SpanData, limit: u32) {
        // Anything else is what the service called it.
        if OPENED_AS.contains(&&*span.name) {
            span.name = self.name;
        }
        span.span_kind = self.kind;
        span.start_time = self.start.unwrap_or(span.start_time);
        let theirs = std::mem::take(&mut span.attributes);
        let mut attributes = self.attributes;
        // Most services say nothing of their own, and a splice of nothing is not free.
        if !theirs.is_empty() {
            attributes.splice(self.early..self.early, theirs);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let dropped = attributes.len().saturating_sub(limit);
        attributes.truncate(limit);
        span.dropped_attributes_count += u32::try_from(dropped).unwrap_or(u32::MAX);
        span.attributes = attributes;
    }
}

/// What the span that is being ended is still to get, once.
pub(super) fn take_own() -> Option<Own> {
    ENDING.try_with(Cell::take).ok().flatten()
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.span.is_some() {
            pass(self.passing, || self.span = None);
        }
    }
}

/// Whether the span is being entered, left or closed by us, who look after its context and end it.
pub(super) fn is_passing(span: &Id) -> bool {
    PASSING.try_with(Cell::get) == Ok(span.into_u64())
}

/// Whether the span that is being made is one of our own, once: its name and attributes come
/// with its end. No sampler that can be configured looks at them.
pub(super) fn is_opening() -> bool {
    OPENING.try_with(Cell::take).unwrap_or(false)
}

pub(super) fn opening(make: impl FnOnce() -> Span) -> Span {
    let _ = OPENING.try_with(|opening| opening.set(true));
    let span = make();
    // If the layer does not see the span, nobody took it.
    let _ = is_opening();
    span
}

/// Enters, leaves or closes the span without the bridge.
fn pass<T>(span: u64, work: impl FnOnce() -> T) -> T {
    let before = PASSING.try_with(|passing| passing.replace(span));
    let done = work();
    // Without the thread's storage nobody has read it either.
    let _ = PASSING.try_with(|passing| passing.set(before.unwrap_or(0)));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_set_again_is_there_once_and_late() {
        let mut own = Own::new("job".into(), SpanKind::Internal);
        let early = [KeyValue::new("a", 1), KeyValue::new("b", 2)];
        own.attributes.extend(early);
        own.early = 2;
        for (key, value) in [("c", 3), ("a", 4), ("c", 5)] {
            own.set_again(KeyValue::new(key, value));
        }
        let expected = [("b", 2), ("a", 4), ("c", 5)].map(|(key, value)| KeyValue::new(key, value));
        assert_eq!((own.attributes, own.early), (expected.to_vec(), 1));
    }
}
