//! telemetry-lib

mod clock;
mod export;
mod notice;
pub mod testing;

pub use self::export::{Dropped, SignalReport};
