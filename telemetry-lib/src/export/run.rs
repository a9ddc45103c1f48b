//! Runs of the export: each is a queue with the thread that empties it. A tracer provider keeps the
//! processor that it was built with, so a run that is over names the next one; and a process that
//! forked has a run of its own, for what it inherits is a queue without a thread.

use std::sync::{Arc, OnceLock};

use opentelemetry_sdk::Resource;

use super::queue::Queue;
use super::timer::Timer;
use super::worker::{Connect, Worker};
use super::{ExportConfig, ExportError, ExportHealth};
use crate::fork;

/// One run in one process, and those that take its place.
pub(super) struct Run {
    depth: u32,
    queue: Arc<Queue>,
    parts: Arc<Parts>,
    /// In a process that this one forks.
    child: OnceLock<Arc<Self>>,
    /// In this process.
    next: OnceLock<Arc<Self>>,
}

/// What a run is made of, and made of again.
pub(super) struct Parts {
    pub(super) config: ExportConfig,
    /// Who sends the spans: a child is another process.
    pub(super) resource: Box<dyn Fn() -> Resource + Send + Sync>,
    pub(super) health: Arc<ExportHealth>,
    pub(super) timer: Arc<dyn Timer>,
    pub(super) connect: Box<Connect>,
}

impl Run {
    /// A run whose thread has begun.
    pub(super) fn start(parts: Parts) -> Result<Arc<Self>, ExportError> {
        fork::count();
        let run = Self::new(Arc::new(parts));
        run.spawn()?;
        Ok(Arc::new(run))
    }

    fn new(parts: Arc<Parts>) -> Self {
        Self {
            depth: fork::depth(),
            queue: Arc::new(Queue::new(parts.config.limits(), Arc::clone(&parts.health))),
            parts,
            child: OnceLock::new(),
            next: OnceLock::new(),
        }
    }

    fn spawn(&self) -> Result<(), ExportError> {
        let queue = Arc::clone(&self.queue);
        Worker::new(queue, Arc::clone(&self.parts)).spawn()
    }

    /// The run that spans go to now. Costs one atomic read where none followed.
    #[inline]
    pub(super) fn newest(&self) -> &Self {
        let mut run = self;
        while let Some(next) = run.next.get() {
            run = next;
        }
        run
    }

    /// The queue of this run in this process; begins the run in a child.
    #[inline]
    pub(super) fn queue(&self) -> &Queue {
        self.here(Self::begun_in_child)
    }

    /// The same to end it: a child that had no span begins nothing for that.
    pub(super) fn queue_to_end(&self) -> &Queue {
        self.here(Self::over_in_child)
    }

    /// The queue if this process has one, so that there can be something in it.
    pub(super) fn queue_in_use(&self) -> Option<&Queue> {
        let mut run = self;
        while run.depth != fork::depth() {
            run = run.child.get()?;
        }
        Some(&run.queue)
    }

    /// Whether no span is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        let here = self.queue_in_use();
        here.map_or_else(|| self.queue.was_closed(), Queue::is_closed)
    }

    /// Closes this run; what came to it goes to `next` from now on.
    pub(super) fn hand_over(&self, next: &Arc<Self>) {
        // First where spans go, so that none meets a closed queue. A run hands over once; were it twice,
        // the first successor would be the right one.
        let _ = self.next.set(Arc::clone(next));
        self.queue_to_end().close();
    }

    #[inline]
    fn here(&self, make: fn(&Self) -> Self) -> &Queue {
        let mut run = self;
        while run.depth != fork::depth() {
            run = run.child.get_or_init(|| Arc::new(make(run)));
        }
        &run.queue
    }

    /// In a child whose parent was shut down, as little is exported as there.
    fn begun_in_child(&self) -> Self {
        if self.queue.was_closed() {
            return self.over_in_child();
        }
        let run = Self::new(Arc::clone(&self.parts));
        self.parts.health.set_queue(0, 0);
        if let Err(error) = run.spawn() {
            let parts = &self.parts;
            parts.health.tell(parts.timer.now(), &error);
            run.queue.stopped();
        }
        run
    }

    fn over_in_child(&self) -> Self {
        let run = Self::new(Arc::clone(&self.parts));
        run.queue.stopped();
        run
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("depth", &self.depth)
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}
