//! When a lane may speak, as far as grouping goes. Settled and ticking groups differ here, and
//! nowhere else.

use std::time::Duration;

use crate::lane::Lane;
use crate::policy::{Policy, Timing};
use crate::state::{GroupState, Intake};
use crate::time::Timestamp;

/// The rhythm of one group.
pub(crate) struct Rhythm<'a> {
    policy: &'a Policy,
    timing: Timing,
    first_tick: Timestamp,
}

impl<'a> Rhythm<'a> {
    pub(crate) fn of(state: &GroupState, policy: &'a Policy) -> Self {
        let by_intake = match state.intake {
            Intake::Webhook => Timing::Settled,
            Intake::Api => Timing::Ticking,
        };
        Self {
            policy,
            timing: policy.timing.unwrap_or(by_intake),
            first_tick: state.first_tick,
        }
    }

    /// When news that is unsaid since `first` is due.
    pub(crate) fn opens_at(&self, lane: &Lane, first: Timestamp) -> Timestamp {
        match self.timing {
            Timing::Ticking => self.tick_from(first),
            Timing::Settled => {
                let waited = first + self.policy.group_wait;
                match lane.last {
                    Some(last) if lane.holds_something() => {
                        waited.max(last + self.policy.group_interval)
                    }
                    Some(_) | None => waited,
                }
            }
        }
    }

    /// When what was last said at `last`, and is unchanged, is said again.
    pub(crate) fn repeats_at(&self, last: Timestamp) -> Timestamp {
        let due = last + self.policy.repeat_interval;
        match self.timing {
            Timing::Ticking => self.tick_from(due),
            Timing::Settled => due,
        }
    }

    /// The first tick that is not earlier than `from`.
    fn tick_from(&self, from: Timestamp) -> Timestamp {
        let interval = self.policy.group_interval.as_millis().max(1);
        let ticks = from.since(self.first_tick).as_millis().div_ceil(interval);
        let passed = u64::try_from(ticks * interval).unwrap_or(u64::MAX);
        self.first_tick + Duration::from_millis(passed)
    }
}
