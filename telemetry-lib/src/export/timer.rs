//! The exporter's sense of time, behind a seam: a retry that waits for a minute must be testable
//! in a moment, while real sockets stay real.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::clock::{self, Moment};

/// What a wait is for; a test lets each kind pass by its own rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// For more spans, before a batch that is not full leaves.
    Gather,
    /// For the collector's answer to one attempt.
    Attempt,
    /// Between two attempts.
    Backoff,
}

/// Tells time and lets it pass.
pub(super) trait Timer: Debug + Send + Sync + 'static {
    /// Time since some fixed instant; it only grows.
    fn now(&self) -> Duration;

    /// The calendar's time, to which a `Retry-After` date refers.
    fn wall(&self) -> SystemTime;

    /// Ends after `span`.
    fn sleep(&self, why: Wait, span: Duration) -> BoxFuture<'static, ()>;
}

/// The real clock; to be used on a tokio runtime.
#[derive(Debug)]
pub(super) struct RuntimeTimer(Moment);

impl RuntimeTimer {
    pub(super) fn new() -> Self {
        Self(Moment::now())
    }
}

impl Timer for RuntimeTimer {
    fn now(&self) -> Duration {
        self.0.elapsed().duration
    }

    fn wall(&self) -> SystemTime {
        clock::wall()
    }

    fn sleep(&self, _why: Wait, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}
