//! The bounded queue between the threads that end spans and the one that exports them. It decides
//! what is taken, what is dropped and when the exporter has something to do; it never waits inside
//! a request and knows nothing of the network.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Notify;

use super::health::{DropReason, ExportHealth};

/// The Collector refuses requests above 20 MiB by default; a batch stays well below.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the queue may hold, and when a batch is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) batch: usize,
}

#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    /// Wakes the exporter: a first span, a full batch, a flush, the shutdown.
    wake: Notify,
    /// Interrupts an export: the shutdown's time is over.
    abandon: Notify,
    /// Wakes those who wait for a flush or the shutdown.
    settled: Condvar,
    health: Arc<ExportHealth>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<SpanData>,
    /// Of each that waits, beside them: a pair would be put together first, half a kilobyte of it.
    sizes: VecDeque<usize>,
    bytes: usize,
    /// Spans of the batch that is being exported; whoever settles it sets this to zero.
    in_flight: u64,
    /// Spans ever taken into the queue, and those of them whose fate is known.
    accepted: u64,
    done: u64,
    /// Export without delay until this many are done.
    flush_to: u64,
    phase: Phase,
    /// Calls that still have time for the rest.
    waiting_calls: u32,
    /// The time of a shutdown was over: the last of these calls gives the rest up.
    overdue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new spans; what waits is still exported.
    Draining,
    /// No new spans; what waited was given up.
    Abandoned,
    /// The exporter has left.
    Stopped,
}

/// What the exporter should do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing waits: sleep until woken.
    Idle,
    /// Some spans wait, fewer than a batch: let more come, for the usual delay.
    Gather,
    /// A batch is full, or someone waits for it.
    Export,
    /// Shut down.
    Stop,
}

