//! Unsigned numbers in the fields of spans stay numbers: the bridge knows signed ones only and writes
//! text. They are kept beside the span and take the text's place when it ends, because asking for its
//! context earlier would start it, and a parent that is set later would be refused.

use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, TraceContextExt};
use opentelemetry_sdk::trace::SpanData;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Stands before the bridge's layer, which ends the span.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The way from a span's id to its OpenTelemetry span.
    dispatch: OnceLock<WeakDispatch>,
}

/// The unsigned numbers of a span that OTLP, whose numbers are signed, can hold.
#[derive(Debug, Default)]
struct Unsigned(Vec<(&'static str, i64)>);

/// A span on its way from its layer to its end, which follows on the same thread.
struct Closing {
    span: SpanId,
    numbers: Vec<(&'static str, i64)>,
}

thread_local! {
    static CLOSING: RefCell<Option<Closing>> = const { RefCell::new(None) };
}

impl<S> Layer<S> for Numbers
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        keep(|found| attributes.record(found), id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        keep(|found| values.record(found), id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id);
        let Some(Unsigned(found)) = span.and_then(|it| it.extensions_mut().remove()) else {
            return;
        };
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let own = dispatch.and_then(|it| tracing_opentelemetry::get_otel_context(&id, &it));
        if let Some(own) = own.filter(|it| it.span().is_recording()) {
            let closing = Closing {
                span: own.span().span_context().span_id(),
                numbers: found,
            };
            let _ = CLOSING.try_with(|it| it.replace(Some(closing)));
        }
    }
}

/// Turns the texts of a span that has just closed on this thread into the numbers that they are.
/// What the service has set since is not touched.
pub(super) fn restore(span: &mut SpanData) {
    let Ok(Some(closing)) = CLOSING.try_with(RefCell::take) else {
        return;
    };
    if closing.span != span.span_context.span_id() {
        return;
    }
    for (key, number) in closing.numbers {
        let text = number.to_string();
        for attribute in span.attributes.iter_mut() {
            let is_it = matches!(&attribute.value, Value::String(it) if it.as_str() == text);
            if is_it && attribute.key.as_str() == key {
                attribute.value = Value::I64(number);
            }
        }
    }
}

fn keep<S>(record: impl FnOnce(&mut Unsigned), id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut found = Unsigned::default();
    record(&mut found);
    if found.0.is_empty() {
        return;
    }
    if let Some(span) = context.span(id) {
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Unsigned>() {
            Some(before) => before.0.append(&mut found.0),
            None => extensions.insert(found),
        }
    }
}

impl Visit for Unsigned {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Ok(value) = i64::try_from(value) {
            self.0.push((field.name(), value));
        }
    }

    // The bridge reads these, and formatting one for nothing could cost anything.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
