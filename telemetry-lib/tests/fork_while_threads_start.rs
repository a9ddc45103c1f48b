//! F27: a fork while another thread starts or ends. The standard library then holds a lock that every new
//! thread takes, so that none ever runs in the child, the export's included: it must serve and log all the
//! same. One test: it takes the global places of the process.
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
use http_body_util::BodyExt;
use telemetry_lib::testing::FakeCollector;
use telemetry_lib::{Config, init};
use tower::ServiceExt;

const FORKS: usize = 400;
/// Some thread starts or ends at nearly every moment.
const STARTERS: usize = 8;

/// Ends the other threads also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

async fn serve(app: &Router) {
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

/// Drives what needs neither time nor input.
fn drive(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work);
}

#[test]
fn f27_a_child_in_which_no_thread_can_run_serves_and_logs() {
    let collector = FakeCollector::start();
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
    let config = Config::from_vars("starting", [(endpoint, collector.endpoint())]);
    let telemetry = init(config).unwrap();
    let route = get(|| async { tracing::info!("served") });
    let app = telemetry.instrument(Router::new().route("/", route));
    drive(serve(&app));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..STARTERS {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    thread::spawn(|| ()).join().unwrap();
                }
            });
        }
        let _stop = Stop(&stop);
        for _ in 0..FORKS {
            in_child(|| {
                drive(async {
                    serve(&app).await;
                    // What it cannot export is not waited for.
                    let _ = telemetry.shutdown(Duration::from_millis(1)).await;
                });
            });
        }
    });
    let report = telemetry.shutdown_blocking(Duration::from_secs(20)).traces;
    assert!(report.is_complete(), "{report:?}");
}
