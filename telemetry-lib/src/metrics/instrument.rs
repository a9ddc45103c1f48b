//! Counters, gauges and histograms that many threads write without waiting for one another: each
//! thread adds to its own shard, a scrape adds the shards up.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// More shards would only cost memory: past this the bus is the limit.
const MAX_SHARDS: usize = 16;

/// Shards lie so many words apart that two never share a cache line, prefetched pairs included.
const STRIDE_WORDS: usize = 16;

static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

/// A number of things that are there now.
#[derive(Debug)]
pub(super) struct Gauge(Shards);

/// Counts observations by upper bound.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// Per shard: a count for each bucket, `+Inf` last, then the bits of the sum.
    shards: Shards,
}

/// What a histogram holds at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistogramValue {
    /// Observations up to each bound; the last, for `+Inf`, is the count of all.
    pub(super) cumulative: Vec<u64>,
    pub(super) sum: f64,
}

#[derive(Debug)]
struct Shards {
    words: Box<[AtomicU64]>,
    stride: usize,
}

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    pub(super) fn new() -> Self {
        Self(Shards::new(1))
    }

    pub(super) fn increase(&self) {
        self.0.mine()[0].fetch_add(1, Relaxed);
    }

    /// May run on another thread than the increase: only the sum over the shards is meant.
    pub(super) fn decrease(&self) {
        self.0.mine()[0].fetch_sub(1, Relaxed);
    }

    pub(super) fn get(&self) -> i64 {
        let sum = self
            .0
            .all()
            .fold(0_u64, |sum, shard| sum.wrapping_add(shard[0].load(Relaxed)));
        sum.cast_signed()
    }
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            shards: Shards::new(bounds.len() + 2),
        }
    }

    /// Counts a value and returns its bucket; `None` when it is no number, infinite or negative,
    /// which would spoil the sum for ever.
    pub(super) fn observe(&self, value: f64) -> Option<usize> {
        if !value.is_finite() || value.is_sign_negative() && value != 0.0 {
            return None;
        }
        let bucket = self
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(self.bounds.len());
        let shard = self.shards.mine();
        shard[bucket].fetch_add(1, Relaxed);
        let sum = &shard[self.bounds.len() + 1];
        let mut bits = sum.load(Relaxed);
        loop {
            let next = (f64::from_bits(bits) + value).to_bits();
            match sum.compare_exchange_weak(bits, next, Relaxed, Relaxed) {
                Ok(_) => return Some(bucket),
                Err(newer) => bits = newer,
            }
        }
    }

    pub(super) fn buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    pub(super) fn get(&self) -> HistogramValue {
        let mut cumulative = vec![0; self.buckets()];
        let mut sum = 0.0;
        for shard in self.shards.all() {
            for (total, count) in cumulative.iter_mut().zip(shard) {
                *total += count.load(Relaxed);
            }
            sum += f64::from_bits(shard[self.buckets()].load(Relaxed));
        }
        let mut before = 0;
        for total in &mut cumulative {
            before += *total;
            *total = before;
        }
        HistogramValue { cumulative, sum }
    }
}

impl Shards {
    fn new(words: usize) -> Self {
        let stride = words.next_multiple_of(STRIDE_WORDS);
        let all = (0..stride * shard_count()).map(|_| AtomicU64::new(0));
        Self {
            words: all.collect(),
            stride,
        }
    }

    /// The shard of this thread.
    fn mine(&self) -> &[AtomicU64] {
        let begin = shard_of_thread() * self.stride;
        &self.words[begin..begin + self.stride]
    }

    fn all(&self) -> impl Iterator<Item = &[AtomicU64]> {
        self.words.chunks_exact(self.stride)
    }
}

/// A power of two, at least the number of cores unless that is above the limit.
fn shard_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        cores.next_power_of_two().min(MAX_SHARDS)
    })
}

/// Threads take shards in turn; one that is being torn down shares the first.
fn shard_of_thread() -> usize {
    let shard = SHARD.try_with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT_SHARD.fetch_add(1, Relaxed) & (shard_count() - 1));
        }
        shard.get()
    });
    shard.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[f64] = &[0.1, 1.0];

    #[test]
    fn a_value_counts_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(BOUNDS);
        for (value, bucket) in [(0.0, 0), (-0.0, 0), (0.1, 0), (0.11, 1), (1.0, 1), (7.0, 2)] {
            assert_eq!(histogram.observe(value), Some(bucket), "{value}");
        }
        let value = histogram.get();
        assert_eq!(value.cumulative, [3, 5, 6]);
        assert!((value.sum - 8.21).abs() < 1e-9);
    }

    #[test]
    fn f42_what_is_no_size_is_refused_and_the_sum_stays_finite() {
        let histogram = Histogram::new(BOUNDS);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, f64::MIN] {
            assert_eq!(histogram.observe(value), None, "{value}");
        }
        histogram.observe(0.5);
        assert_eq!(
            histogram.get(),
            HistogramValue {
                cumulative: vec![0, 1, 1],
                sum: 0.5
            }
        );
    }

    #[test]
    fn f42_counts_go_beyond_32_bits() {
        let histogram = Histogram::new(BOUNDS);
        histogram.shards.mine()[0].store(u64::from(u32::MAX), Relaxed);
        histogram.observe(0.05);
        assert_eq!(histogram.get().cumulative[0], 1 << 32);
    }

    #[test]
    fn no_observation_of_any_thread_is_lost() {
        let (histogram, gauge, counter) =
            (Histogram::new(BOUNDS), Gauge::new(), Counter::default());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        histogram.observe(0.5);
                        gauge.increase();
                        counter.add_one();
                    }
                });
            }
            scope.spawn(|| (0..10_000).for_each(|_| gauge.decrease()));
        });
        let value = histogram.get();
        assert_eq!((value.cumulative[2], value.sum), (40_000, 20_000.0));
        assert_eq!((gauge.get(), counter.get()), (30_000, 40_000));
    }
}
