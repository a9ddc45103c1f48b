//! F27: a fork while other threads are in the midst of everything. What they held stays locked in the
//! child, which must serve, log and end in time all the same. One test: it takes the global places of
//! the process.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod child;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use child::in_child;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use telemetry_lib::prometheus::{Histogram, HistogramOpts};
use telemetry_lib::testing::FakeCollector;
use telemetry_lib::{Config, Exemplars, Telemetry};
use tower::ServiceExt;

const LIMIT: Duration = Duration::from_secs(20);
const FORKS: usize = 60;
const THREADS: usize = 4;

/// What a service does all day, with all that has a lock of ours.
#[derive(Clone)]
struct Service {
    telemetry: Telemetry,
    app: Router,
    marks: Exemplars,
}

impl Service {
    fn start(collector: &FakeCollector) -> Self {
        let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
        let config = Config::from_vars("under-load", [(endpoint, collector.endpoint())]);
        let telemetry = telemetry_lib::init(config).unwrap();
        let marks = Exemplars::default();
        telemetry.collect_exemplars(marks.clone());
        let route = get(|| async { tracing::info!("served") });
        Self {
            app: telemetry.instrument(Router::new().route("/", route)),
            telemetry,
            marks,
        }
    }

    fn work(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = self.app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
            let _ = self.telemetry.flush(Duration::ZERO).await;
        });
        tracing::info!("worked");
        // That crate has locks of its own, which a child may find held: one that is shared is no
        // subject here.
        let sizes = Histogram::with_opts(HistogramOpts::new("sizes", "Of things.")).unwrap();
        let labels = [("job_id", "7")];
        self.marks.mark(&sizes, 1.0, &labels, std::time::UNIX_EPOCH);
        let page = self
            .telemetry
            .answer(&Method::GET, "/metrics", &HeaderMap::new());
        assert_eq!(page.unwrap().status(), 200);
    }
}

/// Ends the other threads also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn f27_a_child_of_a_busy_process_serves_logs_and_ends_in_time() {
    let collector = FakeCollector::start();
    let service = Service::start(&collector);
    service.work();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    service.work();
                    service.telemetry.set_log_filter("info").unwrap();
                }
            });
        }
        let _stop = Stop(&stop);
        for _ in 0..FORKS {
            in_child(|| {
                service.work();
                let report = service.telemetry.shutdown_blocking(LIMIT).traces;
                assert_eq!(report.failed, 0, "{report:?}");
            });
        }
    });
    let report = service.telemetry.shutdown_blocking(LIMIT).traces;
    assert_eq!(report.failed, 0);
}
