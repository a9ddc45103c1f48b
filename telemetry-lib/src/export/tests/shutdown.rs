//! Ending the export from every place a service may end from (F29, F30).

use std::thread;

use opentelemetry_sdk::trace::SpanProcessor;

use super::*;
use crate::fork::tests::PRETENDED;
use crate::testing::{Answer, FakeCollector, Gate, closed_endpoint};

#[test]
fn f29_spans_that_ended_before_are_exported_and_later_ones_counted() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(700);
    let first = path.handle.shutdown_blocking(PATIENCE);
    path.spans(3);
    let second = path.handle.shutdown_blocking(PATIENCE);
    assert_eq!((first.exported, first.failed), (700, 0));
    assert_eq!((second.exported, second.dropped.after_shutdown), (700, 3));
    assert_eq!(collector.spans().len(), 700);
}

#[test]
fn f29_a_shutdown_under_load_loses_no_span_from_the_count() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| path.spans(500));
        }
        scope.spawn(|| path.handle.shutdown_blocking(PATIENCE));
        scope.spawn(|| path.handle.shutdown_blocking(PATIENCE));
    });
    let report = path.handle.shutdown_blocking(PATIENCE);
    let dropped = report.dropped;
    let counted = report.exported + dropped.after_shutdown + dropped.queue_full;
    assert_eq!(counted, 2_000, "{report:?}");
    assert_eq!(collector.spans().len() as u64, report.exported);
}

#[test]
fn f29_it_ends_on_a_busy_current_thread_runtime_without_a_timer() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let report = runtime.block_on(async { path.handle.shutdown(PATIENCE).await });
    assert_eq!(report.exported, 2);
}

#[test]
fn f29_it_ends_without_any_runtime() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    let mut shutdown = std::pin::pin!(path.handle.shutdown(PATIENCE));
    // A hand-made executor: this thread parks until it is woken.
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let report = loop {
        match shutdown.as_mut().poll(&mut context) {
            std::task::Poll::Ready(report) => break report,
            std::task::Poll::Pending => thread::park(),
        }
    };
    assert_eq!(report.exported, 2);
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn f29_blocking_it_inside_an_async_context_does_not_panic() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let report = runtime.block_on(async { path.handle.shutdown_blocking(PATIENCE) });
    assert_eq!(report.exported, 2);
}

#[test]
fn f30_a_retry_that_waits_does_not_hold_up_the_end() {
    let path = Path::with(ExportConfig::new(closed_endpoint()));
    path.timer.state.lock().unwrap().hurried.clear();
    path.spans(600);
    path.timer.wait_for(Wait::Backoff);
    let report = path.handle.shutdown_blocking(Duration::from_millis(1));
    assert_eq!((report.failed, report.dropped.export_failed), (600, 600));
}

/// Begins `call` on a thread of its own and returns once it waits.
fn waiting<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    path: &'scope Path,
    call: impl FnOnce() -> SignalReport + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, SignalReport> {
    let before = path.processor.queue().waiting_calls();
    let call = scope.spawn(call);
    while path.processor.queue().waiting_calls() == before {
        thread::yield_now();
    }
    call
}

#[test]
fn f29_the_shorter_limit_of_two_shutdowns_takes_no_time_from_the_longer() {
    let (collector, gate) = (FakeCollector::start(), Gate::closed());
    collector.always(Answer::ok().behind(&gate));
    let path = Path::to(collector.traces_endpoint());
    path.spans(600);
    thread::scope(|scope| {
        let longer = waiting(scope, &path, || path.handle.shutdown_blocking(PATIENCE));
        collector.wait_for_requests(1);
        let shorter = path.handle.shutdown_blocking(Duration::from_millis(1));
        assert_eq!((shorter.exported, shorter.failed), (0, 600));
        assert_eq!(shorter.dropped, Dropped::default(), "they are still tried");
        assert_eq!(shorter.waiting, 600);
        gate.open();
        let longer = longer.join().unwrap();
        assert_eq!((longer.exported, longer.failed), (600, 0));
    });
}

