//! Work that nobody requests over HTTP: one span and one observation per run.

use std::any::type_name;

use opentelemetry::{Context, KeyValue};

use crate::clock::Moment;
use crate::engine::OpenSpan;
use crate::metrics::{JobMetrics, JobOutcome};

/// A run under way; when it is dropped before its end, it was cancelled, or panicked.
struct Run<'m> {
    name: &'static str,
    metrics: Option<&'m JobMetrics>,
    span: OpenSpan,
    started: Moment,
    ended: bool,
}

/// Runs `work` inside a span of its own. A run inside a traced request is its child.
pub(crate) async fn run<T, E>(
    metrics: Option<&JobMetrics>,
    spans: bool,
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = if spans {
        OpenSpan::job(name)
    } else {
        OpenSpan::carried(Context::current())
    };
    let mut run = Run {
        name,
        metrics,
        span,
        started: Moment::now(),
        ended: false,
    };
    let mut work = std::pin::pin!(work);
    let result = std::future::poll_fn(|context| {
        let _entered = run.span.enter();
        work.as_mut().poll(context)
    })
    .await;
    match &result {
        Ok(_) => run.end(JobOutcome::Success, None),
        Err(_) => run.end(JobOutcome::Failure, Some(type_name::<E>())),
    }
    result
}

impl Run<'_> {
    fn end(&mut self, outcome: JobOutcome, error_type: Option<&'static str>) {
        self.ended = true;
        let elapsed = self.started.elapsed();
        if let Some(metrics) = self.metrics {
            metrics.observe(self.name, outcome, elapsed);
        }
        if let Some(error_type) = error_type {
            self.span.set(vec![KeyValue::new("error.type", error_type)]);
        }
        match outcome {
            JobOutcome::Success | JobOutcome::Cancelled => {}
            JobOutcome::Failure | JobOutcome::Panic => self.span.fail(),
        }
        self.span.end(elapsed);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.end(JobOutcome::Panic, Some("panic"));
        } else {
            self.end(JobOutcome::Cancelled, Some("cancelled"));
        }
    }
}
