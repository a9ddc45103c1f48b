//! telemetry-lib

pub mod testing;
