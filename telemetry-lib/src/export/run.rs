//! Runs of the export, one after the other: each is a queue with the thread that empties it. A tracer
//! provider keeps the processor that it was built with, so a run that is over names the next one.

use std::sync::{Arc, OnceLock};

use super::queue::Queue;

/// One run, and the one that took its place.
#[derive(Debug)]
pub(super) struct Run {
    queue: Arc<Queue>,
    next: OnceLock<Arc<Self>>,
}

impl Run {
    pub(super) fn new(queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            next: OnceLock::new(),
        })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
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

    /// Closes this run; what came to it goes to `next` from now on.
    pub(super) fn hand_over(&self, next: &Arc<Self>) {
        self.queue.close();
        // A run hands over once; were it twice, the first successor would be the right one.
        let _ = self.next.set(Arc::clone(next));
    }
}
