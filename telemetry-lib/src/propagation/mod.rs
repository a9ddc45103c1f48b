//! W3C trace context (Level 2) and baggage over any header map.
//!
//! Ours rather than the SDK's propagator, which drops the random flag and sends
//! an empty `tracestate`. The parsers are pure: they know no metric and no log;
//! what was wrong with a header is returned, and the caller counts it.

mod baggage;
mod carrier;
mod set;
mod traceparent;
mod tracestate;

use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

pub use carrier::{HeaderCarrier, HeaderCarrierMut};
pub(crate) use set::Propagators;

/// Chosen once by `init`; the default of the specification until then.
static CHOSEN: OnceLock<Propagators> = OnceLock::new();

/// Reads the remote context out of a carrier: HTTP headers, Kafka headers, a Redis
/// stream entry, AMQP properties, environment variables.
///
/// Honours `OTEL_PROPAGATORS` as `init` read it (default `tracecontext,baggage`). The
/// result holds nothing but what the carrier said: a malformed or absent header gives
/// an empty context, under which the next span starts a new trace. Never panics; reads
/// at most 8,192 bytes and 64 members of a baggage header.
#[must_use]
pub fn extract(carrier: &dyn Extractor) -> Context {
    chosen().extract(&carrier).context
}

/// Writes `context` into a carrier; `&Context::current()` continues the current span.
///
/// Writes nothing for a context without a valid span, no empty `tracestate`, and keeps
/// the Level 2 random flag as it came.
pub fn inject(context: &Context, carrier: &mut dyn Injector) {
    chosen().inject(context, carrier);
}

pub(crate) fn choose(propagators: Propagators) {
    // The first `init` of a process decides, as it does for the engine.
    let _ = CHOSEN.set(propagators);
}

fn chosen() -> Propagators {
    CHOSEN.get().copied().unwrap_or_default()
}
