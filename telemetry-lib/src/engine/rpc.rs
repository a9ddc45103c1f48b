//! How the spans of RPC calls are opened.

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};

use super::span::{OpenSpan, Own, opening};

/// `rpc.system.name`, and the name of a span whose method is not known.
pub(crate) const RPC_SYSTEM: &str = "grpc";

impl OpenSpan {
    /// Opens a server span for `method` under `parent`, which is empty for a new trace.
    pub(crate) fn rpc_server(parent: Context, method: &str) -> Self {
        // As for HTTP: a parent that is set later may be refused.
        let attached = parent.clone().attach();
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::grpc",
                "call",
                otel.name = method,
                otel.kind = "server",
                rpc.system.name = RPC_SYSTEM,
                rpc.method = method,
            )
        });
        drop(attached);
        Self::of_call(span, parent, method, SpanKind::Server)
    }

    /// Opens a client span for `method` under whatever is current.
    pub(crate) fn rpc_client(method: &str) -> Self {
        let span = opening(|| {
            tracing::info_span!(
                target: "telemetry_lib::grpc",
                "call",
                otel.name = method,
                otel.kind = "client",
                rpc.system.name = RPC_SYSTEM,
                rpc.method = method,
            )
        });
        Self::of_call(span, Context::current(), method, SpanKind::Client)
    }

    fn of_call(span: tracing::Span, parent: Context, method: &str, kind: SpanKind) -> Self {
        let own = Own::new(method.to_owned().into(), kind);
        let mut span = Self::started(span, parent, own);
        if span.is_recording() {
            span.describe(|attributes| {
                attributes.push(KeyValue::new("rpc.system.name", RPC_SYSTEM));
                attributes.push(KeyValue::new("rpc.method", method.to_owned()));
            });
        }
        span
    }
}
