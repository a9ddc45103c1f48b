//! telemetry-lib
