//! Unsigned numbers in the fields of spans stay numbers: the bridge knows signed ones only and writes
//! text. They are kept beside the span and take the text's place when it ends, because asking for its
//! context earlier would start it, and a parent that is set later would be refused.

use std::cell::RefCell;
use std::fmt;

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Stands before the bridge's layer, which ends the span.
#[derive(Debug)]
pub(super) struct Numbers;

/// Stands behind the bridge's layer: numbers that no end has taken belong to nobody.
#[derive(Debug)]
pub(super) struct NoNumbers;

/// The unsigned numbers of a span that OTLP, whose numbers are signed, can hold. Few spans have more
/// than one, which needs no list.
#[derive(Debug, Default)]
struct Unsigned {
    first: Option<(&'static str, i64)>,
    others: Vec<(&'static str, i64)>,
}

thread_local! {
    /// Those of the span that this thread is closing, on their way from its layer to its end.
    static CLOSING: RefCell<Unsigned> = const { RefCell::new(Unsigned::NONE) };
}

impl<S> Layer<S> for Numbers
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        keep(|found| attributes.record(found), id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        keep(|found| values.record(found), id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id);
        if let Some(found) = span.and_then(|it| it.extensions_mut().remove()) {
            let _ = CLOSING.try_with(|closing| closing.replace(found));
        }
    }
}

impl<S: Subscriber> Layer<S> for NoNumbers {
    fn on_close(&self, _: Id, _: Context<'_, S>) {
        let _ = CLOSING.try_with(RefCell::take);
    }
}

/// Turns the texts of a span that is being closed on this thread into the numbers that they are.
/// What the service has set since is not touched.
pub(super) fn restore(span: &mut SpanData) {
    let Ok(closing) = CLOSING.try_with(RefCell::take) else {
        return;
    };
    for (key, number) in closing.first.into_iter().chain(closing.others) {
        let of_key = |it: &&mut KeyValue| it.key.as_str() == key;
        for attribute in span.attributes.iter_mut().filter(of_key) {
            if matches!(&attribute.value, Value::String(it) if is_written(number, it.as_str())) {
                attribute.value = Value::I64(number);
            }
        }
    }
}

/// Whether the bridge writes the number so: `07` and `+7` are the service's own texts.
fn is_written(number: i64, text: &str) -> bool {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain && text.parse() == Ok(number)
}

fn keep<S>(record: impl FnOnce(&mut Unsigned), id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut found = Unsigned::default();
    record(&mut found);
    if found.first.is_none() {
        return;
    }
    if let Some(span) = context.span(id) {
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Unsigned>() {
            Some(before) => before.append(found),
            None => extensions.insert(found),
        }
    }
}

impl Unsigned {
    const NONE: Self = Self {
        first: None,
        others: Vec::new(),
    };

    fn push(&mut self, field: (&'static str, i64)) {
        match self.first {
            None => self.first = Some(field),
            Some(_) => self.others.push(field),
        }
    }

    fn append(&mut self, later: Self) {
        later
            .first
            .into_iter()
            .chain(later.others)
            .for_each(|field| self.push(field));
    }
}

impl Visit for Unsigned {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Ok(value) = i64::try_from(value) {
            self.push((field.name(), value));
        }
    }

    // The bridge reads these, and formatting one for nothing could cost anything.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
