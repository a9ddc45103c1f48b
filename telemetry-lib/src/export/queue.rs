//! The bounded queue between the threads that end spans and the ones that export them. It decides
//! what is taken, what is dropped and when an exporter has something to do; it never waits inside
//! a request and knows nothing of the network.
//!
//! Spans go to the newest run. The runs before it, which still export what they took, stand beside it
//! under the same lock until their thread has left, so that no number of runs costs a span anything.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::health::{DropReason, ExportHealth};

/// The Collector refuses requests above 20 MiB by default; a batch stays well below.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Runs that may still export after another took their place. Each has a thread, and what it took.
const MAX_FORMER: usize = 4;

/// What a run may hold, and when a batch is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) batch: usize,
}

/// Tells the runs of a process, and of those it was forked from, apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunId(u64);

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Whether the newest run is closed, also for those who must not wait for the lock.
    closed: AtomicBool,
    /// Whether the newest run had no room left when it last changed, for those who only want to know.
    full: AtomicBool,
    /// Wakes exporters: a first span, a full batch, a flush, the shutdown.
    wake: Notify,
    /// Interrupts exports: the shutdown's time is over.
    abandon: Notify,
    /// Wakes those who wait for a flush or the shutdown.
    settled: Condvar,
    health: Arc<ExportHealth>,
}

/// What one run sees of the queue. A run that has ended is one that is stopped.
#[derive(Debug, Clone)]
pub(super) struct RunQueue {
    queue: Arc<Queue>,
    run: RunId,
}

#[derive(Debug)]
struct State {
    /// The run that spans go to.
    newest: Backlog,
    /// Older ones whose exporters have not left.
    former: VecDeque<Backlog>,
}

/// What one run holds.
#[derive(Debug)]
struct Backlog {
    run: RunId,
    limits: Limits,
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

/// What an exporter should do now.
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

impl RunId {
    /// One that no other run has.
    pub(super) fn new() -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        Self(RUNS.fetch_add(1, Relaxed))
    }
}

impl Queue {
    /// Allocates all that `run` will ever use of it.
    pub(super) fn new(run: RunId, limits: Limits, health: Arc<ExportHealth>) -> Self {
        Self::of(Backlog::new(run, limits), health)
    }

    /// One that takes nothing until another run follows.
    pub(super) fn over(health: Arc<ExportHealth>) -> Self {
        Self::of(Backlog::over(), health)
    }

    fn of(newest: Backlog, health: Arc<ExportHealth>) -> Self {
        let queue = Self {
            closed: AtomicBool::new(newest.phase != Phase::Open),
            full: AtomicBool::new(false),
            state: Mutex::new(State {
                newest,
                former: VecDeque::new(),
            }),
            wake: Notify::new(),
            abandon: Notify::new(),
            settled: Condvar::new(),
            health,
        };
        queue.show(&queue.lock());
        queue
    }

    /// Takes a span or drops it with a reason: the newest is dropped, those that wait were accepted.
    /// A span that is dropped costs no allocation. Inlined, and its size is told, because each hand that
    /// takes a span and looks at it copies half a kilobyte.
    #[inline]
    pub(super) fn push(&self, span: SpanData, bytes: usize) {
        let mut all = self.lock();
        let state = &mut all.newest;
        if state.phase != Phase::Open {
            return self.health.count_dropped(DropReason::AfterShutdown, 1);
        }
        if state.waiting.len() >= state.limits.items || state.bytes + bytes > state.limits.bytes {
            return self.health.count_dropped(DropReason::QueueFull, 1);
        }
        let had = (state.waiting.len(), state.bytes);
        state.waiting.push_back(span);
        state.sizes.push_back(bytes);
        state.bytes += bytes;
        state.accepted += 1;
        self.health.set_queue(state.waiting.len(), state.bytes);
        self.full.store(state.is_full(), Relaxed);
        let limits = state.limits;
        let filled =
            !limits.is_batch(had.0, had.1) && limits.is_batch(state.waiting.len(), state.bytes);
        drop(all);
        if had.0 == 0 || filled {
            self.wake.notify_one();
        }
    }

    /// Whether the next span of a usual size would most likely be taken. Each request asks, so it does not
    /// wait for the lock.
    pub(super) fn has_room(&self) -> bool {
        !self.closed.load(Relaxed) && !self.full.load(Relaxed)
    }

