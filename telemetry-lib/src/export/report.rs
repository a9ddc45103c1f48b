//! What a flush or a shutdown says of the spans: the totals, and what it did not see the end of.

use std::fmt;

/// What became of the spans of this process until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalReport {
    /// Spans that the collector confirmed.
    pub exported: u64,
    /// Spans that it will never see, by reason.
    pub dropped: Dropped,
    /// Spans that this call did not see the end of when its time was over. After a flush they are
    /// still queued. A shutdown gives them up and counts them under `export_failed` too, but while
    /// another flush or shutdown has time left they are still tried.
    pub failed: u64,
    /// Those of the `failed` that are still queued or tried, so that they stand under no reason.
    pub waiting: u64,
}

/// Spans lost, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The queue held its limit of spans or bytes.
    pub queue_full: u64,
    /// The collector was away, refused the request or did not answer in time.
    pub export_failed: u64,
    /// The collector took the request and refused these spans of it.
    pub rejected: u64,
    /// The span ended after the shutdown.
    pub after_shutdown: u64,
}

/// Spans that a call did not see the end of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(super) spans: u64,
    /// They are counted as lost.
    pub(super) given_up: bool,
}

impl SignalReport {
    /// Whether every span that was offered reached the collector.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.dropped == Dropped::default()
    }
}

/// As in `3 exported, 2 still waiting, 5 lost (1 queue full, 4 export failed)`: each span once.
impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exported", self.exported)?;
        if self.waiting > 0 {
            write!(f, ", {} still waiting", self.waiting)?;
        }
        let lost = &self.dropped;
        let reasons = [
            (lost.queue_full, "queue full"),
            (lost.export_failed, "export failed"),
            (lost.rejected, "rejected"),
            (lost.after_shutdown, "after shutdown"),
        ];
        let reasons = reasons.iter().filter(|(count, _)| *count > 0);
        let lost: u64 = reasons.clone().map(|(count, _)| count).sum();
        if lost == 0 {
            return f.write_str(", none lost");
        }
        let reasons = reasons.map(|(count, reason)| format!("{count} {reason}"));
        let reasons: Vec<String> = reasons.collect();
        write!(f, ", {lost} lost ({})", reasons.join(", "))
    }
}
