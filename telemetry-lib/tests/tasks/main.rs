//! How context crosses tasks, threads and channels (F39), each the way that the README advises:
//! parents are compared by id, in what the collector received.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod load;
mod one_thread;
mod pool;

use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet, spawn_blocking};
use tracing::{Instrument, Span, info_span, instrument};

/// A runtime whose threads, those for blocking work too, have the test's subscriber.
fn runtime(telemetry: &TestTelemetry, workers: usize) -> Runtime {
    let dispatch = telemetry.dispatch();
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        // The thread ends with the runtime; its subscriber need not be taken off before.
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
        .build()
        .unwrap()
}

/// Runs `work` on two workers and gives the spans.
fn spans_of<F>(work: impl FnOnce() -> F) -> Vec<ReceivedSpan>
where
    F: Future<Output = ()> + Send + 'static,
{
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "20000"); // of these none may be dropped
    let telemetry = TestTelemetry::configured(&[queue], |config| config);
    let runtime = runtime(&telemetry, 2);
    let work = work();
    runtime.block_on(async { tokio::spawn(work).await.unwrap() });
    runtime.block_on(telemetry.spans())
}

#[track_caller]
fn parent_of<'s>(spans: &'s [ReceivedSpan], name: &str) -> &'s str {
    let named = |name: &str| spans.iter().find(|it| it.name() == name);
    let child = named(name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    let parent = child.parent_span_id();
    let found = spans.iter().find(|it| it.span_id() == parent);
    found.map_or("", ReceivedSpan::name)
}

#[instrument(skip_all)]
async fn step() {
    tokio::task::yield_now().await;
}

/// Two branches, of which `select!` drops one in the midst of its span.
async fn won_and_lost() {
    tokio::select! {
        biased;
        () = async {
            step().await;
            std::future::pending::<()>().await;
        }.instrument(info_span!("lost")) => {}
        () = step().instrument(info_span!("won")) => {}
    }
}

#[test]
fn f39_a_spawned_task_belongs_to_the_span_that_it_is_given_and_to_none_otherwise() {
    let spans = spans_of(|| async {
        let given = async {
            info_span!("given").in_scope(|| {});
            step().await;
        };
        let alone = async { info_span!("alone").in_scope(|| {}) };
        let order = info_span!("order");
        let (given, alone) = order.in_scope(|| {
            let given = tokio::spawn(given.in_current_span());
            (given, tokio::spawn(alone))
        });
        drop(order);
        given.await.unwrap();
        alone.await.unwrap();
    });
    assert_eq!(parent_of(&spans, "given"), "order");
    assert_eq!(parent_of(&spans, "step"), "order");
    assert_eq!(
        parent_of(&spans, "alone"),
        "",
        "that is why the README says so"
    );
}

#[test]
fn f39_blocking_work_enters_the_span_that_it_takes_along() {
    let spans = spans_of(|| {
        async {
            let span = Span::current();
            let hash = spawn_blocking(move || span.in_scope(|| info_span!("hash").in_scope(|| {})));
            hash.await.unwrap();
        }
        .instrument(info_span!("order"))
    });
    assert_eq!(parent_of(&spans, "hash"), "order");
}

#[test]
fn f39_a_thread_of_its_own_takes_the_subscriber_along_too() {
    let telemetry = TestTelemetry::start();
    let order = info_span!("order").entered();
    let (span, dispatch) = (Span::current(), telemetry.dispatch());
    let thread = std::thread::spawn(move || {
        let _subscriber = tracing::dispatcher::set_default(&dispatch);
        span.in_scope(|| info_span!("rayon").in_scope(|| {}));
        Context::current().has_active_span()
    });
    assert!(
        !thread.join().unwrap(),
        "nothing is left behind on the thread"
    );
    drop(order);
    let runtime = runtime(&telemetry, 1);
    let spans = runtime.block_on(telemetry.spans());
    assert_eq!(parent_of(&spans, "rayon"), "order");
}

#[test]
fn f39_each_task_of_a_join_set_has_its_own_span() {
    let spans = spans_of(|| async {
        let mut set = JoinSet::new();
        for number in 0..100 {
            let part = info_span!("part", otel.name = format!("part {number}"));
            let work = async move {
                step().await;
                info_span!("inner", otel.name = format!("inner {number}")).in_scope(|| {});
            };
            set.spawn(work.instrument(part));
        }
        assert_eq!(set.join_all().await.len(), 100);
    });
    for number in 0..100 {
        assert_eq!(
            parent_of(&spans, &format!("inner {number}")),
            format!("part {number}")
        );
        assert_eq!(parent_of(&spans, &format!("part {number}")), "");
    }
}

#[test]
fn f39_a_channel_carries_the_span_beside_the_value() {
    let spans = spans_of(|| async {
        let (sender, mut receiver) = mpsc::channel::<(u32, Span)>(8);
        let worker = async move {
            while let Some((number, span)) = receiver.recv().await {
                let packed = format!("packed {number}");
                let work = async { info_span!("work", otel.name = packed).in_scope(|| {}) };
                work.instrument(span).await;
            }
        };
        let worker = tokio::spawn(worker.instrument(info_span!("worker")));
        for number in 0..3 {
            let order = info_span!("order", otel.name = format!("order {number}"));
            let sent = async { sender.send((number, Span::current())).await };
            sent.instrument(order).await.unwrap();
        }
        drop(sender);
        worker.await.unwrap();
    });
    for number in 0..3 {
        assert_eq!(
            parent_of(&spans, &format!("packed {number}")),
            format!("order {number}")
        );
    }
}

#[test]
fn f39_a_branch_that_select_drops_leaves_no_context_behind() {
    let spans = spans_of(|| {
        async {
            for _ in 0..1_000 {
                won_and_lost().await;
            }
            info_span!("after").in_scope(|| {});
        }
        .instrument(info_span!("order"))
    });
    assert_eq!(parent_of(&spans, "after"), "order");
    let order = spans.iter().find(|it| it.name() == "order").unwrap();
    for name in ["lost", "won"] {
        let children = spans.iter().filter(|it| it.name() == name);
        let children: Vec<_> = children.map(ReceivedSpan::parent_span_id).collect();
        assert_eq!(children.len(), 1_000, "{name}");
        assert!(children.iter().all(|it| *it == order.span_id()), "{name}");
    }
}

#[test]
fn f39_local_tasks_and_a_second_runtime_keep_to_their_spans() {
    let telemetry = TestTelemetry::start();
    let (near, far) = (runtime(&telemetry, 1), runtime(&telemetry, 1));
    let local = LocalSet::new();
    let order = info_span!("order");
    let outer = async {
        let here = tokio::task::spawn_local(
            async { info_span!("local").in_scope(|| {}) }.in_current_span(),
        );
        let there = far.spawn(async { info_span!("elsewhere").in_scope(|| {}) }.in_current_span());
        here.await.unwrap();
        there.await.unwrap();
    };
    near.block_on(local.run_until(outer.instrument(order)));
    let spans = near.block_on(telemetry.spans());
    assert_eq!(parent_of(&spans, "local"), "order");
    assert_eq!(parent_of(&spans, "elsewhere"), "order");
    assert!(!Context::current().has_active_span());
}
