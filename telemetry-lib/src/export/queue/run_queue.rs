//! What one run sees of the queue: its exporter, and those who wait for a flush or the shutdown.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::futures::Notified;

use super::backlog::{Backlog, Next, Phase, RunId};
use super::{Queue, State};
use crate::export::health::DropReason;
use crate::export::report::Left;

/// What one run sees of the queue. A run that has ended is one that is stopped.
#[derive(Debug, Clone)]
pub(in crate::export) struct RunQueue {
    queue: Arc<Queue>,
    run: RunId,
}

impl RunQueue {
    pub(in crate::export) fn new(queue: Arc<Queue>, run: RunId) -> Self {
        Self { queue, run }
    }

    /// Whether the fate of every span that was taken is known.
    pub(in crate::export) fn is_settled(&self) -> bool {
        self.look(|it| it.done == it.accepted).unwrap_or(true)
    }

    /// Whether no span is taken any more.
    pub(in crate::export) fn is_closed(&self) -> bool {
        self.look(|it| it.phase != Phase::Open).unwrap_or(true)
    }

    /// What the exporter should do now.
    pub(in crate::export) fn next(&self) -> Next {
        self.look(|it| it.next()).unwrap_or(Next::Stop)
    }

    /// Takes the oldest spans, up to one batch; they count as in flight until settled.
    pub(in crate::export) fn take_batch(&self) -> Vec<SpanData> {
        let mut state = self.queue.lock();
        let batch = state.run(self.run).map(Backlog::take_batch);
        self.queue.show(&state);
        batch.unwrap_or_default()
    }

    /// Settles the batch in flight: of its spans so many failed and were rejected, the others
    /// arrived. Does nothing when the shutdown has settled it already.
    pub(in crate::export) fn settle(&self, failed: u64, rejected: u64) {
        let health = &self.queue.health;
        self.look(|it| {
            let spans = std::mem::take(&mut it.in_flight);
            let failed = failed.min(spans);
            let rejected = rejected.min(spans - failed);
            it.done += spans;
            health.count_dropped(DropReason::ExportFailed, failed);
            health.count_dropped(DropReason::Rejected, rejected);
            health.count_exported(spans - failed - rejected);
        });
        self.queue.settled.notify_all();
    }

    /// Settles the batch in flight as lost.
    pub(in crate::export) fn settle_lost(&self) {
        self.settle(u64::MAX, 0);
    }

    /// Ends when there may be something new to do. To be made before [`next`](Self::next) is asked:
    /// what happens after that is not missed.
    pub(in crate::export) fn woken(&self) -> Notified<'_> {
        self.queue.wake.notified()
    }

    /// Sleeps until the shutdown gives up what is in flight.
    pub(in crate::export) async fn abandoned(&self) {
        loop {
            let abandoned = self.queue.abandon.notified();
            if self.look(|it| it.phase == Phase::Abandoned) != Some(false) {
                return;
            }
            abandoned.await;
        }
    }

    /// The exporter has left: nobody needs to wait any more.
    pub(in crate::export) fn stopped(&self) {
        let mut state = self.queue.lock();
        if let Some(backlog) = state.run(self.run) {
            backlog.stop(&self.queue.health);
        }
        state.former.retain(|it| it.phase != Phase::Stopped);
        self.note_closed(&state);
        self.queue.show(&state);
        drop(state);
        self.queue.settled.notify_all();
    }

    /// Closes the run without waiting; what waits is still exported.
    pub(in crate::export) fn close(&self) {
        let mut state = self.queue.lock();
        if let Some(backlog) = state.run(self.run) {
            backlog.close();
        }
        self.note_closed(&state);
        drop(state);
        self.queue.wake.notify_waiters();
    }

    /// Exports what was taken until now; returns what of that is not settled after `limit`.
    pub(in crate::export) fn flush(&self, limit: Duration) -> Left {
        let target = self.look(|it| {
            it.flush_to = it.flush_to.max(it.accepted);
            it.accepted
        });
        let Some(target) = target else {
            return Left::default();
        };
        self.queue.wake.notify_waiters();
        self.wait(
            limit,
            |it| it.done < target && it.phase != Phase::Stopped,
            |it| target.saturating_sub(it.done),
        )
    }

    /// Closes the run and exports what it holds; returns what is not settled after `limit`. They are given up then, unless another call still has time for them: the last one
    /// that has decides.
    pub(in crate::export) fn shutdown(&self, limit: Duration) -> Left {
        self.close();
        self.wait(
            limit,
            |it| it.phase != Phase::Stopped,
            |it| {
                it.overdue = true;
                it.accepted - it.done
            },
        )
    }

    /// Waits while the run is `open`, for at most `limit`. What is `left` then is given up if nobody has
    /// time for it any more.
    fn wait(
        &self,
        limit: Duration,
        open: impl Fn(&Backlog) -> bool,
        left: impl FnOnce(&mut Backlog) -> u64,
    ) -> Left {
        let mut state = self.queue.lock();
        let Some(backlog) = state.run(self.run) else {
            return Left::default();
        };
        backlog.waiting_calls += 1;
        let open = |state: &mut State| state.run(self.run).is_some_and(|it| open(it));
        let waited = self.queue.settled.wait_timeout_while(state, limit, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(backlog) = state.run(self.run) else {
            return Left::default();
        };
        backlog.waiting_calls -= 1;
        let mut left = Left {
            spans: left(backlog),
            given_up: false,
        };
        if backlog.waiting_calls == 0 && backlog.overdue && backlog.phase == Phase::Draining {
            backlog.give_up(&self.queue.health, Phase::Abandoned);
            left.given_up = true;
            self.queue.show(&state);
            drop(state);
            self.queue.abandon.notify_waiters();
            self.queue.wake.notify_waiters();
        }
        left
    }

    fn note_closed(&self, state: &State) {
        let closed = state.newest.phase != Phase::Open;
        self.queue.closed.store(closed, Relaxed);
    }

    fn look<T>(&self, at: impl FnOnce(&mut Backlog) -> T) -> Option<T> {
        self.queue.lock().run(self.run).map(at)
    }
}
