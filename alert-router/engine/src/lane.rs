//! A lane: what one destination has heard of one group, is owed, and what is under way to it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::content::Content;
use crate::context::Incarnation;
use crate::episode::EpisodeId;
use crate::id::{ContentHash, DeliveryId};
use crate::time::Timestamp;

/// What one destination knows of one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lane {
    /// What it has heard as firing, and has not surely heard the end of.
    pub heard: BTreeMap<EpisodeId, Heard>,
    /// Episodes whose announcement came due, and since when it is owed.
    pub owed: BTreeMap<EpisodeId, Timestamp>,
    /// Missed episodes that are no longer told one by one.
    pub folded: Folded,
    /// When its last message was heard.
    pub last: Option<Timestamp>,
    /// Counts its messages: no two of them have the same id.
    pub serial: u32,
    /// Since when it hears news: when it came into being, when its condition was met, or when its
    /// group began a new life. `None` for a fallback or an escalation whose condition is not met,
    /// and for a lane that left its route.
    pub opened: Option<Timestamp>,
    /// Attempts since its last message.
    pub attempts: u32,
    /// It waits: back-off, a rate limit, no slot.
    pub pause: Option<Pause>,
    /// The content that was given up, and how long it is not tried again.
    pub parked: Option<Parked>,
    /// The delivery under way. At most one.
    pub flight: Option<Flight>,
    /// What its receiver wants to know at the next delivery.
    pub memory: Option<Box<[u8]>>,
}

/// How surely an episode was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Heard {
    /// As firing, surely.
    Sure,
    /// As firing, perhaps.
    Maybe,
    /// As firing surely, and perhaps as over.
    MaybeOver,
}

/// Missed episodes that are only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Folded {
    /// How many.
    pub count: u32,
    /// Since when the oldest is owed.
    pub since: Option<Timestamp>,
}

/// A wait that knows its own length, so that a clock which steps back cannot stretch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pause {
    /// Its end.
    pub until: Timestamp,
    /// How long it was meant to last.
    pub length: Duration,
}

/// A content that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parked {
    /// Which.
    pub content: ContentHash,
    /// The cool-down.
    pub pause: Pause,
}

/// A delivery under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flight {
    /// Its id; the id of the digest if it is part of one.
    pub id: DeliveryId,
    /// Who carries it.
    pub owner: Incarnation,
    /// Its deadline.
    pub deadline: Pause,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// What it says.
    pub content: Content,
    /// What the lane knew before of the episodes it speaks of; `None`: nothing.
    pub before: Vec<(EpisodeId, Option<Heard>)>,
}

impl Pause {
    /// A wait of `length` from `now` on.
    #[must_use]
    pub fn begin(now: Timestamp, length: Duration) -> Self {
        Self {
            until: now + length,
            length,
        }
    }

    /// Its beginning.
    pub(crate) fn begin_at(&self) -> Timestamp {
        self.until - self.length
    }

    /// Pulls its end back to within its length if the clock stepped back.
    pub(crate) fn within_reach(&mut self, now: Timestamp) {
        self.until = self.until.min(now + self.length);
    }

    pub(crate) fn over(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

impl Lane {
    /// Whether its people may know of something as firing.
    #[must_use]
    pub fn holds_something(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Whether nothing is left to be said, under way or remembered.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.heard.is_empty()
            && self.owed.is_empty()
            && self.folded.count == 0
            && self.flight.is_none()
    }

    /// Whether it speaks of, or is owed, `episode`.
    pub(crate) fn refers_to(&self, episode: EpisodeId) -> bool {
        self.heard.contains_key(&episode) || self.owed.contains_key(&episode)
    }
}
