//! F27: many inits at once, as in the tests of a service. One test: it takes the global places of
//! the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use telemetry_lib::testing::{Exposition, FakeCollector};
use telemetry_lib::{Config, Telemetry};
use tower::ServiceExt;

const THREADS: usize = 8;

fn init(collector: &FakeCollector) -> Telemetry {
    let endpoint = (
        "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        collector.endpoint(),
    );
    telemetry_lib::init(Config::from_vars("parallel", [endpoint])).unwrap()
}

/// One request through a router of its own; returns how many requests this handle has counted.
fn serve(telemetry: &Telemetry, path: &str) -> f64 {
    let app = telemetry.instrument(Router::new().route(path, get(|| async {})));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = runtime.unwrap().block_on(app.oneshot(request)).unwrap();
    assert_eq!(answer.status(), 200);
    // The request ends with its body.
    drop(answer);
    let page = Exposition::scrape(telemetry);
    page.total("http_server_request_duration_seconds_count")
}

#[test]
fn f27_inits_in_parallel_all_give_a_handle_that_works() {
    let collector = FakeCollector::start();
    let barrier = Barrier::new(THREADS);
    let handles: Vec<Telemetry> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (barrier, collector) = (&barrier, &collector);
                scope.spawn(move || {
                    barrier.wait();
                    let telemetry = init(collector);
                    assert_eq!(serve(&telemetry, &format!("/{number}")), 1.0);
                    telemetry
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    // A child process is no fork of ours: it inherits neither threads nor locks.
    assert!(Command::new("true").status().unwrap().success());
    // Another handle, later, still works and shares the exporter.
    assert_eq!(serve(&init(&collector), "/late"), 1.0);

    let report = handles[0].shutdown_blocking(Duration::from_secs(60));
    assert_eq!(report.traces.exported as usize, THREADS + 1, "{report}");
    let names: BTreeSet<String> = collector
        .spans()
        .iter()
        .map(|span| span.name().to_owned())
        .collect();
    assert_eq!(names.len(), THREADS + 1, "{names:?}");
}
