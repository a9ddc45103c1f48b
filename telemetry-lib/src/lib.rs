//! telemetry-lib
// Temporary root of the export/metrics half: on merge the colleague's `lib.rs` wins.
mod clock;
mod export;
pub mod metrics;
mod notice;
pub mod testing;

pub use self::export::{Dropped, SignalReport};
