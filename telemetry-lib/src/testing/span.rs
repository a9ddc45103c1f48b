//! A span as a collector received it: decoded from the wire, so that a test sees what was sent and
//! not what was meant.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};

/// A received span with its resource and scope.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSpan {
    span: Span,
    attributes: BTreeMap<String, AttributeValue>,
    resource: BTreeMap<String, AttributeValue>,
    scope: String,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A list of values.
    List(Vec<AttributeValue>),
    /// Anything else that OTLP knows and this crate never sends.
    Other,
}

impl ReceivedSpan {
    /// All spans of an export request.
    pub(super) fn all(request: ExportTraceServiceRequest) -> Vec<Self> {
        let mut all = Vec::new();
        for resource_spans in request.resource_spans {
            let resource = attributes(&resource_spans.resource.unwrap_or_default().attributes);
            for scope_spans in resource_spans.scope_spans {
                let scope = scope_spans.scope.unwrap_or_default().name;
                all.extend(scope_spans.spans.into_iter().map(|span| Self {
                    attributes: attributes(&span.attributes),
                    resource: resource.clone(),
                    scope: scope.clone(),
                    span,
                }));
            }
        }
        all
    }

    /// The span's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.span.name
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// 16 lower-case hexadecimal digits; empty for a root span.
    #[must_use]
    pub fn parent_span_id(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// `server`, `client`, `producer`, `consumer`, `internal` or `unspecified`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal => "internal",
            SpanKind::Unspecified => "unspecified",
        }
    }

    /// Whether the status is error; a status that is not set is none.
    #[must_use]
    pub fn is_error(&self) -> bool {
        let status = self.span.status.clone().unwrap_or_default();
        status.code() == StatusCode::Error
    }

    /// The description of the status; empty without one.
    #[must_use]
    pub fn status_message(&self) -> &str {
        self.span
            .status
            .as_ref()
            .map_or("", |status| &status.message)
    }

    /// From start to end.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let (start, end) = (self.span.start_time_unix_nano, self.span.end_time_unix_nano);
        Duration::from_nanos(end.saturating_sub(start))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes.get(key)
    }

    /// All attributes by key.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.attributes
    }

    /// The value of an attribute of the resource.
    #[must_use]
    pub fn resource_attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.resource.get(key)
    }

    /// The name of the instrumentation scope.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The names of the span's events, in order.
    #[must_use]
    pub fn event_names(&self) -> Vec<&str> {
        self.span
            .events
            .iter()
            .map(|event| event.name.as_str())
            .collect()
    }

    /// The span as OTLP defines it.
    #[must_use]
    pub fn as_otlp(&self) -> &Span {
        &self.span
    }

    /// Checks an attribute, `None` for its absence.
    ///
    /// # Panics
    ///
    /// When it differs; the message shows the whole span.
    #[track_caller]
    pub fn assert_attribute(&self, key: &str, expected: Option<AttributeValue>) -> &Self {
        let found = self.attribute(key);
        assert_eq!(found, expected.as_ref(), "attribute {key} of {self:#?}");
        self
    }
}

impl AttributeValue {
    fn of(value: Option<AnyValue>) -> Self {
        match value.and_then(|any| any.value) {
            Some(any_value::Value::StringValue(text)) => Self::Text(text),
            Some(any_value::Value::BoolValue(value)) => Self::Bool(value),
            Some(any_value::Value::IntValue(value)) => Self::Int(value),
            Some(any_value::Value::DoubleValue(value)) => Self::Float(value),
            Some(any_value::Value::ArrayValue(list)) => Self::List(
                list.values
                    .into_iter()
                    .map(|value| Self::of(Some(value)))
                    .collect(),
            ),
            Some(_) | None => Self::Other,
        }
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::List(list) => f
                .debug_list()
                .entries(list.iter().map(ToString::to_string))
                .finish(),
            Self::Other => f.write_str("?"),
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, AttributeValue> {
    list.iter()
        .map(|pair| (pair.key.clone(), AttributeValue::of(pair.value.clone())))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
