//! The link from a bucket to a trace: one slot for each bucket of a series, replaced at the
//! earliest after 15 s, and a token bucket over all of them, because a tail sampler keeps every
//! trace that carries a mark. Time comes with the observation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceId};

/// A slot keeps its exemplar for at least this long.
const KEEP_MS: u64 = 15_000;
/// One mark a second, and so many at once after a quiet time.
const MARK_EVERY_MS: u64 = 1_000;
const BURST: u64 = 20;

/// A sampled trace that an observation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// The end of the span.
    pub(crate) at: SystemTime,
}

/// An exemplar with the value that was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marked {
    pub(super) exemplar: Exemplar,
    pub(super) value: f64,
}

/// The slots of one series.
#[derive(Debug)]
pub(super) struct Slots(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    /// When it was filled, so that most offers are declined without the lock; 0: empty.
    since_ms: AtomicU64,
    marked: Mutex<Option<Marked>>,
}

/// Lets one mark through a second, with a burst. It holds when the next one would be due were
/// there no burst, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Tokens(AtomicU64);

impl Slots {
    pub(super) fn new(buckets: usize) -> Self {
        Self((0..buckets).map(|_| Slot::default()).collect())
    }

    /// Takes the exemplar if its slot is free and a token is left.
    pub(super) fn offer(&self, bucket: usize, marked: Marked, tokens: &Tokens) -> bool {
        let slot = &self.0[bucket];
        let now = millis(marked.exemplar.at);
        // Either way: a clock that was set back must not freeze the slot.
        if slot.since_ms.load(Relaxed).abs_diff(now) < KEEP_MS {
            return false;
        }
        // Another thread, or a scrape, is at it: this exemplar is not worth a wait.
        let Ok(mut place) = slot.marked.try_lock() else {
            return false;
        };
        if slot.since_ms.load(Relaxed).abs_diff(now) < KEEP_MS || !tokens.take(now) {
            return false;
        }
        *place = Some(marked);
        slot.since_ms.store(now, Relaxed);
        true
    }

    pub(super) fn get(&self) -> Vec<Option<Marked>> {
        // One that is being replaced now is shown next time; in a forked child it may be so for ever.
        let read = |slot: &Slot| match slot.marked.try_lock() {
            Ok(marked) => *marked,
            Err(TryLockError::Poisoned(marked)) => *marked.into_inner(),
            Err(TryLockError::WouldBlock) => None,
        };
        self.0.iter().map(read).collect()
    }
}

impl Tokens {
    fn take(&self, now: u64) -> bool {
        let taken = self.0.fetch_update(Relaxed, Relaxed, |due| {
            let horizon = now + BURST * MARK_EVERY_MS;
            // Beyond the horizon it can only be because the clock was set back.
            let due = if due > horizon { now } else { due.max(now) };
            (due + MARK_EVERY_MS <= horizon).then_some(due + MARK_EVERY_MS)
        });
        taken.is_ok()
    }
}

pub(super) fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(at: SystemTime) -> u64 {
    u64::try_from(since_1970(at).as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Marked {
        Marked {
            exemplar: Exemplar {
                trace_id: TraceId::from(1),
                span_id: SpanId::from(second),
                at: UNIX_EPOCH + Duration::from_secs(1_795_000_000 + second),
            },
            value: 0.5,
        }
    }

    #[test]
    fn a_slot_keeps_its_exemplar_for_fifteen_seconds() {
        let (slots, tokens) = (Slots::new(2), Tokens::default());
        let taken = |second| slots.offer(0, at(second), &tokens);
        let taken: Vec<_> = [0, 1, 14, 15, 29, 30]
            .into_iter()
            .filter(|s| taken(*s))
            .collect();
        assert_eq!(taken, [0, 15, 30]);
        assert_eq!(slots.get(), [Some(at(30)), None]);
    }

    #[test]
    fn marks_are_one_a_second_after_a_burst_of_twenty() {
        let (slots, tokens) = (Slots::new(1_000), Tokens::default());
        let offered = |from: usize, second| {
            let taken = (from..from + 100).filter(|b| slots.offer(*b, at(second), &tokens));
            taken.count()
        };
        assert_eq!(offered(0, 0), 20);
        assert_eq!(offered(100, 0), 0);
        assert_eq!(offered(200, 1), 1);
        assert_eq!(offered(300, 6), 5);
        assert_eq!(offered(400, 600), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_freezes_nothing() {
        let (slots, tokens) = (Slots::new(1), Tokens::default());
        assert!(slots.offer(0, at(1_000_000), &tokens));
        assert!(slots.offer(0, at(10), &tokens));
    }
}
