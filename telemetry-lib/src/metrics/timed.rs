//! How long something took, as one series: a histogram and the traces beside its buckets.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::exemplar::{Exemplar, Marked, Slots, Tokens};
use super::instrument::{Counter, Histogram};
use super::model::PointValue;

/// Exemplars cost memory once they are used.
#[derive(Debug)]
pub(super) struct Timed {
    histogram: Histogram,
    exemplars: OnceLock<Slots>,
}

/// What all series of a page share.
#[derive(Debug, Default)]
pub(super) struct Common {
    tokens: Arc<Tokens>,
    refused: Counter,
}

impl Common {
    /// `tokens` are those of all exemplars of the process.
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            tokens,
            refused: Counter::default(),
        }
    }

    /// Observations that were no size.
    pub(super) fn refused(&self) -> u64 {
        self.refused.get()
    }
}

impl Timed {
    pub(super) fn new(buckets: &'static [f64]) -> Self {
        Self {
            histogram: Histogram::new(buckets),
            exemplars: OnceLock::new(),
        }
    }

    /// Says whether the exemplar was taken. What is no size is counted as refused, and nowhere else.
    pub(super) fn observe(
        &self,
        duration: Duration,
        exemplar: Option<Exemplar>,
        common: &Common,
    ) -> bool {
        let value = seconds(duration);
        let Some(bucket) = self.histogram.observe(value) else {
            common.refused.add_one();
            return false;
        };
        exemplar.is_some_and(|exemplar| {
            let new = || Slots::new(self.histogram.buckets());
            let slots = self.exemplars.get_or_init(new);
            slots.offer(bucket, Marked { exemplar, value }, &common.tokens)
        })
    }

    pub(super) fn get(&self) -> PointValue {
        PointValue::Histogram {
            value: self.histogram.get(),
            exemplars: self.exemplars.get().map(Slots::get).unwrap_or_default(),
        }
    }
}

/// A [`Duration`] is always a size; a test may pretend that it is none.
fn seconds(duration: Duration) -> f64 {
    #[cfg(test)]
    if let Some(pretended) = tests::PRETENDED.get() {
        return pretended;
    }
    duration.as_secs_f64()
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// The seconds of all durations that this thread observes.
        pub(in crate::metrics) static PRETENDED: Cell<Option<f64>> = const { Cell::new(None) };
    }
}
