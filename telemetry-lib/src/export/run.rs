//! The runs of the export, one after the other: each has a thread that empties the queue of what came
//! while it was the newest. A tracer provider keeps the processor that it was built with, so the queue
//! stays and the runs change; and a process that forked has a queue of its own, for what it inherits
//! is one without a thread.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, TryLockError};

use opentelemetry_sdk::Resource;

use super::queue::{Queue, RunId, RunQueue};
use super::timer::Timer;
use super::worker::{Connect, Worker};
use super::{ExportConfig, ExportError, ExportHealth};
use crate::fork;

/// The runs in one process, and in those that it forks.
pub(super) struct Runs {
    depth: u32,
    queue: Arc<Queue>,
    health: Arc<ExportHealth>,
    /// Of which the newest run is made; `None` if there was none in this process.
    newest: RwLock<Option<Newest>>,
    /// In a process that this one forks.
    child: OnceLock<Arc<Self>>,
}

type Newest = (RunId, Arc<Parts>);

/// What a run is made of, and made of again.
pub(super) struct Parts {
    pub(super) config: ExportConfig,
    /// Who sends the spans: a child is another process.
    pub(super) resource: Box<dyn Fn() -> Resource + Send + Sync>,
    pub(super) health: Arc<ExportHealth>,
    pub(super) timer: Arc<dyn Timer>,
    pub(super) connect: Box<Connect>,
}

impl Parts {
    /// Why spans are lost.
    pub(super) fn tell(&self, why: &dyn std::fmt::Display) {
        let endpoint = &self.config.endpoint;
        self.health.tell(self.timer.now(), endpoint, why);
    }
}

impl Runs {
    /// A first run, whose thread has begun.
    pub(super) fn start(parts: Parts) -> Result<(Arc<Self>, RunId), ExportError> {
        fork::count();
        let first = (RunId::new(), Arc::new(parts));
        let runs = Self::of(first.clone());
        runs.worker_of(&first).spawn()?.tell();
        Ok((Arc::new(runs), first.0))
    }

    /// Another run, which takes the place of the newest one in this process. If it cannot begin, that
    /// one stays.
    pub(super) fn follow(&self, parts: Parts) -> Result<RunId, ExportError> {
        let runs = self.here(Self::over_in_child);
        let newest = (RunId::new(), Arc::new(parts));
        let begun = runs.worker_of(&newest).spawn()?;
        let run = newest.0;
        let limits = newest.1.config.limits();
        *runs.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(newest);
        runs.queue.hand_over(run, limits);
        begun.tell();
        Ok(run)
    }

    /// The queue of this process; begins a run in a child.
    #[inline]
    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.here(Self::begun_in_child).queue
    }

    /// The same to end it: a child that had no span begins nothing for that.
    pub(super) fn queue_to_end(&self) -> &Arc<Queue> {
        &self.here(Self::over_in_child).queue
    }

    /// The queue if this process has one, so that there can be something in it.
    pub(super) fn queue_in_use(&self) -> Option<&Arc<Queue>> {
        let mut runs = self;
        while runs.depth != fork::depth() {
            runs = runs.child.get()?;
        }
        Some(&runs.queue)
    }

    /// Whether the newest run takes no span any more, in the process that began these.
    pub(super) fn was_closed(&self) -> bool {
        self.queue.was_closed()
    }

    fn of(newest: Newest) -> Self {
        let (run, parts) = &newest;
        let health = Arc::clone(&parts.health);
        Self {
            depth: fork::depth(),
            queue: Arc::new(Queue::new(*run, parts.config.limits(), Arc::clone(&health))),
            health,
            newest: RwLock::new(Some(newest)),
            child: OnceLock::new(),
        }
    }

    /// What the thread of a run is to do.
    fn worker_of(&self, (run, parts): &Newest) -> Worker {
        let queue = RunQueue::new(Arc::clone(&self.queue), *run);
        Worker::new(queue, Arc::clone(parts))
    }

    #[inline]
    fn here(&self, make: fn(&Self) -> Self) -> &Self {
        let mut runs = self;
        while runs.depth != fork::depth() {
            runs = runs.child.get_or_init(|| Arc::new(make(runs)));
        }
        runs
    }

    /// In a child whose parent was shut down, as little is exported as there.
    fn begun_in_child(&self) -> Self {
        if self.queue.was_closed() {
            return self.over_in_child();
        }
        // Whoever was just exchanging it was left behind, and holds it for ever.
        let newest = match self.newest.try_read() {
            Ok(newest) => Option::clone(&newest),
            Err(TryLockError::Poisoned(newest)) => Option::clone(newest.get_ref()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(newest) = newest else {
            return self.over_in_child();
        };
        let runs = Self::of(newest.clone());
        if let Err(error) = runs.worker_of(&newest).spawn_in_child() {
            let (run, parts) = newest;
            parts.tell(&error);
            RunQueue::new(Arc::clone(&runs.queue), run).stopped();
        }
        runs
    }

    fn over_in_child(&self) -> Self {
        Self {
            depth: fork::depth(),
            queue: Arc::new(Queue::over(Arc::clone(&self.health))),
            health: Arc::clone(&self.health),
            newest: RwLock::new(None),
            child: OnceLock::new(),
        }
    }
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs")
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}
