//! The circuit of one destination: whether anything may go there while it is misconfigured.
//!
//! All lanes of a destination share it, so five new alerts do not mean five logins that fail.

use std::time::Duration;

use crate::lane::Pause;
use crate::limits::{LONGEST_HINT, PROBE_EVERY};
use crate::time::Timestamp;

/// Whether a destination takes deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Circuit {
    /// It does, as far as we know.
    #[default]
    Closed,
    /// It does not; one delivery may try after the pause.
    Open {
        /// Since when.
        since: Timestamp,
        /// Until the next probe.
        pause: Pause,
    },
    /// One delivery tries.
    Probing {
        /// Since when the circuit is open.
        since: Timestamp,
        /// When the probe counts as lost.
        pause: Pause,
    },
}

/// What may go to a destination now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// Whatever the budget allows.
    Free,
    /// One delivery, the oldest; the others wait for what becomes of it.
    Probe,
    /// Nothing before this instant.
    Shut {
        /// The next look.
        until: Timestamp,
    },
}

impl Circuit {
    /// What may go now.
    #[must_use]
    pub fn passage(&self, now: Timestamp) -> Passage {
        match self {
            Self::Closed => Passage::Free,
            Self::Open { pause, .. } | Self::Probing { pause, .. } => {
                let mut pause = *pause;
                pause.within_reach(now);
                match pause.over(now) {
                    true => Passage::Probe,
                    false => Passage::Shut { until: pause.until },
                }
            }
        }
    }

    /// A delivery goes out, to be answered before `deadline`. In a closed circuit nothing changes.
    pub fn sent(&mut self, deadline: Timestamp, now: Timestamp) {
        match *self {
            Self::Closed => {}
            Self::Open { since, .. } | Self::Probing { since, .. } => {
                let pause = Pause::begin(now, deadline.since(now));
                *self = Self::Probing { since, pause };
            }
        }
    }

    /// A delivery was blocked. Returns whether that is news, to be told to the operators once.
    pub fn blocked(&mut self, probe_after: Duration, now: Timestamp) -> bool {
        let (since, news) = match *self {
            Self::Closed => (now, true),
            Self::Open { since, .. } | Self::Probing { since, .. } => (since, false),
        };
        let length = probe_after.clamp(PROBE_EVERY, LONGEST_HINT);
        let pause = Pause::begin(now, length);
        *self = Self::Open { since, pause };
        news
    }

    /// Somebody may have mended something: the next delivery is the probe, at once. Returns whether
    /// one was waited for. A probe that is under way stays the one.
    pub fn probe_now(&mut self, now: Timestamp) -> bool {
        let Self::Open { pause, .. } = self else {
            return false;
        };
        let waits = !pause.over(now);
        *pause = Pause::begin(now, Duration::ZERO);
        waits
    }

    /// A delivery ended in another way than blocked: whatever became of it, the destination
    /// answers. Returns since when the circuit was open, to be told to the operators.
    pub fn answered(&mut self) -> Option<Timestamp> {
        std::mem::take(self).open_since()
    }

    /// Since when the destination takes nothing.
    #[must_use]
    pub fn open_since(&self) -> Option<Timestamp> {
        match *self {
            Self::Closed => None,
            Self::Open { since, .. } | Self::Probing { since, .. } => Some(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32) -> Timestamp {
        Timestamp::default() + MINUTE * minutes
    }

    #[test]
    fn a_blocked_destination_is_reported_once_and_probed_at_most_every_fifteen_minutes() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.passage(at(0)), Passage::Free);
        assert!(circuit.blocked(MINUTE, at(0)));
        assert_eq!(circuit.passage(at(14)), Passage::Shut { until: at(15) });
        assert_eq!(circuit.passage(at(15)), Passage::Probe);
        circuit.sent(at(16), at(15));
        assert_eq!(circuit.passage(at(15)), Passage::Shut { until: at(16) });
        assert!(!circuit.blocked(MINUTE, at(15)));
        assert_eq!(circuit.passage(at(29)), Passage::Shut { until: at(30) });
        circuit.sent(at(31), at(30));
        assert_eq!(circuit.answered(), Some(at(0)));
        assert_eq!(circuit.answered(), None);
        assert_eq!(circuit.passage(at(30)), Passage::Free);
    }

    #[test]
    fn whoever_mended_something_waits_for_no_probe() {
        let mut circuit = Circuit::default();
        assert!(!circuit.probe_now(at(0)));
        circuit.blocked(MINUTE, at(0));
        assert!(circuit.probe_now(at(1)));
        assert_eq!(circuit.passage(at(1)), Passage::Probe);
        assert_eq!(circuit.open_since(), Some(at(0)), "nothing is known yet");
        circuit.sent(at(2), at(1));
        assert!(!circuit.probe_now(at(1)));
        assert_eq!(circuit.passage(at(1)), Passage::Shut { until: at(2) });
    }

    #[test]
    fn a_lost_probe_is_followed_by_another_and_a_clock_that_steps_back_delays_none() {
        let mut circuit = Circuit::default();
        circuit.blocked(MINUTE, at(600));
        assert_eq!(circuit.passage(at(540)), Passage::Shut { until: at(555) });
        circuit.sent(at(616), at(615));
        assert_eq!(circuit.passage(at(616)), Passage::Probe);
    }
}
