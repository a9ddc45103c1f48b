//! How long things took, to be printed. No test may depend on it.

use std::io::Write;
use std::time::{Duration, Instant};

/// A moment to measure from.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' only reading of a clock"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since then.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Prints a line past the harness, which hides what a passing test prints.
///
/// # Panics
/// stderr is closed.
pub fn tell(line: &str) {
    writeln!(std::io::stderr(), "MEASURED: {line}").expect("stderr is open");
}
