//! Threads that serve one connection after the other, and stay. The standard library holds a lock while a
//! thread starts or ends, and a process that is forked just then has a child in which none can run: tests
//! that fork would meet that, because their children's connections end with them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// Its threads end some time after it is dropped.
pub(super) struct Crew {
    jobs: mpsc::SyncSender<Job>,
    to_do: Arc<Mutex<mpsc::Receiver<Job>>>,
    /// Threads that have nothing to do and will be sent nothing.
    free: Arc<AtomicUsize>,
}

impl Crew {
    pub(super) fn new() -> Self {
        let (jobs, to_do) = mpsc::sync_channel(1);
        Self {
            jobs,
            to_do: Arc::new(Mutex::new(to_do)),
            free: Arc::default(),
        }
    }

    /// Has `job` done, at once.
    pub(super) fn give(&mut self, job: impl FnOnce() + Send + 'static) {
        // Nobody else takes one away.
        if self.free.load(Relaxed) > 0 {
            self.free.fetch_sub(1, Relaxed);
        } else {
            self.hire();
        }
        // A thread is there to take it; we hold the other end.
        let _ = self.jobs.send(Box::new(job));
    }

    fn hire(&self) {
        let (to_do, free) = (Arc::clone(&self.to_do), Arc::clone(&self.free));
        let next = move || {
            let to_do = to_do.lock().unwrap_or_else(PoisonError::into_inner);
            to_do.recv().ok()
        };
        thread::spawn(move || {
            while let Some(job) = next() {
                job();
                free.fetch_add(1, Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    /// Those that did so many jobs at once; they are free again some time after it.
    fn at_once(crew: &mut Crew, jobs: usize) -> Vec<ThreadId> {
        let (here, who) = mpsc::sync_channel(jobs);
        let all = Arc::new(std::sync::Barrier::new(jobs));
        for _ in 0..jobs {
            let (here, all) = (here.clone(), Arc::clone(&all));
            crew.give(move || {
                all.wait();
                here.send(thread::current().id()).expect("it is heard");
            });
        }
        who.iter().take(jobs).collect()
    }

    #[test]
    fn jobs_never_wait_for_each_other_and_threads_are_used_again() {
        let mut crew = Crew::new();
        let three = at_once(&mut crew, 3);
        while crew.free.load(Relaxed) < 3 {
            thread::yield_now();
        }
        let two = at_once(&mut crew, 2);
        assert!(two.iter().all(|id| three.contains(id)), "{two:?} {three:?}");
        at_once(&mut crew, 5);
    }
}