impl Queue {
    /// Allocates all that it will ever use for its own structure.
    pub(super) fn new(limits: Limits, health: Arc<ExportHealth>) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                waiting: VecDeque::with_capacity(limits.items),
                sizes: VecDeque::with_capacity(limits.items),
                bytes: 0,
                in_flight: 0,
                accepted: 0,
                done: 0,
                flush_to: 0,
                phase: Phase::Open,
                waiting_calls: 0,
                overdue: false,
            }),
            wake: Notify::new(),
            abandon: Notify::new(),
            settled: Condvar::new(),
            health,
        }
    }

    /// Takes a span or drops it with a reason: the newest is dropped, those that wait were accepted.
    /// A span that is dropped costs no allocation. Inlined, and its size is told, because each hand that
    /// takes a span and looks at it copies half a kilobyte.
    #[inline]
    pub(super) fn push(&self, span: SpanData, bytes: usize) {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return self.health.count_dropped(DropReason::AfterShutdown, 1);
        }
        if state.waiting.len() >= self.limits.items || state.bytes + bytes > self.limits.bytes {
            return self.health.count_dropped(DropReason::QueueFull, 1);
        }
        let had = (state.waiting.len(), state.bytes);
        state.waiting.push_back(span);
        state.sizes.push_back(bytes);
        state.bytes += bytes;
        state.accepted += 1;
        self.health.set_queue(state.waiting.len(), state.bytes);
        let filled =
            !self.is_batch(had.0, had.1) && self.is_batch(state.waiting.len(), state.bytes);
        drop(state);
        if had.0 == 0 || filled {
            self.wake.notify_one();
        }
    }

    /// Whether the next span of a usual size would be taken.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.phase == Phase::Open
            && state.waiting.len() < self.limits.items
            && state.bytes < self.limits.bytes
    }

    /// Whether the fate of every span that was taken is known.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.lock();
        state.done == state.accepted
    }

    /// Whether no span is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// The same in a process that inherited the queue. Its lock may be held for ever, by a thread that
    /// was left behind; who held it was not closing the queue, most likely.
    pub(super) fn was_closed(&self) -> bool {
        match self.state.try_lock() {
            Ok(state) => state.phase != Phase::Open,
            Err(TryLockError::Poisoned(state)) => state.get_ref().phase != Phase::Open,
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Holds the lock, as a thread that a fork left behind would.
    #[cfg(test)]
    pub(super) fn held(&self) -> impl Sized + '_ {
        self.lock()
    }

    /// Calls that wait for a flush or the shutdown.
    #[cfg(test)]
    pub(super) fn waiting_calls(&self) -> u32 {
        self.lock().waiting_calls
    }

    /// What the exporter should do now.
    pub(super) fn next(&self) -> Next {
        let state = self.lock();
        match state.phase {
            Phase::Abandoned | Phase::Stopped => Next::Stop,
            Phase::Draining if state.waiting.is_empty() => Next::Stop,
            Phase::Draining => Next::Export,
            Phase::Open if state.waiting.is_empty() => Next::Idle,
            Phase::Open if state.flush_to > state.done => Next::Export,
            Phase::Open if self.is_batch(state.waiting.len(), state.bytes) => Next::Export,
            Phase::Open => Next::Gather,
        }
    }

    /// Takes the oldest spans, up to one batch; they count as in flight until settled.
    pub(super) fn take_batch(&self) -> Vec<SpanData> {
        let mut state = self.lock();
        let mut batch = Vec::with_capacity(state.waiting.len().min(self.limits.batch));
        let mut taken = 0;
        while let Some(bytes) = state.sizes.front().copied()
            && batch.len() < self.limits.batch
            && (batch.is_empty() || taken + bytes <= BATCH_BYTES)
        {
            taken += bytes;
            state.sizes.pop_front();
            batch.extend(state.waiting.pop_front());
        }
        state.bytes -= taken;
        state.in_flight = batch.len() as u64;
        self.health.set_queue(state.waiting.len(), state.bytes);
        batch
    }

    /// Settles the batch in flight: of its spans so many failed and were rejected, the others
    /// arrived. Does nothing when the shutdown has settled it already.
    pub(super) fn settle(&self, failed: u64, rejected: u64) {
        let mut state = self.lock();
        let spans = std::mem::take(&mut state.in_flight);
        let failed = failed.min(spans);
        let rejected = rejected.min(spans - failed);
        state.done += spans;
        self.health.count_dropped(DropReason::ExportFailed, failed);
        self.health.count_dropped(DropReason::Rejected, rejected);
        self.health.count_exported(spans - failed - rejected);
        drop(state);
        self.settled.notify_all();
    }

    /// Settles the batch in flight as lost.
    pub(super) fn settle_lost(&self) {
        self.settle(u64::MAX, 0);
    }

    /// Sleeps until there may be something new to do.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Sleeps until the shutdown gives up what is in flight.
    pub(super) async fn abandoned(&self) {
        if self.lock().phase != Phase::Abandoned {
            self.abandon.notified().await;
        }
    }

    /// The exporter has left: nobody needs to wait any more.
    pub(super) fn stopped(&self) {
        let mut state = self.lock();
        self.give_up(&mut state);
        // Another run may follow, and this one may be kept: its room is not.
        state.waiting = VecDeque::new();
        state.sizes = VecDeque::new();
        state.phase = Phase::Stopped;
        drop(state);
        self.settled.notify_all();
    }

    /// Closes the queue without waiting; what waits is still exported.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Draining;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Exports what was taken until now; returns how many of those are not settled after `limit`.
    pub(super) fn flush(&self, limit: Duration) -> u64 {
        let mut state = self.lock();
        let target = state.accepted;
        state.flush_to = state.flush_to.max(target);
        self.wake.notify_one();
        let open = |state: &mut State| state.done < target && state.phase != Phase::Stopped;
        let mut state = self.wait(state, limit, open);
        let left = target.saturating_sub(state.done);
        self.leave(&mut state);
        left
    }

    /// Closes the queue and exports what it holds; returns how many spans are not settled after
    /// `limit`. They are given up then, unless another call still has time for them: the last one
    /// that has decides.
    pub(super) fn shutdown(&self, limit: Duration) -> u64 {
        self.close();
        let open = |state: &mut State| state.phase != Phase::Stopped;
        let mut state = self.wait(self.lock(), limit, open);
        let left = state.accepted - state.done;
        state.overdue = true;
        self.leave(&mut state);
        left
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        limit: Duration,
        open: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        state.waiting_calls += 1;
        let waited = self.settled.wait_timeout_while(state, limit, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting_calls -= 1;
        state
    }

    /// Gives the rest up if nobody has time for it any more.
    fn leave(&self, state: &mut State) {
        if state.waiting_calls > 0 || !state.overdue || state.phase != Phase::Draining {
            return;
        }
        state.phase = Phase::Abandoned;
        self.give_up(state);
        self.abandon.notify_one();
        self.wake.notify_one();
    }

    /// Counts all that is not settled as lost.
    fn give_up(&self, state: &mut State) {
        let lost = std::mem::take(&mut state.in_flight) + state.waiting.len() as u64;
        state.waiting.clear();
        state.sizes.clear();
        state.bytes = 0;
        state.done = state.accepted;
        self.health.count_dropped(DropReason::ExportFailed, lost);
        self.health.set_queue(0, 0);
    }

    fn is_batch(&self, items: usize, bytes: usize) -> bool {
        items >= self.limits.batch || bytes >= BATCH_BYTES.min(self.limits.bytes)
    }

    /// No code that can panic runs under this lock; were it poisoned, the state is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
