//! What holds a lane up: for metrics, and for whoever asks why nothing was heard.

use crate::lane::{Flight, Lane};
use crate::time::Timestamp;

/// What a lane that owes its people something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitsFor {
    /// The answer to the delivery under way.
    Answer,
    /// The next attempt, after one that failed.
    Retry,
    /// A slot: a rate limit, a destination that takes nothing, or a process that sends as much at once
    /// as it may.
    Slot,
    /// The end of the cool-down of what was given up.
    CoolDown,
    /// The next look, or the end of a mute.
    Look,
}

/// A lane that owes its people something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// What it waits for.
    pub what: WaitsFor,
    /// Since when: the oldest news that came due, else the begin of the wait.
    pub since: Timestamp,
}

impl Lane {
    /// What it waits for; `None` if nothing is owed or under way. News within its `group_wait` or
    /// `group_interval` is not owed yet.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        let flight = self.flight.as_ref();
        let (what, begun) = match (flight, &self.parked, &self.pause) {
            (Some(Flight { deadline, .. }), _, _) => (WaitsFor::Answer, Some(deadline.begin_at())),
            (None, Some(parked), _) => (WaitsFor::CoolDown, Some(parked.pause.begin_at())),
            (None, None, Some(pause)) if self.attempts > 0 => {
                (WaitsFor::Retry, Some(pause.begin_at()))
            }
            (None, None, Some(pause)) => (WaitsFor::Slot, Some(pause.begin_at())),
            (None, None, None) => (WaitsFor::Look, None),
        };
        if self.is_at_rest() {
            return None;
        }
        let owed = self.owed.values().chain(&self.folded.since).min();
        let since = owed.copied().or(begun)?;
        Some(Waiting { what, since })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::episode::EpisodeId;
    use crate::id::ContentHash;
    use crate::lane::{Heard, Parked, Pause};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(1_767_268_800_000) + Duration::from_secs(second)
    }

    fn open_lane() -> Lane {
        Lane {
            opened: Some(at(0)),
            ..Lane::default()
        }
    }

    fn owes(second: u64) -> Lane {
        let mut lane = open_lane();
        lane.owed.insert(EpisodeId(1), at(second));
        lane
    }

    fn check(lane: &Lane, what: WaitsFor, since: u64) {
        let expected = Some(Waiting {
            what,
            since: at(since),
        });
        assert_eq!(lane.waiting(), expected);
    }

    #[test]
    fn a_lane_that_told_everything_waits_for_nothing() {
        let mut lane = open_lane();
        assert_eq!(lane.waiting(), None);
        lane.heard.insert(EpisodeId(1), Heard::Sure);
        assert_eq!(lane.waiting(), None);
    }

    #[test]
    fn what_is_owed_counts_from_when_it_came_due() {
        let pause = Pause::begin(at(20), Duration::from_secs(10));
        let mut lane = owes(5);
        check(&lane, WaitsFor::Look, 5);
        lane.pause = Some(pause);
        check(&lane, WaitsFor::Slot, 5);
        lane.attempts = 2;
        check(&lane, WaitsFor::Retry, 5);
        lane.parked = Some(Parked {
            content: ContentHash([0; 16]),
            pause,
        });
        check(&lane, WaitsFor::CoolDown, 5);
    }

    #[test]
    fn an_end_that_was_not_heard_counts_from_the_begin_of_the_wait() {
        let mut lane = open_lane();
        lane.heard.insert(EpisodeId(1), Heard::Sure);
        lane.attempts = 1;
        lane.pause = Some(Pause::begin(at(30), Duration::from_secs(10)));
        check(&lane, WaitsFor::Retry, 30);
    }
}
