//! How a delivery ended, and what is to be remembered about it.

use std::time::Duration;

use crate::alert::Text;
use crate::content::{Content, Line};
use crate::episode::Episode;
use crate::id::{DeliveryId, LaneKey};
use crate::state::GroupState;
use crate::time::Timestamp;

/// How a delivery ended, in the words of whoever carried it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Everyone has it. `memory` is kept for the lane's next delivery, at most
    /// [`MEMORY_BYTES`](crate::limits::MEMORY_BYTES).
    Delivered {
        /// Opaque; `None` keeps what was there.
        memory: Option<Box<[u8]>>,
    },
    /// All but some recipients have it; those are the business of whoever reports this.
    Partly {
        /// How many never will.
        refused: u32,
        /// As for `Delivered`.
        memory: Option<Box<[u8]>>,
    },
    /// It may have arrived, or trying again makes sense.
    Failed {
        /// The provider's wish, followed up to an hour.
        retry_after: Option<Duration>,
    },
    /// It did not arrive, and never will as it is.
    Refused,
    /// It never left: rate limit, open circuit. No attempt is counted.
    Deferred {
        /// How long to wait.
        wait: Duration,
    },
    /// The destination is misconfigured. The circuit of the destination is to be opened too.
    Blocked {
        /// When a probe makes sense.
        probe_after: Duration,
    },
    /// Its owner is gone or its deadline passed. The engine finds this by itself.
    Lapsed,
}

/// What became of a delivery: for history, metrics and operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Of which lane; `None` if no lane knows the delivery.
    pub lane: Option<LaneKey>,
    /// Which delivery.
    pub id: DeliveryId,
    /// Which attempt of the lane, from 1.
    pub attempt: u32,
    /// What it said; `None` if no lane knows the delivery.
    pub content: Option<Content>,
    /// What became of it.
    pub became: Became,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    /// Heard.
    Heard,
    /// Heard by all but some recipients.
    PartlyHeard,
    /// To be tried again.
    Retried {
        /// Not before.
        at: Timestamp,
        /// Whether it ended without an answer.
        lapsed: bool,
    },
    /// Given up: a dead letter. The same content is not tried again before `until`.
    GivenUp {
        /// The end of the cool-down.
        until: Timestamp,
    },
    /// Held back; not counted as an attempt.
    HeldBack {
        /// Not before.
        until: Timestamp,
    },
    /// The destination takes nothing.
    Blocked,
    /// Reported after it had lapsed, or for a lane that is gone: changes nothing.
    Late,
}

/// Something that time alone did, to be put into the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A delivery lapsed.
    Lapsed(Box<Record>),
    /// A lane whose destination left the config was closed; it had not heard the end of so many.
    LaneClosed {
        /// Which.
        lane: LaneKey,
        /// How many episodes it knew as firing or was owed.
        unfinished: u32,
    },
    /// A destination that left the config was owed what nobody hears of in its place.
    Unsaid {
        /// Which lane.
        lane: LaneKey,
        /// Of what.
        alerts: Vec<Unsaid>,
        /// How many more it was owed, which were only counted.
        counted: u32,
    },
    /// A fallback or escalation lane began to hear news.
    LaneOpened {
        /// Which.
        lane: LaneKey,
    },
    /// Missed episodes were folded into a count.
    Folded {
        /// For which lane.
        lane: LaneKey,
        /// How many.
        count: u32,
    },
}

/// An occurrence that was to be told, with all that its group knew of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsaid {
    /// What was to be said of it.
    pub line: Line,
    /// The occurrence.
    pub episode: Episode,
    /// Its text; `None` if its alert is forgotten.
    pub text: Option<Text>,
}

impl Unsaid {
    /// What `group` knows of a line; `None` if its occurrence is forgotten.
    #[must_use]
    pub fn of(line: Line, group: &GroupState) -> Option<Self> {
        let episode = group.episodes.get(&line.episode)?.clone();
        let alert = group.alerts.get(&episode.alert);
        Some(Self {
            line,
            text: alert.map(|alert| alert.text.clone()),
            episode,
        })
    }
}

/// A number of things as records hold it.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
