//! Spans of what a service asks others for: requests that it sends, messages that it sends or
//! gets.

use opentelemetry::Context;
use opentelemetry::trace::SpanContext;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::span::OpenSpan;

/// What is known when a client span starts: what a sampler may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientFields<'a> {
    pub(crate) name: &'a str,
    pub(crate) method: &'a str,
    pub(crate) address: &'a str,
    pub(crate) port: u16,
}

/// What is known when the span of a message starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageFields<'a> {
    pub(crate) name: &'a str,
    /// `producer`, `consumer` or `client`.
    pub(crate) kind: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) operation_type: &'static str,
    pub(crate) system: &'a str,
    pub(crate) destination: &'a str,
}

impl OpenSpan {
    /// Opens a client span under whatever is current.
    pub(crate) fn client(fields: ClientFields<'_>) -> Self {
        let span = tracing::info_span!(
            target: "telemetry_lib::http_client",
            "request",
            otel.name = fields.name,
            otel.kind = "client",
            http.request.method = fields.method,
            server.address = fields.address,
            server.port = i64::from(fields.port),
        );
        Self::started(span, Context::current())
    }

    /// Opens the span of a message, or of a batch, under `parent`. The links are there when the
    /// sampler runs.
    pub(crate) fn message(
        parent: Context,
        links: impl IntoIterator<Item = SpanContext>,
        fields: MessageFields<'_>,
    ) -> Self {
        let attached = parent.clone().attach();
        let span = tracing::info_span!(
            target: "telemetry_lib::messaging",
            "message",
            otel.name = fields.name,
            otel.kind = fields.kind,
            messaging.operation.name = fields.operation,
            messaging.operation.r#type = fields.operation_type,
            messaging.system = fields.system,
            messaging.destination.name = fields.destination,
        );
        for link in links {
            span.add_link(link);
        }
        drop(attached);
        Self::started(span, parent)
    }
}
