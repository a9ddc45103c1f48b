//! What the config says about one group and about its sources: plain values, never stored with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::id::LaneKey;
use crate::mute::MutedBy;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How a group of one route speaks, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the first news of a group waits for company. Default 5 s: a webhook's sender has
    /// waited already.
    pub group_wait: Duration,
    /// The shortest time between two messages of a lane that holds something. Default 5 min.
    pub group_interval: Duration,
    /// When an unchanged group is told again. Default 4 h.
    pub repeat_interval: Duration,
    /// Up to which that grows with the age of what is told; `None`: it stays the same.
    pub repeat_interval_max: Option<Duration>,
    /// Which rhythm; `None`: by how the group was opened.
    pub timing: Option<Timing>,
    /// When the end of a muted alert is told; `None`: by what mutes it.
    pub resolved_when_muted: Option<WhenMuted>,
    /// Missed occurrences older than this are counted, not told one by one. Default 4 h.
    pub ttl: Duration,
    /// The destinations of the route; none once it left the config.
    pub lanes: BTreeMap<LaneKey, LanePolicy>,
    /// All destinations of the config. A lane of none of them is closed; a lane of one that is not
    /// in `lanes` only hears ends.
    pub destinations: Arc<BTreeSet<LaneKey>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(5),
            group_interval: 5 * MINUTE,
            repeat_interval: 4 * HOUR,
            repeat_interval_max: None,
            timing: None,
            resolved_when_muted: None,
            ttl: 4 * HOUR,
            lanes: BTreeMap::new(),
            destinations: Arc::default(),
        }
    }
}

impl Policy {
    /// Whether the route left the config.
    pub(crate) fn is_closing(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether the config has this destination.
    pub(crate) fn knows(&self, lane: &LaneKey) -> bool {
        self.lanes.contains_key(lane) || self.destinations.contains(lane)
    }

    pub(crate) fn when_muted(&self, by: MutedBy) -> WhenMuted {
        self.resolved_when_muted.unwrap_or(match by {
            MutedBy::TimeInterval => WhenMuted::Later,
            MutedBy::Silence | MutedBy::Inhibition | MutedBy::Acknowledgement => WhenMuted::Now,
        })
    }
}

/// What is particular to one destination of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePolicy {
    /// From when on it hears news.
    pub opens: Opens,
    /// How it hears that alerts are over.
    pub ends: Ends,
}

impl Default for LanePolicy {
    fn default() -> Self {
        Self {
            opens: Opens::AtOnce,
            ends: Ends::default(),
        }
    }
}

/// How a lane hears that alerts are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ends {
    /// In the message that says what fires.
    #[default]
    Together,
    /// In messages of their own. What fires goes first, and what is over follows without waiting
    /// for `group_interval`. An older occurrence of an alert that fires again stays beside that.
    Apart,
    /// Not at all.
    Untold,
}

/// From when on a lane hears news. One that has spoken hears the end in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Opens {
    /// An ordinary receiver.
    #[default]
    AtOnce,
    /// A fallback: while `lane` has owed something for `after`.
    WhenFailing {
        /// The lane that it stands in for.
        lane: LaneKey,
        /// How long that lane may owe.
        after: Duration,
    },
    /// An escalation: while an alert fires that nobody acknowledged for `after`.
    Unacknowledged {
        /// How long people may take.
        after: Duration,
    },
}

/// The rhythm in which a lane speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// News waits `group_wait`, messages stay `group_interval` apart; no fixed tick.
    Settled,
    /// Alertmanager's own: everything falls on a tick of `group_interval`.
    Ticking,
}

/// When people hear that an alert ended while it was muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenMuted {
    /// As if it were not muted.
    Now,
    /// When its mute ends.
    Later,
    /// Not at all.
    Never,
}
