//! What became of the spans, in numbers: every span that was offered is counted exactly once, as
//! exported or under the reason for which it was dropped. `/metrics` and the reports read here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::report::{Dropped, Left, SignalReport};
use crate::config::shown_endpoint;
use crate::fork;
use crate::notice::Notices;

/// One line about lost spans at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(30);

/// Why a span did not reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The queue held its limit of spans or bytes.
    QueueFull,
    /// The collector was away, refused the request or did not answer in time.
    ExportFailed,
    /// The collector took the request and refused these spans of it.
    Rejected,
    /// The span ended after the shutdown.
    AfterShutdown,
}

/// The state of the export path since the start of the process.
#[derive(Debug)]
pub(crate) struct ExportHealth {
    exported: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    requests_ok: AtomicU64,
    requests_failed: AtomicU64,
    retries: AtomicU64,
    panics: AtomicU64,
    /// Of the run that takes spans, and of those that only export what they took. In a process that
    /// forks, the numbers are its parent's until `queue_of` says that they are its own.
    queue_items: AtomicU64,
    queue_bytes: AtomicU64,
    former_items: AtomicU64,
    former_bytes: AtomicU64,
    queue_of: AtomicU32,
    last_success_ms: AtomicU64,
    notices: Notices,
}

impl DropReason {
    pub(crate) const ALL: [Self; 4] = [
        Self::QueueFull,
        Self::ExportFailed,
        Self::Rejected,
        Self::AfterShutdown,
    ];

    /// The value of the label `reason`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
            Self::Rejected => "rejected",
            Self::AfterShutdown => "after_shutdown",
        }
    }
}

impl ExportHealth {
    /// All counters at zero; trouble is told to `notices`.
    pub(crate) fn new(notices: Notices) -> Arc<Self> {
        Arc::new(Self {
            exported: AtomicU64::default(),
            dropped: Default::default(),
            requests_ok: AtomicU64::default(),
            requests_failed: AtomicU64::default(),
            retries: AtomicU64::default(),
            panics: AtomicU64::default(),
            queue_items: AtomicU64::default(),
            queue_bytes: AtomicU64::default(),
            former_items: AtomicU64::default(),
            former_bytes: AtomicU64::default(),
            queue_of: AtomicU32::new(fork::depth()),
            last_success_ms: AtomicU64::default(),
            notices,
        })
    }

    pub(crate) fn exported(&self) -> u64 {
        self.exported.load(Relaxed)
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// Export requests that the collector confirmed.
    pub(crate) fn requests_ok(&self) -> u64 {
        self.requests_ok.load(Relaxed)
    }

    /// Export requests that were given up.
    pub(crate) fn requests_failed(&self) -> u64 {
        self.requests_failed.load(Relaxed)
    }

    /// Attempts beyond the first of their request.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Times that the export thread had to begin anew.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Spans that wait, in all runs of this process.
    pub(crate) fn queue_items(&self) -> u64 {
        self.here(&self.queue_items) + self.here(&self.former_items)
    }

    /// What they hold, likewise.
    pub(crate) fn queue_bytes(&self) -> u64 {
        self.here(&self.queue_bytes) + self.here(&self.former_bytes)
    }

    fn here(&self, gauge: &AtomicU64) -> u64 {
        let is_own = self.queue_of.load(Relaxed) == fork::depth();
        if is_own { gauge.load(Relaxed) } else { 0 }
    }

    /// Seconds since 1970 of the last confirmed request; 0: none yet.
    pub(crate) fn last_success(&self) -> f64 {
        Duration::from_millis(self.last_success_ms.load(Relaxed)).as_secs_f64()
    }

    /// The totals, with what the calling operation did not see the end of.
    pub(crate) fn report(&self, left: Left) -> SignalReport {
        SignalReport {
            exported: self.exported(),
            dropped: Dropped {
                queue_full: self.dropped(DropReason::QueueFull),
                export_failed: self.dropped(DropReason::ExportFailed),
                rejected: self.dropped(DropReason::Rejected),
                after_shutdown: self.dropped(DropReason::AfterShutdown),
            },
            failed: left.spans,
            waiting: if left.given_up { 0 } else { left.spans },
        }
    }

    pub(super) fn count_exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Relaxed);
    }

    /// Allocates nothing: a full queue is when memory is short.
    pub(super) fn count_dropped(&self, reason: DropReason, spans: u64) {
        self.dropped[reason as usize].fetch_add(spans, Relaxed);
    }

    pub(super) fn count_request_ok(&self, at: SystemTime) {
        self.requests_ok.fetch_add(1, Relaxed);
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        self.last_success_ms.store(millis, Relaxed);
    }

    pub(super) fn count_request_failed(&self) {
        self.requests_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn count_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub(super) fn set_queue(&self, items: usize, bytes: usize) {
        self.queue_items.store(items as u64, Relaxed);
        self.queue_bytes.store(bytes as u64, Relaxed);
    }

    pub(super) fn set_former(&self, items: usize, bytes: usize) {
        self.former_items.store(items as u64, Relaxed);
        self.former_bytes.store(bytes as u64, Relaxed);
        self.queue_of.store(fork::depth(), Relaxed);
    }

    /// Tells the operator why spans are lost that should go to `endpoint`, with the totals, at most once
    /// in 30 s.
    pub(super) fn tell(&self, now: Duration, endpoint: &str, why: &dyn fmt::Display) {
        self.notices.at_most_every(NOTICE_EVERY, "export", now, || {
            let dropped = self.report(Left::default()).dropped;
            // What is no URL may be a secret.
            let endpoint = endpoint.parse().map_or_else(
                |_| "the endpoint".to_owned(),
                |endpoint| shown_endpoint(&endpoint),
            );
            format!(
                "spans are not exported to {endpoint}: {why} (so far exported={} queue_full={} \
                     export_failed={} rejected={} after_shutdown={}); telemetry.doctor() says what to do",
                self.exported(),
                dropped.queue_full,
                dropped.export_failed,
                dropped.rejected,
                dropped.after_shutdown
            )
        });
    }
}
