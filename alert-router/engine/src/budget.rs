//! What a channel takes: rolling windows over the messages that were sent.
//!
//! A pure value, stored as a row. Destinations that share a counter (one robot's key, one member of
//! an application) share the value.

use std::time::Duration;

use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// At most `messages` in any span of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// How many.
    pub messages: u32,
    /// In how long a span.
    pub per: Duration,
}

/// Who asks for a place in a window. Others leave half of a window for later, and prioritised ones
/// the last eighth, each to be used up in equal steps: so the news of a flood comes in digests a few
/// seconds apart, instead of all at once and then not for the length of a window, and what is
/// prioritised finds a place when others came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// For anyone.
    Ordinary,
    /// For what goes before others.
    Priority,
}

/// The messages that were sent lately, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Budget {
    /// When each was sent.
    pub sent: Vec<Timestamp>,
}

impl Budget {
    /// How many messages may leave now without haste: as [`free`](Self::free), but what is left of a
    /// window shorter than an hour is used up in steps.
    #[must_use]
    pub fn paced(&self, rates: &[Rate], pace: Pace, now: Timestamp) -> u32 {
        let short = rates.iter().filter(|rate| rate.per < HOUR);
        let steps = short.map(|rate| self.in_steps(rate, pace, now)).min();
        steps.unwrap_or(u32::MAX).min(self.free(rates, now))
    }

    /// When [`paced`](Self::paced) lets one more message leave; `now` if it does now.
    #[must_use]
    pub fn next_paced(&self, rates: &[Rate], pace: Pace, now: Timestamp) -> Timestamp {
        let short = rates.iter().filter(|rate| rate.per < HOUR);
        let next = short.map(|rate| self.next_step(rate, pace, now)).max();
        next.unwrap_or(now).max(self.next_free(rates, now))
    }

    /// How many messages may leave now. `u32::MAX` without rates.
    #[must_use]
    pub fn free(&self, rates: &[Rate], now: Timestamp) -> u32 {
        let free = |rate: &Rate| rate.messages.saturating_sub(self.within(rate.per, now));
        rates.iter().map(free).min().unwrap_or(u32::MAX)
    }

    /// When one more message may leave; `now` if it may leave now.
    #[must_use]
    pub fn next_free(&self, rates: &[Rate], now: Timestamp) -> Timestamp {
        let frees = rates.iter().map(|rate| self.frees_at(rate, now));
        frees.max().unwrap_or(now).max(now)
    }

    /// Counts `messages` that leave now.
    pub fn take(&mut self, messages: u32, rates: &[Rate], now: Timestamp) {
        // A clock that stepped back must not keep a window full for longer than its length.
        for at in &mut self.sent {
            *at = (*at).min(now);
        }
        let longest = rates.iter().map(|rate| rate.per).max().unwrap_or_default();
        self.sent.retain(|at| *at + longest > now);
        let most = rates.iter().map(|rate| rate.messages).max().unwrap_or(0);
        self.sent.extend((0..messages.min(most)).map(|_| now));
        let room = usize::try_from(most).unwrap_or(usize::MAX);
        let excess = self.sent.len().saturating_sub(room);
        self.sent.drain(..excess);
    }

    /// Takes back messages of `sent_at` that did not leave.
    pub fn give_back(&mut self, messages: u32, sent_at: Timestamp) {
        for _ in 0..messages {
            match self.sent.iter().rposition(|at| *at == sent_at) {
                Some(at) => self.sent.remove(at),
                None => return,
            };
        }
    }

    fn in_steps(&self, rate: &Rate, pace: Pace, now: Timestamp) -> u32 {
        let used = self.within(rate.per, now);
        match rate.at_once(pace).checked_sub(used) {
            Some(room) if room > 0 => room,
            Some(_) | None => {
                let last = self.sent.last().copied().unwrap_or(Timestamp::MIN);
                let passed = now.since(last.min(now)).as_millis();
                let steps = passed / rate.step(pace).as_millis().max(1);
                u32::try_from(steps).unwrap_or(u32::MAX)
            }
        }
    }

    fn next_step(&self, rate: &Rate, pace: Pace, now: Timestamp) -> Timestamp {
        if self.in_steps(rate, pace, now) > 0 {
            return now;
        }
        let last = self.sent.last().copied().unwrap_or(now).min(now);
        let at_once = usize::try_from(rate.at_once(pace)).unwrap_or(usize::MAX);
        let recent = self.sent.len().checked_sub(at_once);
        let room = recent.map(|at| self.sent[at].min(now) + rate.per);
        let step = last + rate.step(pace);
        room.map_or(step, |room| room.min(step))
    }

    fn within(&self, per: Duration, now: Timestamp) -> u32 {
        let recent = self.sent.iter().filter(|at| (**at).min(now) + per > now);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    fn frees_at(&self, rate: &Rate, now: Timestamp) -> Timestamp {
        let limit = usize::try_from(rate.messages.max(1)).unwrap_or(usize::MAX);
        match self.sent.len().checked_sub(limit) {
            Some(oldest_that_counts) => self.sent[oldest_that_counts].min(now) + rate.per,
            None => now,
        }
    }
}

impl Rate {
    /// How many may leave without a step between them.
    fn at_once(&self, pace: Pace) -> u32 {
        match pace {
            Pace::Ordinary => self.messages.div_ceil(2),
            Pace::Priority => self.messages - self.messages / 8,
        }
    }

