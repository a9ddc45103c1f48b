//! A thread with a bounded queue. SQLite blocks, so it gets threads of its own; they end with
//! their handle.

use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::fault::Stopped;

/// A thread that takes jobs in order. Dropping it lets it finish what waits, and joins it.
pub(super) struct Worker<J> {
    jobs: Option<mpsc::Sender<J>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts a thread in whose queue `queue` jobs fit; callers wait while it is full.
    pub(super) fn start(
        name: &str,
        queue: usize,
        run: impl FnOnce(mpsc::Receiver<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(queue);
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || run(waiting))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Queues the job that `job` makes around the way back of its answer, and waits for that.
    pub(super) async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<T>) -> J,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Stopped)?;
        jobs.send(job(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook, and callers got `Stopped`.
            drop(thread.join());
        }
    }
}
