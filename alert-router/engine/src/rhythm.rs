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
        let waited = self.waited(first);
        match (self.timing, lane.last) {
            (Timing::Settled, Some(last)) if lane.holds_something() => {
                waited.max(last + self.policy.group_interval)
            }
            (Timing::Settled | Timing::Ticking, _) => waited,
        }
    }

    /// When what is unsaid since `first`, and had to leave the message of `last` to others, is due.
    pub(crate) fn follows_at(&self, first: Timestamp, last: Timestamp) -> Timestamp {
        self.waited(first).max(last)
    }

    /// When news of `first` has waited for company.
    fn waited(&self, first: Timestamp) -> Timestamp {
        match self.timing {
            Timing::Ticking => self.tick_from(first),
            Timing::Settled => first + self.policy.group_wait,
        }
    }

    /// When what was last said at `last`, and is unchanged since `since`, is said again.
    pub(crate) fn repeats_at(&self, last: Timestamp, since: Timestamp) -> Timestamp {
        let due = last + self.pause(last.since(since));
        match self.timing {
            Timing::Ticking => self.tick_from(due),
            Timing::Settled => due,
        }
    }

    /// How long what was `age` old when it was last said stays unsaid: as long again, so that each
    /// reminder comes at twice the age of the one before. Nothing has to be counted for that.
    fn pause(&self, age: Duration) -> Duration {
        let shortest = self.policy.repeat_interval;
        let longest = self.policy.repeat_interval_max.unwrap_or(shortest);
        age.clamp(shortest, longest.max(shortest))
    }

    /// The first tick that is not earlier than `from`.
    fn tick_from(&self, from: Timestamp) -> Timestamp {
        let interval = self.policy.group_interval.as_millis().max(1);
        let ticks = from.since(self.first_tick).as_millis().div_ceil(interval);
        let passed = u64::try_from(ticks * interval).unwrap_or(u64::MAX);
        self.first_tick + Duration::from_millis(passed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_is_bounded_and_grows_with_age(
            shortest in 1u64..100,
            longest in proptest::option::of(0u64..1_000),
            (younger, older) in (0u64..2_000, 0u64..2_000),
        ) {
            let seconds = Duration::from_secs;
            let policy = Policy {
                repeat_interval: seconds(shortest),
                repeat_interval_max: longest.map(seconds),
                ..Policy::default()
            };
            let rhythm = Rhythm {
                policy: &policy,
                timing: Timing::Settled,
                first_tick: Timestamp::MIN,
            };
            let pause = rhythm.pause(seconds(younger));
            let most = longest.unwrap_or(shortest).max(shortest);
            prop_assert!(pause >= seconds(shortest) && pause <= seconds(most));
            if (shortest..=most).contains(&younger) {
                prop_assert_eq!(pause, seconds(younger), "as long again as it is old");
            }
            prop_assert!(rhythm.pause(seconds(younger + older)) >= pause);
        }
    }
}