    /// The newest run.
    pub(super) fn newest(&self) -> RunId {
        self.lock().newest.run
    }

    /// Whether the newest run takes no span any more. Never waits: in a process that inherited the
    /// queue its lock may be held for ever, by a thread that was left behind.
    pub(super) fn was_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Closes the newest run; spans go to `run` from now on.
    pub(super) fn hand_over(&self, run: RunId, limits: Limits) {
        let next = Backlog::new(run, limits);
        let mut state = self.lock();
        let mut former = std::mem::replace(&mut state.newest, next);
        if former.phase != Phase::Stopped {
            former.close();
            state.former.push_back(former);
        }
        let too_many = state.former.len().saturating_sub(MAX_FORMER);
        for former in state.former.iter_mut().take(too_many) {
            former.give_up(&self.health, Phase::Abandoned);
        }
        self.closed.store(false, Relaxed);
        self.show(&state);
        drop(state);
        // All of them look again; none that waits takes what is meant for the newest.
        self.wake.notify_waiters();
        self.abandon.notify_waiters();
        self.settled.notify_all();
    }

    /// Holds the lock, as a thread that a fork left behind would.
    #[cfg(test)]
    pub(super) fn held(&self) -> impl Sized + '_ {
        self.lock()
    }

    /// Calls that wait for a flush or the shutdown of the newest run.
    #[cfg(test)]
    pub(super) fn waiting_calls(&self) -> u32 {
        self.lock().newest.waiting_calls
    }

    /// Runs that take no span any more and have not ended.
    #[cfg(test)]
    pub(super) fn former(&self) -> usize {
        self.lock().former.len()
    }

    /// What waits in all runs.
    fn show(&self, state: &State) {
        let newest = &state.newest;
        self.health.set_queue(newest.waiting.len(), newest.bytes);
        self.full.store(newest.is_full(), Relaxed);
        let former = state.former.iter();
        let (items, bytes) = former.fold((0, 0), |(items, bytes), it| {
            (items + it.waiting.len(), bytes + it.bytes)
        });
        self.health.set_former(items, bytes);
    }

    /// No code that can panic runs under this lock; were it poisoned, the state is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunQueue {
    pub(super) fn new(queue: Arc<Queue>, run: RunId) -> Self {
        Self { queue, run }
    }

    /// Whether the fate of every span that was taken is known.
    pub(super) fn is_settled(&self) -> bool {
        self.look(|it| it.done == it.accepted).unwrap_or(true)
    }

    /// Whether no span is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.look(|it| it.phase != Phase::Open).unwrap_or(true)
    }

    /// What the exporter should do now.
    pub(super) fn next(&self) -> Next {
        self.look(|it| it.next()).unwrap_or(Next::Stop)
    }

    /// Takes the oldest spans, up to one batch; they count as in flight until settled.
    pub(super) fn take_batch(&self) -> Vec<SpanData> {
        let mut state = self.queue.lock();
        let batch = state.run(self.run).map(Backlog::take_batch);
        self.queue.show(&state);
        batch.unwrap_or_default()
    }

    /// Settles the batch in flight: of its spans so many failed and were rejected, the others
    /// arrived. Does nothing when the shutdown has settled it already.
    pub(super) fn settle(&self, failed: u64, rejected: u64) {
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
    pub(super) fn settle_lost(&self) {
        self.settle(u64::MAX, 0);
    }

    /// Ends when there may be something new to do. To be made before [`next`](Self::next) is asked:
    /// what happens after that is not missed.
    pub(super) fn woken(&self) -> Notified<'_> {
        self.queue.wake.notified()
    }

    /// Sleeps until the shutdown gives up what is in flight.
    pub(super) async fn abandoned(&self) {
        loop {
            let abandoned = self.queue.abandon.notified();
            if self.look(|it| it.phase == Phase::Abandoned) != Some(false) {
                return;
            }
            abandoned.await;
        }
    }

    /// The exporter has left: nobody needs to wait any more.
    pub(super) fn stopped(&self) {
        let mut state = self.queue.lock();
        if let Some(backlog) = state.run(self.run) {
            backlog.give_up(&self.queue.health, Phase::Stopped);
            // Its room is not needed any more.
            backlog.waiting = VecDeque::new();
            backlog.sizes = VecDeque::new();
        }
        state.former.retain(|it| it.phase != Phase::Stopped);
        self.note_closed(&state);
        self.queue.show(&state);
        drop(state);
        self.queue.settled.notify_all();
    }

    /// Closes the run without waiting; what waits is still exported.
    pub(super) fn close(&self) {
        let mut state = self.queue.lock();
        if let Some(backlog) = state.run(self.run) {
            backlog.close();
        }
        self.note_closed(&state);
        drop(state);
        self.queue.wake.notify_waiters();
    }

    /// Exports what was taken until now; returns how many of those are not settled after `limit`.
    pub(super) fn flush(&self, limit: Duration) -> u64 {
        let target = self.look(|it| {
            it.flush_to = it.flush_to.max(it.accepted);
            it.accepted
        });
        let Some(target) = target else { return 0 };
        self.queue.wake.notify_waiters();
        self.wait(
            limit,
            |it| it.done < target && it.phase != Phase::Stopped,
            |it| target.saturating_sub(it.done),
        )
    }

    /// Closes the run and exports what it holds; returns how many spans are not settled after
    /// `limit`. They are given up then, unless another call still has time for them: the last one
    /// that has decides.
    pub(super) fn shutdown(&self, limit: Duration) -> u64 {
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
    ) -> u64 {
        let mut state = self.queue.lock();
        let Some(backlog) = state.run(self.run) else {
            return 0;
        };
        backlog.waiting_calls += 1;
        let open = |state: &mut State| state.run(self.run).is_some_and(|it| open(it));
        let waited = self.queue.settled.wait_timeout_while(state, limit, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(backlog) = state.run(self.run) else {
            return 0;
        };
        backlog.waiting_calls -= 1;
        let left = left(backlog);
        if backlog.waiting_calls == 0 && backlog.overdue && backlog.phase == Phase::Draining {
            backlog.give_up(&self.queue.health, Phase::Abandoned);
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

impl State {
    /// `None`: it has ended.
    fn run(&mut self, run: RunId) -> Option<&mut Backlog> {
        if self.newest.run == run {
            return Some(&mut self.newest);
        }
        self.former.iter_mut().find(|it| it.run == run)
    }
}

impl Backlog {
    fn new(run: RunId, limits: Limits) -> Self {
        Self {
            run,
            limits,
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
        }
    }

    fn over() -> Self {
        let none = Limits {
            items: 0,
            bytes: 0,
            batch: 0,
        };
        Self {
            phase: Phase::Stopped,
            ..Self::new(RunId::new(), none)
        }
    }

    /// Whether a span of a usual size would find no room.
    fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.items || self.bytes >= self.limits.bytes
    }

    fn next(&self) -> Next {
        match self.phase {
            Phase::Abandoned | Phase::Stopped => Next::Stop,
            Phase::Draining if self.waiting.is_empty() => Next::Stop,
            Phase::Draining => Next::Export,
            Phase::Open if self.waiting.is_empty() => Next::Idle,
            Phase::Open if self.flush_to > self.done => Next::Export,
            Phase::Open if self.limits.is_batch(self.waiting.len(), self.bytes) => Next::Export,
            Phase::Open => Next::Gather,
        }
    }

    fn take_batch(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::with_capacity(self.waiting.len().min(self.limits.batch));
        let mut taken = 0;
        while let Some(bytes) = self.sizes.front().copied()
            && batch.len() < self.limits.batch
            && (batch.is_empty() || taken + bytes <= BATCH_BYTES)
        {
            taken += bytes;
            self.sizes.pop_front();
            batch.extend(self.waiting.pop_front());
        }
        self.bytes -= taken;
        self.in_flight = batch.len() as u64;
        batch
    }

    fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
    }

    /// Counts all that is not settled as lost.
    fn give_up(&mut self, health: &ExportHealth, phase: Phase) {
        let lost = std::mem::take(&mut self.in_flight) + self.waiting.len() as u64;
        self.waiting.clear();
        self.sizes.clear();
        self.bytes = 0;
        self.done = self.accepted;
        self.phase = phase;
        health.count_dropped(DropReason::ExportFailed, lost);
    }
}

impl Limits {
    fn is_batch(&self, items: usize, bytes: usize) -> bool {
        items >= self.batch || bytes >= BATCH_BYTES.min(self.bytes)
    }
}
