//! One line: an event, formatted field by field before anything is locked, and the spans around it,
//! formatted when they began.

use std::borrow::Cow;
use std::fmt;

use opentelemetry::trace::{SpanId, TraceId};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::pairs::Pairs;
use super::source::Source;
use crate::redact::{REDACTED, Redaction};

/// Bytes of a span's value that its lines show.
const MAX_REPEATED: usize = 1_024;

pub(super) struct Line<'s> {
    /// RFC 3339, UTC.
    pub(super) timestamp: String,
    pub(super) source: Source,
    pub(super) fields: Fields<'s>,
    pub(super) ids: Option<TraceIds>,
    /// From the root to the nearest one, each in the form of the line.
    pub(super) spans: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TraceIds {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// What an event or a span says.
pub(super) struct Fields<'r> {
    redaction: &'r Redaction,
    pub(super) message: String,
    pub(super) list: Vec<(&'static str, Scalar)>,
    /// Of a record of the crate `log`, behind the fields.
    pub(super) pairs: Option<Pairs>,
}

/// A span as lines show it, kept beside the span.
pub(super) struct SpanText {
    pub(super) name: Cow<'static, str>,
    pub(super) fields: Vec<(&'static str, Scalar)>,
    /// Made with the first line inside the span, and again when a field has changed.
    pub(super) text: Option<String>,
}

/// Finds the name of a span of this crate, which is enough of it: the rest is a search by its
/// trace id away.
struct NameOnly(Option<String>);

/// A value that JSON can hold without quotes, or text.
#[derive(Debug)]
pub(super) enum Scalar {
    Bare(String),
    Text(String),
}

pub(super) fn timestamp() -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

impl<'r> Fields<'r> {
    pub(super) fn new(redaction: &'r Redaction) -> Self {
        Self {
            redaction,
            message: String::new(),
            list: Vec::new(),
            pairs: None,
        }
    }

    /// By their names, as they are shown.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Scalar)> {
        let list = self.list.iter().map(|(name, value)| (*name, value));
        list.chain(self.pairs.iter().flat_map(Pairs::iter))
    }

    fn push(&mut self, field: &Field, value: impl FnOnce() -> Scalar) {
        let name = field.name();
        let value = if self.redaction.hides(name) {
            Scalar::Text(REDACTED.to_owned())
        } else {
            value()
        };
        self.list.push((name, value));
    }
}

impl SpanText {
    pub(super) fn new(span: &Attributes<'_>, redaction: &Redaction) -> Self {
        let metadata = span.metadata();
        let mut text = Self {
            name: Cow::Borrowed(metadata.name()),
            fields: Vec::new(),
            text: None,
        };
        if metadata.target().starts_with("telemetry_lib::") {
            let mut name = NameOnly(None);
            span.record(&mut name);
            text.name = name.0.map_or(text.name, Cow::Owned);
        } else {
            let mut fields = Fields::new(redaction);
            span.record(&mut fields);
            text.update(fields);
        }
        text
    }

    /// A later value of a field takes the place of the one before.
    pub(super) fn update(&mut self, fields: Fields<'_>) {
        self.text = None;
        for (name, value) in fields.list {
            let value = value.cut();
            if name == "otel.name" {
                self.name = Cow::Owned(value.to_string());
            } else if name.starts_with("otel.") {
                // For the bridge, not for people.
            } else if let Some((_, known)) = self.fields.iter_mut().find(|it| it.0 == name) {
                *known = value;
            } else {
                self.fields.push((name, value));
            }
        }
    }
}

impl Visit for NameOnly {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "otel.name" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Visit for Fields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, || Scalar::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, || Scalar::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, || Scalar::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, || Scalar::float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.push(field, || Scalar::Text(value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.push(field, || Scalar::Text(format!("{value:?}")));
        }
    }
}

impl Scalar {
    /// JSON knows no infinity and no NaN.
    pub(super) fn float(value: f64) -> Self {
        match value.is_finite() {
            true => Self::Bare(value.to_string()),
            false => Self::Text(value.to_string()),
        }
    }

    /// A span's text is repeated in each of its lines, so a long one would multiply.
    fn cut(self) -> Self {
        match self {
            Self::Text(mut text) if text.len() > MAX_REPEATED => {
                text.truncate(text.floor_char_boundary(MAX_REPEATED));
                text.shrink_to_fit();
                text.push('\u{2026}');
                Self::Text(text)
            }
            Self::Bare(_) | Self::Text(_) => self,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) | Self::Text(text) => f.write_str(text),
        }
    }
}
