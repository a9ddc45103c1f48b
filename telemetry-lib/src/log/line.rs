//! One event, formatted field by field before anything is locked; and its form for people.

use std::fmt::{self, Write as _};

use opentelemetry::trace::{SpanId, TraceId};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

pub(super) struct Line {
    /// RFC 3339, UTC.
    pub(super) timestamp: String,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Scalar)>,
    pub(super) ids: Option<TraceIds>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TraceIds {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// A value that JSON can hold without quotes, or text.
pub(super) enum Scalar {
    Bare(String),
    Text(String),
}

impl Line {
    pub(super) fn of(event: &Event<'_>, ids: Option<TraceIds>) -> Self {
        let mut timestamp = String::new();
        // Writing to a String cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        let mut line = Self {
            timestamp,
            metadata: event.metadata(),
            message: String::new(),
            fields: Vec::new(),
            ids,
        };
        event.record(&mut line);
        line
    }

    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "{} {:>5} {}: {}",
            self.timestamp,
            self.metadata.level(),
            self.metadata.target(),
            self.message
        );
        // Writing to a String cannot fail.
        for (name, value) in &self.fields {
            let _ = write!(text, " {name}={value}");
        }
        if let Some(ids) = self.ids {
            let _ = write!(text, " trace_id={} span_id={}", ids.trace, ids.span);
        }
        text.push('\n');
        text
    }

    fn push(&mut self, field: &Field, value: Scalar) {
        self.fields.push((field.name(), value));
    }
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Scalar::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Scalar::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Scalar::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON knows no infinity and no NaN.
        let scalar = if value.is_finite() {
            Scalar::Bare
        } else {
            Scalar::Text
        };
        self.push(field, scalar(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.push(field, Scalar::Text(value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.push(field, Scalar::Text(text));
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}
