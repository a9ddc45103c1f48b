//! Collectors that are away or silent, memory that is short, panics on the thread (F01, F02, F08, F11,
//! F20, F36, F44).

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use opentelemetry_sdk::trace::{SpanData, SpanProcessor};

use super::super::retry::Answer as Reply;
use super::super::transport::AttemptError;
use super::*;
use crate::testing::{Answer, FakeCollector, closed_endpoint};

#[test]
fn f01_every_span_for_a_closed_port_is_counted_under_its_reason() {
    let path = Path::to(closed_endpoint());
    path.spans(10_000);
    let report = path.handle.shutdown_blocking(PATIENCE);
    path.spans(10);
    let dropped = path.handle.shutdown_blocking(PATIENCE).dropped;
    assert_eq!(report.exported, 0);
    assert_eq!(dropped.queue_full + dropped.export_failed, 10_000);
    assert!(dropped.export_failed >= 2_048, "{dropped:?}");
    assert_eq!((dropped.rejected, dropped.after_shutdown), (0, 10));
    let retries = path.timer.waits(Wait::Backoff).len() as u64;
    assert_eq!(path.health.retries(), retries);
}

#[test]
fn f01_the_operator_hears_once_in_thirty_seconds() {
    let path = Path::to(closed_endpoint());
    for _ in 0..20 {
        path.spans(1);
        path.flush();
    }
    let minutes = path.timer.now().as_secs() / 30;
    let notices = path.notices();
    assert!(
        notices.len() as u64 <= minutes + 1,
        "{} in {minutes}",
        notices.len()
    );
    assert!(
        notices[0].contains("the collector cannot be reached"),
        "{}",
        notices[0]
    );
    assert!(notices[1].contains("export_failed="), "{}", notices[1]);
}

#[test]
fn f01_the_operator_hears_where_the_spans_should_go_without_a_secret_and_what_to_do() {
    let endpoint = closed_endpoint();
    let secret = endpoint.replace("://", "://user:hunter2@") + "?token=hunter2";
    let path = Path::to(secret);
    path.spans(1);
    path.flush();
    let notice = &path.notices()[0];
    let begin = format!("spans are not exported to {endpoint}: the collector cannot be reached");
    assert!(notice.starts_with(&begin), "{notice}");
    assert!(notice.contains("telemetry.doctor()"), "{notice}");
    assert!(!notice.contains("hunter2"), "{notice}");
}

#[test]
fn f01_the_retries_that_are_counted_are_those_that_the_collector_sees() {
    let collector = FakeCollector::start();
    collector.always(Answer::close());
    let path = Path::to(collector.traces_endpoint());
    path.spans(3);
    assert_eq!(path.flush().dropped.export_failed, 3);
    assert_eq!(collector.requests().len() as u64, 1 + path.health.retries());
    assert!(path.health.retries() >= 3);
}

#[test]
fn f08_a_connection_that_is_cut_is_made_anew_and_costs_no_span() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    assert_eq!(path.flush().exported, 2);
    for _ in 0..3 {
        collector.next(Answer::close());
        path.spans(2);
        path.flush();
    }
    let report = path.flush();
    assert_eq!((report.exported, report.failed), (8, 0));
    assert_eq!(collector.spans().len(), 8, "what was cut had not arrived");
    assert_eq!(path.health.retries(), 3);
}

#[test]
fn f02_a_black_hole_costs_the_attempts_time_and_fills_the_queue() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let mut config = ExportConfig::new(collector.traces_endpoint());
    config.queue_items = 100;
    config.batch = 10;
    let path = Path::with(config);
    path.spans(10);
    collector.wait_for_requests(1);
    path.timer.wait_for(Wait::Attempt);
    path.spans(150);
    assert_eq!(path.health.dropped(DropReason::QueueFull), 50);
    path.timer.hurry(Wait::Attempt);
    let report = path.flush();
    assert_eq!((report.exported, report.dropped.export_failed), (0, 110));
    let attempts = path.timer.waits(Wait::Attempt);
    assert_eq!(attempts[0], Duration::from_secs(10));
    let longest = attempts.iter().max();
    assert_eq!(longest, Some(&Duration::from_secs(10)));
}

#[test]
fn f02_all_attempts_of_a_batch_together_keep_their_limit() {
    for (total, attempts_at_least) in [(60, 4), (25, 2), (3, 1)] {
        let collector = FakeCollector::start();
        collector.always(Answer::hang());
        let mut config = ExportConfig::new(collector.traces_endpoint());
        config.total = Duration::from_secs(total);
        let path = Path::with(config);
        path.timer.hurry(Wait::Attempt);
        path.spans(1);
        assert_eq!(path.flush().dropped.export_failed, 1);
        let attempts = path.timer.waits(Wait::Attempt);
        let waits = path.timer.waits(Wait::Backoff);
        let spent = attempts.iter().chain(&waits).sum::<Duration>();
        assert!(
            spent <= Duration::from_secs(total),
            "{attempts:?} {waits:?}"
        );
        assert!(attempts.len() >= attempts_at_least, "{attempts:?}");
    }
}

