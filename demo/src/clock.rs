//! The only place that reads a clock: for the times that the demo prints.

use std::time::{Duration, Instant};

/// A moment to measure from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since(Instant);

impl Since {
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo's only reading of a clock"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
