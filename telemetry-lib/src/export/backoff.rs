//! When to try a batch again, and until when. Pure: the time that was spent and the chance go in.

use std::time::Duration;

/// When to try again, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    total: Duration,
}

impl Backoff {
    /// 1 s, doubled up to 30 s, with jitter; `total` for one batch in all.
    pub(super) fn new(total: Duration) -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            total,
        }
    }

    /// How long an attempt may take after so much time, at most `usual`; `None` when there is no
    /// time left.
    pub(super) fn attempt(&self, usual: Duration, spent: Duration) -> Option<Duration> {
        let left = self.total.saturating_sub(spent);
        (!left.is_zero()).then(|| usual.min(left))
    }

    /// The wait before try number `retry` (from 1), or `None` when it would come too late.
    /// `jitter` is a random number from 0 to 1; the collector's own wish is never undercut.
    pub(super) fn wait(
        &self,
        retry: u32,
        after: Option<Duration>,
        jitter: f64,
        spent: Duration,
    ) -> Option<Duration> {
        let doubled = self
            .first
            .saturating_mul(1 << retry.saturating_sub(1).min(16));
        let own = doubled.min(self.longest).mul_f64(0.5 + jitter / 2.0);
        let wait = after.map_or(own, |after| after.max(own));
        (spent.saturating_add(wait) < self.total).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_keep_the_collectors_wish_and_end_after_a_minute() {
        let wait = |retry, after: Option<u64>, jitter, spent| {
            Backoff::new(Duration::from_secs(60))
                .wait(
                    retry,
                    after.map(Duration::from_secs),
                    jitter,
                    Duration::from_secs(spent),
                )
                .map(|wait| wait.as_secs_f64())
        };
        assert_eq!(wait(1, None, 1.0, 0), Some(1.0));
        assert_eq!(wait(1, None, 0.0, 0), Some(0.5));
        assert_eq!(wait(4, None, 1.0, 0), Some(8.0));
        assert_eq!(wait(40, None, 1.0, 0), Some(30.0));
        assert_eq!(wait(1, Some(7), 1.0, 0), Some(7.0));
        assert_eq!(wait(5, Some(7), 1.0, 0), Some(16.0));
        assert_eq!(wait(1, Some(7), 1.0, 53), None);
        assert_eq!(wait(1, Some(u64::MAX), 1.0, 0), None);
    }
}
