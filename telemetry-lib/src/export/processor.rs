//! The two ends of the export path that others hold: the span processor, which only fills the
//! queue, and the handle, which flushes and ends it. No method needs the caller's runtime.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::oneshot;

use super::ExportError;
use super::health::ExportHealth;
use super::queue::{Queue, RunId, RunQueue};
use super::report::{Left, SignalReport};
use super::run::{Parts, Runs};
use super::size;
use super::worker::on_export_thread;
use crate::fork;

/// How long the tracer provider's own flush may take; ours takes its limit from the caller.
const PROVIDER_FLUSH: Duration = Duration::from_secs(5);

/// Puts finished spans into the queue. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct QueueProcessor {
    runs: Arc<Runs>,
}

/// Flushes and ends one run of the export. Dropping the last clone lets the thread export what is
/// queued and leave, without waiting for it.
#[derive(Debug, Clone)]
pub(crate) struct ExportHandle(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    runs: Arc<Runs>,
    /// `None`: whichever is the newest when it is asked for. Such a handle keeps no run open.
    run: Option<RunId>,
    health: Arc<ExportHealth>,
}

impl QueueProcessor {
    pub(super) fn new(runs: Arc<Runs>) -> Self {
        Self { runs }
    }

    #[cfg(test)]
    pub(super) fn queue(&self) -> &Queue {
        self.runs.queue()
    }

    /// Whether the queue would take a span now. A span that carries an exemplar should not be one
    /// that is dropped a moment later.
    pub(crate) fn has_room(&self) -> bool {
        self.runs.queue().has_room()
    }
}

impl SpanProcessor for QueueProcessor {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    #[inline]
    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !on_export_thread() {
            let bytes = size::bytes(&span);
            self.runs.queue().push(span, bytes);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let queue = self.runs.queue_in_use();
        match queue.map(|it| newest(it).flush(PROVIDER_FLUSH)) {
            None | Some(Left { spans: 0, .. }) => Ok(()),
            Some(_) => Err(OTelSdkError::Timeout(PROVIDER_FLUSH)),
        }
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        match newest(self.runs.queue_to_end()).shutdown(limit) {
            Left { spans: 0, .. } => Ok(()),
            _ => Err(OTelSdkError::Timeout(limit)),
        }
    }
}

fn newest(queue: &Arc<Queue>) -> RunQueue {
    RunQueue::new(Arc::clone(queue), queue.newest())
}

impl ExportHandle {
    pub(super) fn new(runs: Arc<Runs>, run: RunId, health: Arc<ExportHealth>) -> Self {
        Self(Arc::new(Ends {
            runs,
            run: Some(run),
            health,
        }))
    }

    /// Takes no more spans, without waiting until the others are exported.
    pub(crate) fn close(&self) {
        self.0.to_end().close();
    }

    /// A handle on the newest run, for who cannot know which that is.
    pub(crate) fn of_newest(&self) -> Self {
        Self(Arc::new(Ends {
            runs: Arc::clone(&self.0.runs),
            run: None,
            health: Arc::clone(&self.0.health),
        }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        let here = self.0.in_use();
        here.map_or_else(|| self.0.runs.was_closed(), |run| run.is_closed())
    }

    /// Makes a run of these parts that takes the place of this one, which is closed by that.
    pub(super) fn follow(&self, parts: Parts) -> Result<Self, ExportError> {
        let (runs, health) = (&self.0.runs, Arc::clone(&parts.health));
        let run = runs.follow(parts)?;
        Ok(Self::new(Arc::clone(runs), run, health))
    }

    /// Exports what ended before the call, for at most `limit`.
    pub(crate) async fn flush(&self, limit: Duration) -> SignalReport {
        if self.0.in_use().is_none_or(|it| it.is_settled()) {
            return self.0.health.report(Left::default());
        }
        let this = self.clone();
        self.apart(limit, move || this.flush_blocking(limit)).await
    }

    /// Takes no more spans, exports the others and ends the thread, all within `limit`. The same
    /// report again when called again.
    pub(crate) async fn shutdown(&self, limit: Duration) -> SignalReport {
        let this = self.clone();
        self.apart(limit, move || this.shutdown_blocking(limit))
            .await
    }

    /// [`Self::flush`], blocking this thread.
    pub(crate) fn flush_blocking(&self, limit: Duration) -> SignalReport {
        let pending = self.0.in_use().map(|it| it.flush(limit));
        self.0.health.report(pending.unwrap_or_default())
    }

    /// [`Self::shutdown`], blocking this thread.
    pub(crate) fn shutdown_blocking(&self, limit: Duration) -> SignalReport {
        let lost = self.0.to_end().shutdown(limit);
        self.0.health.report(lost)
    }

    /// Waits on a thread of its own: the limit then holds on any runtime, on none, and when the
    /// caller's has no timer or its only thread is busy.
    async fn apart(
        &self,
        limit: Duration,
        wait: impl FnOnce() -> SignalReport + Send + 'static,
    ) -> SignalReport {
        if limit.is_zero() {
            return wait();
        }
        let (done, waiting) = oneshot::channel();
        let work = move || {
            // Whoever waited may be gone.
            let _ = done.send(wait());
        };
        if !fork::spawn("telemetry-wait", limit, work) {
            return self.shutdown_now();
        }
        let report = waiting.await;
        report.unwrap_or_else(|_| self.0.health.report(Left::default()))
    }

    /// Without a thread to wait on, the truth about this moment is better than none.
    fn shutdown_now(&self) -> SignalReport {
        self.flush_blocking(Duration::ZERO)
    }
}

impl Ends {
    /// The run, if this process has one.
    fn in_use(&self) -> Option<RunQueue> {
        Some(self.of(self.runs.queue_in_use()?))
    }

    fn to_end(&self) -> RunQueue {
        self.of(self.runs.queue_to_end())
    }

    fn of(&self, queue: &Arc<Queue>) -> RunQueue {
        let run = self.run.unwrap_or_else(|| queue.newest());
        RunQueue::new(Arc::clone(queue), run)
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if self.run.is_some()
            && let Some(run) = self.in_use()
        {
            run.close();
        }
    }
}
