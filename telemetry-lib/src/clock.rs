//! The only file that may ask the time. Everything else gets its readings with its data, so that
//! a test can move time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The start of something that will be measured: both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: SystemTime,
    monotonic: Instant,
}

/// One reading for the end of a span and for the duration in a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    pub(crate) duration: Duration,
    pub(crate) start: SystemTime,
    /// The start on the calendar plus `duration`, so a stepped clock cannot turn it back.
    pub(crate) end: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            wall: wall(),
            monotonic: instant(),
        }
    }

    pub(crate) fn elapsed(self) -> Elapsed {
        let duration = instant() - self.monotonic;
        Elapsed {
            duration,
            start: self.wall,
            end: self.wall + duration,
        }
    }
}

/// The calendar's time, for what people and other machines read.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Time since the first reading of this process; it never runs backwards.
pub(crate) fn monotonic() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = instant();
    now.saturating_duration_since(*FIRST.get_or_init(|| now))
}

/// A reading for measuring durations; it never runs backwards.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn instant() -> Instant {
    Instant::now()
}