#[test]
fn f02_a_shutdown_into_a_black_hole_ends_at_its_limit_and_says_what_is_lost() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let path = Path::to(collector.traces_endpoint());
    path.spans(600);
    collector.wait_for_requests(1);
    let report = path.handle.shutdown_blocking(Duration::ZERO);
    assert_eq!((report.failed, report.dropped.export_failed), (600, 600));
    assert_eq!(
        path.handle
            .shutdown_blocking(PATIENCE)
            .dropped
            .export_failed,
        600
    );
}

#[test]
fn f11_the_queue_is_bounded_in_bytes_and_not_only_in_spans() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let mut config = ExportConfig::new(collector.traces_endpoint());
    config.queue_bytes = 1024 * 1024;
    let path = Path::with(config);
    let tracer = path.provider.tracer("test");
    for _ in 0..100 {
        let mut span = tracer.start("large");
        span.set_attribute(KeyValue::new("text", "x".repeat(64 * 1024)));
        span.end();
        assert!(path.health.queue_bytes() <= 1024 * 1024);
    }
    let dropped = path.health.dropped(DropReason::QueueFull);
    assert!((67..=100).contains(&dropped), "{dropped}");
    assert!(!path.processor.has_room() || path.health.queue_items() < 16);
}

/// A queue that is closed has the same path as one that is full.
#[test]
fn f44_dropping_a_span_allocates_nothing() {
    let mut config = ExportConfig::new(closed_endpoint());
    config.queue_items = 1;
    config.batch = 1;
    let path = Path::with(config);
    let prepared: Vec<SpanData> = spare_spans(2);
    path.handle.shutdown_blocking(Duration::ZERO);
    let allocated = allocation_counter::measure(|| {
        for span in prepared {
            path.processor.on_end(span);
        }
    });
    assert_eq!(path.health.dropped(DropReason::AfterShutdown), 2);
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn f44_dropping_a_span_from_a_full_queue_allocates_nothing() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let mut config = ExportConfig::new(collector.traces_endpoint());
    config.queue_items = 1;
    config.batch = 1;
    let path = Path::with(config);
    path.spans(1);
    collector.wait_for_requests(1);
    path.spans(1);
    let prepared = spare_spans(100);
    let allocated = allocation_counter::measure(|| {
        for span in prepared {
            path.processor.on_end(span);
        }
    });
    assert_eq!(path.health.dropped(DropReason::QueueFull), 100);
    assert_eq!(allocated.count_total, 0);
}

/// Finished spans that no processor has taken.
fn spare_spans(count: usize) -> Vec<SpanData> {
    #[derive(Debug, Clone, Default)]
    struct Keep(Arc<Mutex<Vec<SpanData>>>);
    impl SpanProcessor for Keep {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}
        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }
        fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> opentelemetry_sdk::error::OTelSdkResult {
            Ok(())
        }
    }
    let keep = Keep::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(keep.clone())
        .build();
    let tracer = provider.tracer("test");
    for _ in 0..count {
        tracer.start("spare").end();
    }
    std::mem::take(&mut *keep.0.lock().unwrap())
}

/// A way to the collector that misbehaves in the process instead of on the network.
#[derive(Debug)]
struct Wild {
    network: Network,
    sent: Arc<AtomicUsize>,
    deed: fn(usize),
}

impl Transport for Wild {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> BoxFuture<'_, Result<Reply, AttemptError>> {
        (self.deed)(self.sent.fetch_add(1, SeqCst));
        self.network.send(request)
    }
}

fn wild(collector: &FakeCollector, deed: fn(usize)) -> (Path, Arc<AtomicUsize>) {
    let built = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicUsize::new(0));
    let endpoint: Uri = collector.traces_endpoint().parse().unwrap();
    let count = Arc::clone(&built);
    let config = ExportConfig::new(collector.traces_endpoint());
    let path = Path::over(config, move || {
        count.fetch_add(1, SeqCst);
        let network = Network::new(&endpoint, &TlsFiles::default())?;
        let sent = Arc::clone(&sent);
        Ok(Arc::new(Wild {
            network,
            sent,
            deed,
        }) as Arc<dyn Transport>)
    });
    (path, built)
}

#[test]
fn f20_a_panic_on_the_export_thread_costs_one_batch_and_the_exporter_is_built_anew() {
    let collector = FakeCollector::start();
    let (path, built) = wild(&collector, |request| {
        assert_ne!(request, 1, "scripted panic")
    });
    for expected in [(1, 0, 0), (1, 1, 1), (2, 1, 1)] {
        path.spans(1);
        let report = path.flush();
        let seen = (
            report.exported,
            report.dropped.export_failed,
            path.health.panics(),
        );
        assert_eq!(seen, expected);
    }
    assert_eq!(built.load(SeqCst), 2);
    assert!(
        path.notices()[0].contains("panicked"),
        "{:?}",
        path.notices()
    );
}

#[test]
fn f36_what_happens_on_the_export_thread_makes_no_telemetry() {
    let collector = FakeCollector::start();
    let (path, _) = wild(&collector, |_| {
        assert!(on_export_thread());
        opentelemetry::global::tracer("feedback")
            .start("about telemetry")
            .end();
    });
    opentelemetry::global::set_tracer_provider(path.provider.clone());
    path.spans(2);
    path.flush();
    let report = path.flush();
    opentelemetry::global::set_tracer_provider(SdkTracerProvider::default());
    assert_eq!(report.exported, 2);
    assert_eq!(report.dropped, Dropped::default());
    assert!(!on_export_thread());
}
