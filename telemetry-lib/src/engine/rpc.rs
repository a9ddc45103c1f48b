//! How the spans of RPC calls are opened.

use opentelemetry::Context;

use super::span::OpenSpan;

/// `rpc.system.name`, and the name of a span whose method is not known.
pub(crate) const RPC_SYSTEM: &str = "grpc";

impl OpenSpan {
    /// Opens a server span for `method` under `parent`, which is empty for a new trace.
    pub(crate) fn rpc_server(parent: Context, method: &str) -> Self {
        // As for HTTP: a parent that is set later may be refused.
        let attached = parent.clone().attach();
        let span = tracing::info_span!(
            target: "telemetry_lib::grpc",
            "call",
            otel.name = method,
            otel.kind = "server",
            rpc.system.name = RPC_SYSTEM,
            rpc.method = method,
        );
        drop(attached);
        Self::started(span, parent)
    }

    /// Opens a client span for `method` under whatever is current.
    pub(crate) fn rpc_client(method: &str) -> Self {
        let span = tracing::info_span!(
            target: "telemetry_lib::grpc",
            "call",
            otel.name = method,
            otel.kind = "client",
            rpc.system.name = RPC_SYSTEM,
            rpc.method = method,
        );
        Self::started(span, Context::current())
    }
}
