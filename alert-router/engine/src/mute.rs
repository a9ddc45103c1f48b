//! What keeps an alert quiet, as the engine sees it: an answer per alert and instant.
//!
//! What mutes (silences, inhibition, time intervals) lives outside; the engine only asks.

use crate::id::AlertKey;
use crate::time::Timestamp;

/// Why an alert is not to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutedBy {
    /// A silence.
    Silence,
    /// Another alert.
    Inhibition,
    /// A time interval of the route.
    TimeInterval,
    /// A person who has taken it.
    Acknowledgement,
}

/// An alert is not to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mute {
    /// What mutes it.
    pub by: MutedBy,
    /// When that ends, if it is known.
    pub until: Option<Timestamp>,
}

/// Answers whether an alert is muted.
pub trait Mutes {
    /// The mute that holds `alert` at `at`; of several the one that lasts longest. `at` is the
    /// present or an instant that passed since the last call.
    fn muted(&self, alert: &AlertKey, at: Timestamp) -> Option<Mute>;
}

/// Nothing is muted.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMutes;

impl Mutes for NoMutes {
    fn muted(&self, _: &AlertKey, _: Timestamp) -> Option<Mute> {
        None
    }
}
