//! The one file that may ask the time.
//!
//! A span's end and a metric's duration must be the same reading, so a request
//! takes a [`Moment`] when it starts and asks it once when it ends.

use std::time::{Duration, Instant, SystemTime};

/// An instant on both clocks: the wall clock stamps spans, the monotonic one measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: SystemTime,
    monotonic: Instant,
}

/// What lies between a [`Moment`] and its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    /// Measured on the monotonic clock, so a stepped wall clock cannot make it negative.
    pub(crate) duration: Duration,
    /// Start on the wall clock plus `duration`.
    pub(crate) end: SystemTime,
}

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "this is the file that may ask")]
    pub(crate) fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            monotonic: Instant::now(),
        }
    }

    pub(crate) fn elapsed(self) -> Elapsed {
        let duration = self.monotonic.elapsed();
        Elapsed {
            duration,
            end: self.wall + duration,
        }
    }
}

/// The wall clock, for what is only stamped and never measured.
#[expect(clippy::disallowed_methods, reason = "this is the file that may ask")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
