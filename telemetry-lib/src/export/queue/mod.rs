//! The bounded queue between the threads that end spans and the ones that export them. It decides
//! what is taken, what is dropped and when an exporter has something to do; it never waits inside
//! a request and knows nothing of the network.
//!
//! Spans go to the newest run. The runs before it, which still export what they took, stand beside it
//! under the same lock until their thread has left, so that no number of runs costs a span anything.

mod backlog;
mod run_queue;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Notify;

use self::backlog::{Backlog, Phase};
pub(super) use self::backlog::{Limits, Next, RunId};
pub(super) use self::run_queue::RunQueue;
use super::health::{DropReason, ExportHealth};

/// Runs that may still export after another took their place. Each has a thread, and what it took.
const MAX_FORMER: usize = 4;

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

#[derive(Debug)]
struct State {
    /// The run that spans go to.
    newest: Backlog,
    /// Older ones whose exporters have not left.
    former: VecDeque<Backlog>,
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

impl State {
    /// `None`: it has ended.
    fn run(&mut self, run: RunId) -> Option<&mut Backlog> {
        if self.newest.run == run {
            return Some(&mut self.newest);
        }
        self.former.iter_mut().find(|it| it.run == run)
    }
}
