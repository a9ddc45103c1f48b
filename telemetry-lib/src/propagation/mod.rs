//! W3C trace context (Level 2), baggage and B3 over any header map.
//!
//! Ours rather than the SDK's propagator, which drops the random flag and sends
//! an empty `tracestate`. The parsers are pure: they know no metric and no log;
//! what was wrong with a header is returned, and the caller counts it.
//!
//! HTTP needs none of this: the layers for servers and clients read and write the headers. For
//! everything else there is a carrier:
//!
//! | what carries the context | write | read |
//! | --- | --- | --- |
//! | [`http::HeaderMap`] | [`HeaderCarrierMut`] | [`HeaderCarrier`] |
//! | Kafka headers, fields of a Redis stream, any list of pairs | [`PairsMut`] | [`Pairs`] |
//! | `HashMap<String, String>` | itself | itself |
//! | the environment of a process | [`CommandMut`] | [`Environment`] |
//! | a table of a broker's own type | ten lines, see below | the same |
//!
//! ```
//! use telemetry_lib::opentelemetry::Context;
//! use telemetry_lib::propagation::{Pairs, PairsMut, extract, inject};
//!
//! // Kafka: `OwnedHeaders` of rdkafka is built from such a list, `BorrowedHeaders` gives one.
//! let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
//! inject(&Context::current(), &mut PairsMut(&mut headers));
//! let parent = extract(&Pairs(&headers));
//!
//! // Redis: the fields of `XADD orders * item 7 traceparent 00-…`.
//! let mut fields = vec![("item".to_owned(), "7".to_owned())];
//! inject(&Context::current(), &mut PairsMut(&mut fields));
//! let parent = extract(&Pairs(&fields));
//! ```
//!
//! AMQP's tables hold values of many types, and each client has its own. With the two traits of
//! the OpenTelemetry API on a type of yours they are carriers as well:
//!
//! ```
//! use std::collections::BTreeMap;
//! use telemetry_lib::opentelemetry::propagation::{Extractor, Injector};
//!
//! enum Value { Text(Vec<u8>), Number(i64) } // `AMQPValue` in lapin
//! struct Table(BTreeMap<String, Value>); // around a `FieldTable`
//!
//! impl Injector for Table {
//!     fn set(&mut self, key: &str, value: String) {
//!         self.0.insert(key.to_owned(), Value::Text(value.into_bytes()));
//!     }
//! }
//!
//! impl Extractor for Table {
//!     fn get(&self, key: &str) -> Option<&str> {
//!         match self.0.get(key)? {
//!             Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
//!             Value::Number(_) => None,
//!         }
//!     }
//!
//!     fn keys(&self) -> Vec<&str> {
//!         self.0.keys().map(String::as_str).collect()
//!     }
//! }
//! ```

mod b3;
mod baggage;
mod carrier;
#[cfg(test)]
mod fuzz;
mod outgoing;
mod pairs;
mod set;
mod traceparent;
mod tracestate;

use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

pub(crate) use carrier::{Carrier, Header};
pub use carrier::{HeaderCarrier, HeaderCarrierMut};
pub(crate) use outgoing::{Host, stamp};
pub use pairs::{CommandMut, Environment, Pairs, PairsMut};
pub(crate) use set::Propagators;

/// Chosen once by `init`; the default of the specification until then.
static CHOSEN: OnceLock<Propagators> = OnceLock::new();

/// Reads the remote context out of a carrier: HTTP headers, Kafka headers, a Redis
/// stream entry, AMQP properties, environment variables.
///
/// Honours `OTEL_PROPAGATORS` as `init` read it (default `tracecontext,baggage`). The
/// result holds nothing but what the carrier said: a malformed or absent header gives
/// an empty context, under which the next span starts a new trace. Never panics; reads
/// at most 8,192 bytes of a header, and 64 members of the baggage.
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