#[test]
fn f29_a_flush_keeps_its_time_when_a_shutdown_has_less() {
    let (collector, gate) = (FakeCollector::start(), Gate::closed());
    collector.always(Answer::ok().behind(&gate));
    let path = Path::to(collector.traces_endpoint());
    path.spans(4);
    thread::scope(|scope| {
        let flush = waiting(scope, &path, || path.flush());
        let shutdown = path.handle.shutdown_blocking(Duration::ZERO);
        assert_eq!((shutdown.failed, shutdown.dropped.export_failed), (4, 0));
        gate.open();
        let flush = flush.join().unwrap();
        assert_eq!((flush.exported, flush.failed), (4, 0));
    });
    let end = path.handle.shutdown_blocking(PATIENCE);
    assert_eq!((end.exported, end.failed), (4, 0));
}

#[test]
fn f29_what_no_call_has_time_for_is_given_up_by_the_last() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let path = Path::to(collector.traces_endpoint());
    path.spans(600);
    let limits = [1, 20, 40].map(Duration::from_millis);
    let reports = thread::scope(|scope| {
        limits
            .map(|limit| {
                let handle = &path.handle;
                scope.spawn(move || handle.shutdown_blocking(limit))
            })
            .map(|call| call.join().unwrap())
    });
    assert!(
        reports
            .iter()
            .all(|it| it.failed == 600 || it.dropped.export_failed == 600)
    );
    let end = path.handle.shutdown_blocking(PATIENCE);
    assert_eq!((end.failed, end.dropped.export_failed), (0, 600));
}

#[test]
fn a_flush_that_is_cut_short_says_what_is_still_queued() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let path = Path::to(collector.traces_endpoint());
    path.spans(4);
    let report = path.handle.flush_blocking(Duration::ZERO);
    assert_eq!((report.failed, report.dropped), (4, Dropped::default()));
}

#[test]
fn the_tracer_provider_stays_usable_after_the_end() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.handle.shutdown_blocking(PATIENCE);
    let span = path.provider.tracer("test").start("late");
    assert!(span.span_context().is_valid(), "propagation must go on");
}

#[test]
fn dropping_the_handle_lets_the_thread_finish_and_leave() {
    let collector = FakeCollector::start();
    let (notices, _) = recorded();
    let health = ExportHealth::new(notices);
    let config = ExportConfig::new(collector.traces_endpoint());
    let (processor, handle) = start(config, resource, Arc::clone(&health)).unwrap();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor.clone())
        .build();
    provider.tracer("test").start("last").end();
    drop(handle);
    assert_eq!(collector.wait_for_spans(1)[0].name(), "last");
    assert!(processor.shutdown_with_timeout(PATIENCE).is_ok());
    assert_eq!(health.exported(), 1);
}

#[test]
fn a_wrong_endpoint_is_an_error_at_the_start() {
    for endpoint in ["", "collector:4318", "ftp://collector", "http://"] {
        let (notices, _) = recorded();
        let error = start(
            ExportConfig::new(endpoint),
            resource,
            ExportHealth::new(notices),
        );
        let error = error.err().map(|error| error.to_string());
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL";
        assert_eq!(error.as_deref(), Some(expected), "{endpoint}");
    }
}

#[test]
fn f27_a_lock_that_was_held_at_the_fork_holds_up_no_child() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(1);
    let left_behind = path.processor.queue().held();
    PRETENDED.set(Some(1));
    path.spans(2);
    let report = path.handle.shutdown_blocking(PATIENCE);
    path.spans(3);
    PRETENDED.set(None);
    drop(left_behind);
    assert_eq!((report.exported, report.failed), (2, 0));
    assert_eq!(path.health.dropped(DropReason::AfterShutdown), 3);
    let parent = path.handle.shutdown_blocking(PATIENCE);
    assert_eq!((parent.exported, parent.failed), (3, 0));
}
