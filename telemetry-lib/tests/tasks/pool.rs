//! A pool of threads as rayon's: whoever waits there for its jobs does others meanwhile, on the same
//! stack, on top of the spans that it has entered. It is made here because rayon would be a
//! dependency for this one test.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::TestTelemetry;
use tracing::{Span, info_span};

use super::one_thread::room;
use super::{parent_of, runtime};

const REQUESTS: usize = 16;
const PARTS: usize = 4;
const LEAVES: usize = 2;

type Job = Box<dyn FnOnce(&Pool) + Send>;

#[derive(Default)]
struct Pool {
    jobs: Mutex<VecDeque<Job>>,
    changed: Condvar,
}

impl Pool {
    /// Does `jobs`, those of others among them, and returns when the last one of its own is done.
    fn join(&self, jobs: impl IntoIterator<Item = Job>) {
        let left = Arc::new(AtomicUsize::new(0));
        for job in jobs {
            left.fetch_add(1, SeqCst);
            let left = Arc::clone(&left);
            let counted: Job = Box::new(move |pool: &Self| {
                job(pool);
                left.fetch_sub(1, SeqCst);
                // Under the lock, so that nobody is between its look and its wait.
                drop(pool.jobs.lock().unwrap());
                pool.changed.notify_all();
            });
            self.jobs.lock().unwrap().push_back(counted);
            self.changed.notify_all();
        }
        self.work_until(|| left.load(SeqCst) == 0);
    }

    fn work_until(&self, over: impl Fn() -> bool) {
        loop {
            let jobs = self.jobs.lock().unwrap();
            let mut jobs = self
                .changed
                .wait_while(jobs, |jobs| jobs.is_empty() && !over())
                .unwrap();
            if over() {
                return;
            }
            let job = jobs.pop_front();
            drop(jobs);
            job.unwrap()(self);
        }
    }
}

/// A job inside the span that is current here, as one is handed to rayon.
fn here(job: impl FnOnce(&Pool) + Send + 'static) -> Job {
    let span = Span::current();
    Box::new(move |pool: &Pool| span.in_scope(|| job(pool)))
}

fn leaf(request: usize, part: usize, leaf: usize) -> Job {
    here(move |_| {
        let name = format!("leaf {request}.{part}.{leaf}");
        info_span!("leaf", otel.name = name).in_scope(|| {});
    })
}

fn part(request: usize, part: usize) -> Job {
    here(move |pool| {
        let name = format!("part {request}.{part}");
        let _entered = info_span!("part", otel.name = name).entered();
        pool.join((0..LEAVES).map(|number| leaf(request, part, number)));
        info_span!("after", otel.name = format!("after {request}.{part}")).in_scope(|| {});
    })
}

fn request(number: usize) -> Job {
    let span = info_span!("request", otel.name = format!("request {number}"));
    span.in_scope(|| here(move |pool| pool.join((0..PARTS).map(|it| part(number, it)))))
}

#[test]
fn f39_a_pool_whose_threads_do_other_jobs_while_they_wait_keeps_them_apart() {
    // One thread does everything on one stack, in an order that is always the same.
    for threads in [1, 4] {
        let telemetry = TestTelemetry::start();
        let dispatch = telemetry.dispatch();
        let (pool, over) = (Pool::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| {
                    let _subscriber = tracing::dispatcher::set_default(&dispatch);
                    let before = room();
                    pool.work_until(|| over.load(SeqCst) > 0);
                    assert!(!Context::current().has_active_span());
                    assert_eq!(room(), before, "something stays attached");
                });
            }
            let before = room();
            pool.join((0..REQUESTS).map(request));
            over.store(1, SeqCst);
            drop(pool.jobs.lock().unwrap());
            pool.changed.notify_all();
            assert!(!Context::current().has_active_span());
            assert_eq!(room(), before, "something stays attached");
        });
        let runtime = runtime(&telemetry, 1);
        let spans = runtime.block_on(telemetry.spans());
        assert_eq!(spans.len(), REQUESTS * (1 + PARTS * (2 + LEAVES)));
        for number in 0..REQUESTS {
            for part in 0..PARTS {
                let name = format!("part {number}.{part}");
                assert_eq!(parent_of(&spans, &name), format!("request {number}"));
                let after = format!("after {number}.{part}");
                assert_eq!(parent_of(&spans, &after), name);
                for leaf in 0..LEAVES {
                    let leaf = format!("leaf {number}.{part}.{leaf}");
                    assert_eq!(parent_of(&spans, &leaf), name);
                }
            }
        }
    }
}
