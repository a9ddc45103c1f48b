//! F27: a fork while other threads are in the midst of everything. What they held stays locked in the
//! child, which must serve, log and end in time all the same. One test: it takes the global places of
//! the process. No thread starts or ends meanwhile, because then the standard library holds a lock that is
//! no subject here (`fork_while_threads_start`): the collector is another process, and the busy threads
//! wait for nothing.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod child;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
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
    fn start(collector: String) -> Self {
        let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
        let config = Config::from_vars("under-load", [(endpoint, collector)]);
        // What a flood has hidden is told by a thread of its own.
        let config = config.log_lines_per_second(0);
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
#[ignore = "the collector that the other test starts"]
fn collector() {
    let collector = FakeCollector::start();
    println!("listening {}", collector.endpoint());
    // Until it is killed, or whoever may do that has died.
    let _ = std::io::stdin().read(&mut [0]);
}

/// The collector, and where it is.
fn start_collector() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "collector", "--nocapture", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut endpoints = lines.filter_map(|line| {
        let line = line.unwrap();
        // The harness may have begun the line.
        Some(line.split_once("listening ")?.1.to_owned())
    });
    let endpoint = endpoints.next().expect("it says where it listens");
    (child, endpoint)
}

#[test]
fn f27_a_child_of_a_busy_process_serves_logs_and_ends_in_time() {
    let (mut collector, endpoint) = start_collector();
    let service = Service::start(endpoint);
    service.work();
    let stop = AtomicBool::new(false);
    let all_run = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                all_run.wait();
                while !stop.load(Relaxed) {
                    service.work();
                    service.telemetry.set_log_filter("info").unwrap();
                }
            });
        }
        let _stop = Stop(&stop);
        all_run.wait();
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
    collector.kill().unwrap();
    collector.wait().unwrap();
}
