//! The metrics of jobs: how long runs took, how they ended, and when one last succeeded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use super::MetricsConfig;
use super::catalog::{JOB_DURATION, JOB_LAST_SUCCESS};
use super::family::Family;
use super::model::{Gathered, OwnFamily, Point, PointValue};
use super::timed::{Common, Timed};
use crate::clock::Elapsed;
use crate::notice::Notices;

/// Names of jobs stand in the code, so that there are few.
const MAX_SERIES: usize = 200;

/// Records runs. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct JobMetrics(Arc<Inner>);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobOutcome {
    Success,
    Failure,
    /// Dropped before its end.
    Cancelled,
    Panic,
}

#[derive(Debug)]
struct Inner {
    durations: Family<Timed>,
    /// Milliseconds since 1970.
    last_successes: Family<AtomicU64>,
    common: Arc<Common>,
}

impl JobMetrics {
    pub(super) fn new(config: &MetricsConfig, common: Arc<Common>, notices: &Notices) -> Self {
        let cap = config.max_series.min(MAX_SERIES);
        let timed = || Timed::new(JOB_DURATION.buckets);
        Self(Arc::new(Inner {
            durations: Family::new(&JOB_DURATION, cap, timed, notices.clone()),
            last_successes: Family::new(
                &JOB_LAST_SUCCESS,
                cap,
                AtomicU64::default,
                notices.clone(),
            ),
            common,
        }))
    }

    /// A run has ended.
    pub(crate) fn observe(&self, job: &'static str, outcome: JobOutcome, elapsed: Elapsed) {
        let durations = self.0.durations.series(&[job, outcome.as_str()]);
        // Without an exemplar there is none to take.
        let _taken = durations.observe(elapsed.duration, None, &self.0.common);
        if outcome == JobOutcome::Success {
            let since = elapsed.end.duration_since(UNIX_EPOCH).unwrap_or_default();
            let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            self.0.last_successes.series(&[job]).store(millis, Relaxed);
        }
    }

    /// Observations beyond the cap, by metric.
    pub(super) fn overflowed(&self) -> [(&'static str, u64); 2] {
        let Inner {
            durations,
            last_successes,
            ..
        } = &*self.0;
        [
            (durations.desc().name, durations.overflowed()),
            (last_successes.desc().name, last_successes.overflowed()),
        ]
    }

    pub(super) fn gather(&self) -> Vec<Gathered> {
        let durations = self.0.durations.entries().map(|entry| Point {
            labels: Arc::clone(&entry.labels),
            value: entry.value.get(),
        });
        let successes = self.0.last_successes.entries().map(|entry| Point {
            labels: Arc::clone(&entry.labels),
            value: PointValue::Number(entry.value.load(Relaxed) as f64 / 1_000.0),
        });
        [
            (&JOB_DURATION, durations.collect()),
            (&JOB_LAST_SUCCESS, successes.collect()),
        ]
        .map(|(desc, points)| Gathered::Own(OwnFamily { desc, points }))
        .into()
    }
}

impl JobOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
        }
    }
}
