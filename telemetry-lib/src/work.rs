//! A piece of work under a span: polled inside it, and ended once, however it ends. Jobs and
//! messages are made of it; it knows neither.

use opentelemetry::KeyValue;

use crate::clock::{Elapsed, Moment};
use crate::engine::OpenSpan;
use crate::error_type::error_type;
use crate::metrics::JobOutcome;

/// Work under way; when it is dropped before its end, it was cancelled, or panicked.
struct Work<F: FnOnce(JobOutcome, Elapsed)> {
    span: OpenSpan,
    started: Moment,
    /// Taken at the end.
    observe: Option<F>,
}

/// Runs `work` inside `span` and tells `observe` how it ended.
pub(crate) async fn run<T, E>(
    span: OpenSpan,
    observe: impl FnOnce(JobOutcome, Elapsed),
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut run = Work::start(span, observe);
    let mut work = std::pin::pin!(work);
    let result = std::future::poll_fn(|context| {
        let _entered = run.span.enter();
        work.as_mut().poll(context)
    })
    .await;
    run.finish(&result);
    result
}

/// The same for work that does not wait.
pub(crate) fn run_here<T, E>(
    span: OpenSpan,
    observe: impl FnOnce(JobOutcome, Elapsed),
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let mut run = Work::start(span, observe);
    let result = {
        let _entered = run.span.enter();
        work()
    };
    run.finish(&result);
    result
}

impl<F: FnOnce(JobOutcome, Elapsed)> Work<F> {
    fn start(span: OpenSpan, observe: F) -> Self {
        Self {
            span,
            started: Moment::now(),
            observe: Some(observe),
        }
    }

    fn finish<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.end(JobOutcome::Success, None),
            Err(_) => self.end(JobOutcome::Failure, Some(error_type::<E>())),
        }
    }

    fn end(&mut self, outcome: JobOutcome, error_type: Option<&'static str>) {
        let Some(observe) = self.observe.take() else {
            return;
        };
        let elapsed = self.started.elapsed();
        observe(outcome, elapsed);
        if let Some(error_type) = error_type {
            self.span.set(KeyValue::new("error.type", error_type));
        }
        match outcome {
            JobOutcome::Success | JobOutcome::Cancelled => {}
            JobOutcome::Failure | JobOutcome::Panic => self.span.fail(),
        }
        self.span.end(elapsed);
    }
}

impl<F: FnOnce(JobOutcome, Elapsed)> Drop for Work<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end(JobOutcome::Panic, Some("panic"));
        } else {
            self.end(JobOutcome::Cancelled, Some("cancelled"));
        }
    }
}
