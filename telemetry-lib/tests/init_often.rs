//! A process that starts and stops its telemetry again and again, as a plugin host or a pool of
//! workers does: nothing of a run may stay. One test: it takes the global places of the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use telemetry_lib::testing::{Exposition, FakeCollector};
use telemetry_lib::{Config, Telemetry};

const LIMIT: Duration = Duration::from_secs(60);
const ROUNDS: i64 = 1_000;

/// Counts what is allocated on any thread: a run is made on one and ends on another.
struct Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);

fn count(layout: Layout, sign: i64) {
    LIVE.fetch_add(sign * i64::try_from(layout.size()).unwrap_or(0), Relaxed);
}

#[expect(unsafe_code, reason = "no safe trait allocates")]
// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(layout, -1);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn init(collector: &FakeCollector) -> Telemetry {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        // A round is not to cost megabytes of room.
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16".to_owned()),
        ("OTEL_LOG_LEVEL", "off".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    telemetry_lib::init(Config::from_vars("often", variables)).unwrap()
}

/// A round, and the exported spans that `/metrics` shows in it.
fn round(collector: &FakeCollector, spans: bool) -> f64 {
    let telemetry = init(collector);
    if spans {
        tracing::info_span!("work").in_scope(|| ());
    }
    let report = telemetry.shutdown_blocking(LIMIT).traces;
    assert_eq!((report.failed, report.dropped.after_shutdown), (0, 0));
    let page = Exposition::scrape(&telemetry);
    assert_eq!(page.total("telemetry_span_queue_spans"), 0.0);
    page.total("telemetry_spans_exported_total")
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

#[test]
fn f27_a_thousand_inits_and_shutdowns_leave_nothing_behind() {
    let collector = FakeCollector::start();
    for number in 1..=20 {
        assert_eq!(round(&collector, true), f64::from(number));
    }
    // The collector keeps what it gets: spans only before and after.
    let (began, before) = (threads(), LIVE.load(Relaxed));
    for _ in 0..ROUNDS {
        assert_eq!(round(&collector, false), 20.0);
    }
    // The last threads may be at leaving still.
    let kept = (LIVE.load(Relaxed) - before) / ROUNDS;
    assert!(kept < 64, "{kept} bytes of each round are kept");
    assert!(threads() <= began + 8, "{} threads", threads());
    assert_eq!(round(&collector, true), 21.0, "counters never go back");
}
