//! A test kit for services that use this crate: a collector on loopback that behaves as badly as a
//! real one, spans as it received them, and an exposition that can be asked for its samples.
//!
//! ```
//! use telemetry_lib::testing::{Answer, FakeCollector};
//!
//! let collector = FakeCollector::start();
//! collector.next(Answer::status(503).retry_after("7"));
//! // Point OTEL_EXPORTER_OTLP_ENDPOINT at `collector.endpoint()`, run the service, then:
//! assert!(collector.spans().is_empty());
//! ```

mod answer;
#[cfg(test)]
pub(crate) mod authority;
mod collector;
mod connection;
mod exposition;
mod line;
mod reader;
mod span;
mod telemetry;

/// What this crate measures, for checks of dashboards and rules.
pub use crate::metrics::catalog;

pub use self::answer::{Answer, Gate};
pub use self::collector::{FakeCollector, ReceivedRequest, closed_endpoint};
pub use self::exposition::{ExemplarSample, Exposition, Sample};
pub use self::reader::ExpositionError;
pub use self::span::{AttributeValue, ReceivedSpan};
pub use self::telemetry::TestTelemetry;