    /// What lies between the others.
    fn step(&self, pace: Pace) -> Duration {
        match self.messages - self.at_once(pace) {
            0 => self.per,
            others => self.per / others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const ROBOT: &[Rate] = &[Rate {
        messages: 18,
        per: MINUTE,
    }];
    const MEMBER: &[Rate] = &[
        Rate {
            messages: 30,
            per: MINUTE,
        },
        Rate {
            messages: 40,
            per: HOUR,
        },
    ];

    fn at(seconds: u32) -> Timestamp {
        Timestamp::default() + Duration::from_secs(1) * seconds
    }

    fn spent(rates: &[Rate], sends: &[(u32, u32)]) -> Budget {
        let mut budget = Budget::default();
        for (messages, second) in sends {
            budget.take(*messages, rates, at(*second));
        }
        budget
    }

    fn check(sends: &[(u32, u32)], now: u32, free: u32, next_free: u32) {
        let budget = spent(ROBOT, sends);
        assert_eq!(budget.free(ROBOT, at(now)), free, "{sends:?} at {now}");
        let next = budget.next_free(ROBOT, at(now));
        assert_eq!(next, at(next_free), "{sends:?} at {now}");
    }

    #[test]
    fn a_window_rolls() {
        check(&[], 0, 18, 0);
        check(&[(10, 0)], 30, 8, 30);
        check(&[(10, 0), (8, 30)], 59, 0, 60);
        check(&[(10, 0), (8, 30)], 60, 10, 60);
        check(&[(18, 0)], 10, 0, 60);
    }

    fn check_pace(sends: &[(u32, u32)], pace: Pace, now: u32, free: u32, next: u32) {
        let budget = spent(ROBOT, sends);
        let got = budget.paced(ROBOT, pace, at(now));
        assert_eq!(got, free, "{sends:?} at {now}, {pace:?}");
        let got = budget.next_paced(ROBOT, pace, at(now));
        // Steps of ordinary ones take 6.666 s.
        let seconds = got.since(at(0)).as_secs();
        assert_eq!(seconds, u64::from(next), "{sends:?} at {now}, {pace:?}");
    }

    #[test]
    fn half_of_a_window_is_kept_for_later_and_an_eighth_for_later_priority() {
        let (ordinary, priority) = (Pace::Ordinary, Pace::Priority);
        check_pace(&[], ordinary, 0, 9, 0);
        check_pace(&[(4, 0)], ordinary, 1, 5, 1);
        check_pace(&[(9, 0)], ordinary, 1, 0, 6);
        check_pace(&[(9, 0)], ordinary, 7, 1, 7);
        check_pace(&[(9, 0)], ordinary, 14, 2, 14);
        check_pace(&[(9, 0)], ordinary, 60, 9, 60);
        // A place that is free again comes before the next step.
        check_pace(&[(8, 0), (1, 58)], ordinary, 59, 0, 60);
        check_pace(&[(9, 0)], priority, 1, 7, 1);
        check_pace(&[(16, 0)], priority, 1, 0, 30);
        check_pace(&[(16, 0)], priority, 30, 1, 30);
        check_pace(&[(18, 0)], priority, 30, 0, 60);
        // Never more than the window has.
        check_pace(&[(17, 0)], ordinary, 59, 1, 59);
    }

    #[test]
    fn small_and_long_windows_are_not_paced() {
        let one = Rate {
            messages: 1,
            per: MINUTE,
        };
        let hourly = Rate {
            messages: 10,
            per: HOUR,
        };
        let empty = Budget::default();
        assert_eq!(empty.paced(&[one], Pace::Ordinary, at(0)), 1);
        assert_eq!(empty.paced(&[hourly], Pace::Ordinary, at(0)), 10);
        assert_eq!(empty.paced(&[], Pace::Ordinary, at(0)), u32::MAX);
        let mut used = Budget::default();
        used.take(1, &[one], at(0));
        assert_eq!(used.paced(&[one], Pace::Priority, at(59)), 0);
        assert_eq!(used.next_paced(&[one], Pace::Priority, at(59)), at(60));
    }

    #[test]
    fn the_tightest_window_counts() {
        let budget = spent(MEMBER, &[(30, 0), (10, 60)]);
        assert_eq!(budget.free(MEMBER, at(120)), 0);
        assert_eq!(budget.free(&MEMBER[..1], at(120)), 30);
        assert_eq!(budget.next_free(MEMBER, at(120)), at(3600));
    }

    #[test]
    fn a_clock_that_steps_back_keeps_no_window_full() {
        let budget = spent(ROBOT, &[(18, 7200)]);
        assert_eq!(budget.next_free(ROBOT, at(3600)), at(3660));
        assert!(budget.sent.len() <= 18);
    }

    #[test]
    fn what_did_not_leave_is_given_back() {
        let mut budget = spent(ROBOT, &[(10, 0), (8, 30)]);
        budget.give_back(8, at(30));
        budget.give_back(5, at(31));
        assert_eq!(budget.free(ROBOT, at(31)), 8);
    }
}
