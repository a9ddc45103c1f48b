//! A layer that sees some callsites and not others, decided once for each callsite.
//!
//! `Layer::with_filter` does the same, but looks the span up again whenever it is entered,
//! left or closed, which costs more than our layers' own work: these three are passed on
//! unasked, and a layer finds nothing of its own in a span that it was never shown.

use std::any::TypeId;

use tracing::field::FieldSet;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Filtered, LevelFilter};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

/// Which callsites a layer sees, and how much of them.
pub(crate) trait Gate: 'static {
    /// The answer for all events or spans of a callsite, until the interest cache is rebuilt.
    fn wants(&self, metadata: &Metadata<'_>) -> bool;

    /// The most verbose level of which something is wanted.
    fn max_level(&self) -> LevelFilter;

    /// How much of this span the layer is shown.
    fn shows(&self, _span: &Attributes<'_>) -> Shown {
        Shown::Whole
    }

    /// Whether the layer is told now that this span is entered, left or closed. What it keeps in a
    /// span goes with the span, told or not.
    fn follows(&self, _span: &Id) -> bool {
        true
    }
}

/// How much of a new span a layer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Whole,
    /// Its place in the tree without the values of its fields.
    Bare,
    Nothing,
}

/// A layer behind a gate.
pub(crate) struct Gated<L, G, S>(Filtered<L, ByCallsite<G>, S>);

struct ByCallsite<G>(G);

impl<L, G, S> Gated<L, G, S> {
    pub(crate) fn new(layer: L, gate: G) -> Self {
        Self(Filtered::new(layer, ByCallsite(gate)))
    }

    fn gate(&self) -> &G {
        &self.0.filter().0
    }
}

impl<S, G: Gate> Filter<S> for ByCallsite<G> {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.max_level())
    }
}

impl<S, L, G> Layer<S> for Gated<L, G, S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
    G: Gate,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.0.on_register_dispatch(dispatch);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        match self.gate().shows(span) {
            Shown::Whole => self.0.on_new_span(span, id, context),
            Shown::Bare => {
                let metadata = span.metadata();
                // Room is made for the fields of the set, so that there must be none.
                let none = FieldSet::new(&[], metadata.callsite());
                let nothing = none.value_set(&[]);
                let bare = match span.parent() {
                    Some(parent) => Attributes::child_of(parent.clone(), metadata, &nothing),
                    None if span.is_root() => Attributes::new_root(metadata, &nothing),
                    None => Attributes::new(metadata, &nothing),
                };
                self.0.on_new_span(&bare, id, context);
            }
            Shown::Nothing => {}
        }
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(span, values, context);
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        self.0.on_follows_from(span, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.0.on_event(event, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if self.gate().follows(id) {
            self.0.inner().on_enter(id, context);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if self.gate().follows(id) {
            self.0.inner().on_exit(id, context);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if self.gate().follows(&id) {
            self.0.inner().on_close(id, context);
        }
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: Context<'_, S>) {
        self.0.on_id_change(old, new, context);
    }

    // The bridge's extension trait finds its layer by its type, through everything around it.
    #[expect(
        unsafe_code,
        reason = "the trait's only way to let a wrapped layer be found"
    )]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: the caller's promise about `id` and the pointer is handed on unchanged, and
        // what is found lives in `self`.
        unsafe { self.0.downcast_raw(id) }
    }
}
