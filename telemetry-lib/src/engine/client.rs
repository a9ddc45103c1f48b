//! Spans of what a service asks others for: requests that it sends, messages that it sends or
//! gets.

use opentelemetry::trace::{SpanContext, SpanKind};
use opentelemetry::{Context, KeyValue};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::span::{OpenSpan, Own, opening};

/// What is known when a client span starts: what a sampler may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientFields<'a> {
    pub(crate) name: &'a str,
    pub(crate) method: &'a str,
    pub(crate) address: &'a str,
    pub(crate) port: u16,
}

/// Which side of a message a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Producer,
    Consumer,
    Client,
}

/// What is known when the span of a message starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageFields<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: MessageKind,
    pub(crate) operation: &'static str,
    pub(crate) operation_type: &'static str,
    pub(crate) system: &'a str,
    pub(crate) destination: &'a str,
}

impl OpenSpan {
    /// Opens a client span under whatever is current.
    pub(crate) fn client(fields: ClientFields<'_>) -> Self {
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::http_client",
                "request",
                otel.name = fields.name,
                otel.kind = "client",
                http.request.method = fields.method,
                server.address = fields.address,
                server.port = i64::from(fields.port),
            )
        });
        let own = Own::new(fields.name.to_owned().into(), SpanKind::Client);
        let mut span = Self::started(span, Context::current(), own);
        if span.is_recording() {
            let [method, address] = [fields.method, fields.address].map(str::to_owned);
            span.describe(|attributes| {
                attributes.push(KeyValue::new("http.request.method", method));
                attributes.push(KeyValue::new("server.address", address));
                attributes.push(KeyValue::new("server.port", i64::from(fields.port)));
            });
        }
        span
    }

    /// Opens the span of a message, or of a batch, under `parent`. The links are there when the
    /// sampler runs.
    pub(crate) fn message(
        parent: Context,
        links: impl IntoIterator<Item = SpanContext>,
        fields: MessageFields<'_>,
    ) -> Self {
        let attached = parent.clone().attach();
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::messaging",
                "message",
                otel.name = fields.name,
                otel.kind = fields.kind.as_str(),
                messaging.operation.name = fields.operation,
                messaging.operation.r#type = fields.operation_type,
                messaging.system = fields.system,
                messaging.destination.name = fields.destination,
            )
        });
        for link in links {
            span.add_link(link);
        }
        drop(attached);
        let own = Own::new(fields.name.to_owned().into(), fields.kind.into());
        let mut span = Self::started(span, parent, own);
        if span.is_recording() {
            span.describe(|attributes| attributes.extend(fields.attributes()));
        }
        span
    }
}

impl MessageFields<'_> {
    fn attributes(&self) -> [KeyValue; 4] {
        let (system, destination) = (self.system.to_owned(), self.destination.to_owned());
        [
            KeyValue::new("messaging.operation.name", self.operation),
            KeyValue::new("messaging.operation.type", self.operation_type),
            KeyValue::new("messaging.system", system),
            KeyValue::new("messaging.destination.name", destination),
        ]
    }
}

impl MessageKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Client => "client",
        }
    }
}

impl From<MessageKind> for SpanKind {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Producer => Self::Producer,
            MessageKind::Consumer => Self::Consumer,
            MessageKind::Client => Self::Client,
        }
    }
}
