//! What a flush or a shutdown can say truthfully.

use std::fmt;

use crate::export::SignalReport;

/// What became of the telemetry, per signal.
///
/// Metrics are pulled from `/metrics` and log lines are written at once, so only traces can
/// be left over. Counts are since the start of the process.
#[derive(Clone, Debug, Default)]
#[must_use = "it says whether spans were lost"]
#[non_exhaustive]
pub struct Report {
    /// Spans that the Collector took, that were dropped, by reason, and that failed.
    pub traces: SignalReport,
}

impl Report {
    pub(crate) fn new(traces: SignalReport) -> Self {
        Self { traces }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spans: {}", self.traces)
    }
}
