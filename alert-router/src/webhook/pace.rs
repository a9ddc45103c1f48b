//! How many requests a source may send: a burst, and on average as many in the time it names.

use std::time::Duration;

use alert_engine::Timestamp;

use crate::config::RateLimit;

/// What a source has used of its limit; it drains evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    used: Duration,
    at: Timestamp,
}

impl Pace {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            used: Duration::ZERO,
            at: now,
        }
    }

    /// Takes one request, or says how long it has to wait.
    pub(super) fn admit(&mut self, limit: RateLimit, now: Timestamp) -> Result<(), Duration> {
        // A clock that stepped back drains nothing, and holds nobody up until it caught up.
        self.used = self.used.saturating_sub(now.since(self.at)).min(limit.per);
        self.at = now;
        let used = self.used + limit.per / limit.requests;
        if used > limit.per {
            return Err(used - limit.per);
        }
        self.used = used;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(requests: u32) -> RateLimit {
        RateLimit {
            requests,
            per: SECOND,
        }
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_drained() {
        let now = Timestamp::from_millis(0);
        let mut pace = Pace::begin(now);
        for _ in 0..4 {
            assert_eq!(pace.admit(limit(4), now), Ok(()));
        }
        let quarter = SECOND / 4;
        assert_eq!(pace.admit(limit(4), now), Err(quarter));
        assert_eq!(pace.admit(limit(4), now + quarter), Ok(()));
        assert_eq!(pace.admit(limit(4), now + quarter), Err(quarter));
    }

    #[test]
    fn a_clock_that_stepped_back_and_a_smaller_limit_hold_nobody_up_for_long() {
        let now = Timestamp::from_millis(3_600_000);
        let mut pace = Pace::begin(now);
        let hour = RateLimit {
            requests: 1,
            per: 3_600 * SECOND,
        };
        assert_eq!(pace.admit(hour, now), Ok(()));
        let back = Timestamp::from_millis(0);
        assert_eq!(pace.admit(limit(1), back), Err(SECOND));
        assert_eq!(pace.admit(limit(1), back + SECOND), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn no_window_takes_more_than_a_burst_and_what_drained(
            requests in 1u32..50,
            pauses in proptest::collection::vec(0u64..100, 1..200),
        ) {
            let limit = limit(requests);
            let mut now = Timestamp::from_millis(0);
            let mut pace = Pace::begin(now);
            let mut taken = 0u32;
            for pause in pauses {
                now = now + Duration::from_millis(pause);
                taken += u32::from(pace.admit(limit, now).is_ok());
                let passed = now.since(Timestamp::from_millis(0)).as_secs_f64();
                let most = f64::from(requests) * (1.0 + passed) + 1e-3;
                proptest::prop_assert!(f64::from(taken) <= most);
            }
        }
    }
}
