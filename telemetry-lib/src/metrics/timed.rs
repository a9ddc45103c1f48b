//! How long something took, as one series: a histogram and the traces beside its buckets.

use std::sync::OnceLock;
use std::time::Duration;

use super::exemplar::{Exemplar, Marked, Slots, Tokens};
use super::instrument::Histogram;
use super::model::PointValue;

/// Exemplars cost memory once they are used.
#[derive(Debug)]
pub(super) struct Timed {
    histogram: Histogram,
    exemplars: OnceLock<Slots>,
}

impl Timed {
    pub(super) fn new(buckets: &'static [f64]) -> Self {
        Self {
            histogram: Histogram::new(buckets),
            exemplars: OnceLock::new(),
        }
    }

    /// Says whether the exemplar was taken; `None` if the duration is no size.
    pub(super) fn observe(
        &self,
        duration: Duration,
        exemplar: Option<Exemplar>,
        tokens: &Tokens,
    ) -> Option<bool> {
        let value = duration.as_secs_f64();
        let bucket = self.histogram.observe(value)?;
        Some(exemplar.is_some_and(|exemplar| {
            let new = || Slots::new(self.histogram.buckets());
            let slots = self.exemplars.get_or_init(new);
            slots.offer(bucket, Marked { exemplar, value }, tokens)
        }))
    }

    pub(super) fn get(&self) -> PointValue {
        PointValue::Histogram {
            value: self.histogram.get(),
            exemplars: self.exemplars.get().map(Slots::get).unwrap_or_default(),
        }
    }
}
