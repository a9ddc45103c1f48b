//! Exemplars for histograms of the `prometheus` crate, which has none. What an observation belongs to
//! need not be a trace: whatever a person can look up will do.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::{Histogram, TextEncoder};

use super::exemplar::since_1970;
use super::model::write_label;
use crate::fork::Lock;

/// OpenMetrics allows so many characters for the names and the values of an exemplar's labels.
const MOST: usize = 128;
/// Buckets that have one. Labels of the service's own may be without end, and the cap on series is ours.
const PLACES: usize = 10_000;

/// The newest exemplar of each bucket of some histograms, of at most 10,000 buckets. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Exemplars(Arc<Lock<BTreeMap<String, String>>>);

impl Exemplars {
    /// Says what an observation of `series` belongs to: labels such as `[("job_id", "42")]`, with
    /// `trace_id` for a link to a trace. Of more than 128 characters they are no exemplar, and are
    /// left out.
    pub fn mark(&self, series: &Histogram, value: f64, labels: &[(&str, &str)], at: SystemTime) {
        let length = |(name, id): &(&str, &str)| name.chars().count() + id.chars().count();
        if labels.iter().map(length).sum::<usize>() > MOST {
            return;
        }
        if let Some(bucket) = bucket(series, value) {
            let mut text = String::new();
            for (name, id) in labels {
                write_label(&mut text, name, id);
            }
            let seconds = since_1970(at).as_secs_f64();
            let exemplar = format!(" # {{{text}}} {value} {seconds:.3}");
            let mut places = self.lock();
            if places.len() < PLACES || places.contains_key(&bucket) {
                places.insert(bucket, exemplar);
            }
        }
    }

    /// What stands behind the sample in this line of an exposition, its value without a line end.
    pub(super) fn behind(&self, line: &str) -> Option<String> {
        let (series, _value) = line.rsplit_once(' ')?;
        self.lock().get(series).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock()
    }
}

/// The sample of the bucket that `value` falls into, as the crate's own encoder writes it.
fn bucket(series: &Histogram, value: f64) -> Option<String> {
    let text = TextEncoder::new().encode_to_string(&series.collect());
    let text = text.ok()?;
    let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    let holds = |sample: &&str| upper_bound(sample).is_some_and(|bound| value <= bound);
    samples
        .map(|(sample, _)| sample)
        .find(holds)
        .map(str::to_owned)
}

/// `le` is the last label.
fn upper_bound(sample: &str) -> Option<f64> {
    let (_, bound) = sample.strip_suffix("\"}")?.rsplit_once("le=\"")?;
    bound.parse().ok()
}
