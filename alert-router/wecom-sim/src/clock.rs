//! Where the simulator's time comes from. Apart because this is the only file that may ask the
//! machine for it; everything else is told.

use std::sync::Arc;
use std::time::SystemTime;

pub use jiff::Timestamp;

/// The base of the simulator's time; [`Sim::advance`](crate::Sim::advance) moves on from it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Time that stands still until the simulator is told to advance: the default, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self::from_fn(move || at)
    }

    /// Time that a test moves elsewhere, for instance the clock of the client under test.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "this file is the simulator's only door to real time"
            )]
            let now = SystemTime::now();
            Timestamp::try_from(now).expect("the machine's clock stands in a year that jiff knows")
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
