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

/// The messages that were sent lately, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Budget {
    /// When each was sent.
    pub sent: Vec<Timestamp>,
}

impl Budget {
    /// How many messages may leave now. `u32::MAX` without rates.
    #[must_use]
    pub fn free(&self, rates: &[Rate], now: Timestamp) -> u32 {
        let free = |rate: &Rate| rate.messages.saturating_sub(self.within(rate.per, now));
        rates.iter().map(free).min().unwrap_or(u32::MAX)
    }

    /// As [`free`](Self::free), for prioritised messages of a channel whose hourly and longer
    /// limits they are exempt from.
    #[must_use]
    pub fn free_for_priority(&self, rates: &[Rate], now: Timestamp) -> u32 {
        let short = rates.iter().copied().filter(|rate| rate.per < HOUR);
        self.free(&short.collect::<Vec<_>>(), now)
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

    #[test]
    fn the_tightest_window_counts_and_priority_is_exempt_from_long_ones() {
        let budget = spent(MEMBER, &[(30, 0), (10, 60)]);
        assert_eq!(budget.free(MEMBER, at(120)), 0);
        assert_eq!(budget.free_for_priority(MEMBER, at(120)), 30);
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
