//! Adds events of WARN and above to their span, so that Jaeger, which shows no logs,
//! shows them. Unlike the bridge's own conversion this never touches the status: the
//! outcome of the request decides that.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{KeyValue, StringValue};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::hidden::HiddenWatch;
use crate::clock;
use crate::export::on_export_thread;
use crate::log::{Source, visit};
use crate::redact::{REDACTED, Redaction};

/// Which events come here is the filter's decision (`filter::SpansAndWarnings`).
/// The number per span is bounded by `OTEL_SPAN_EVENT_COUNT_LIMIT` (128).
#[derive(Debug)]
pub(super) struct SpanEvents {
    redaction: Arc<Redaction>,
    /// The way from a span's id to its OpenTelemetry span.
    dispatch: OnceLock<WeakDispatch>,
    hidden: Arc<HiddenWatch>,
}

/// Formatted before any lock is taken: a user's `Debug` may do anything.
struct Formatted<'r> {
    redaction: &'r Redaction,
    message: String,
    attributes: Vec<KeyValue>,
}

impl SpanEvents {
    pub(super) fn new(redaction: Arc<Redaction>, hidden: Arc<HiddenWatch>) -> Self {
        Self {
            redaction,
            dispatch: OnceLock::new(),
            hidden,
        }
    }

    pub(super) fn hidden(&self) -> &HiddenWatch {
        &self.hidden
    }
}

impl<S> Layer<S> for SpanEvents
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if on_export_thread() {
            return;
        }
        let Some(id) = context.event_span(event).map(|span| span.id()) else {
            return;
        };
        let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) else {
            return;
        };
        let formatted = Formatted::of(event, &self.redaction);
        if let Some(context) = tracing_opentelemetry::get_otel_context(&id, &dispatch) {
            context.span().add_event_with_timestamp(
                formatted.message,
                clock::wall(),
                formatted.attributes,
            );
        }
    }
}

impl<'r> Formatted<'r> {
    fn of(event: &Event<'_>, redaction: &'r Redaction) -> Self {
        let metadata = event.metadata();
        let mut formatted = Self {
            redaction,
            message: String::new(),
            attributes: vec![
                KeyValue::new("level", metadata.level().as_str()),
                KeyValue::new("target", StringValue::from(Source::of(event).target)),
            ],
        };
        visit(event, &mut formatted);
        if formatted.message.is_empty() {
            formatted.message = metadata.name().to_owned();
        }
        formatted
    }

    fn push(&mut self, field: &Field, value: impl Into<opentelemetry::Value>) {
        let value = if self.redaction.hides(field.name()) {
            REDACTED.into()
        } else {
            value.into()
        };
        self.attributes.push(KeyValue::new(field.name(), value));
    }
}

impl Visit for Formatted<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.push(field, value),
            Err(_) => self.push(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.push(field, value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.push(field, text);
        }
    }
}
