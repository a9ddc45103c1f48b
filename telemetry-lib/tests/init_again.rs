//! Handles that come and go in one process: none ends the export of another, and the first that
//! comes when nobody is there begins it anew. One test: it takes the global places of the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::time::Duration;

use telemetry_lib::testing::FakeCollector;
use telemetry_lib::{Config, InitError, Telemetry};

const LIMIT: Duration = Duration::from_secs(60);

fn config(endpoint: String) -> Config {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint);
    Config::from_vars("again", [endpoint])
}

fn init(collector: &FakeCollector) -> Telemetry {
    telemetry_lib::init(config(collector.endpoint())).unwrap()
}

fn span() {
    tracing::info_span!("work").in_scope(|| ());
}

#[test]
fn f27_export_ends_with_the_last_handle_and_begins_anew_with_the_next() {
    let [one, two, three] = [(); 3].map(|()| FakeCollector::start());
    let first = init(&one);
    let second = init(&two);
    span();
    let report = second.shutdown_blocking(LIMIT).traces;
    assert_eq!(report.exported, 1, "what was queued left");
    span();
    let report = first.shutdown_blocking(LIMIT).traces;
    assert_eq!((report.exported, report.dropped.after_shutdown), (2, 0));
    span();
    for ended in [&first, &second] {
        let report = ended.shutdown_blocking(LIMIT).traces;
        assert_eq!((report.exported, report.dropped.after_shutdown), (2, 1));
    }

    let third = init(&two);
    span();
    let report = first.shutdown_blocking(LIMIT).traces;
    assert_eq!(report.exported, 3, "who has left ends nothing any more");
    span();
    drop(third);
    assert_eq!(two.spans().len(), 2, "the last one sends what is queued");

    // Nobody is there, though nobody shut down: spans still leave until somebody says where to.
    span();
    let fourth = init(&three);
    assert_eq!(two.wait_for_spans(3).len(), 3);
    span();
    let report = fourth.shutdown_blocking(LIMIT).traces;
    assert_eq!(report.dropped.after_shutdown, 1, "none since");
    assert_eq!(three.spans().len(), 1);
    assert_eq!(one.spans().len(), 2);

    // Who exports nothing does not keep a run that is over.
    let nothing = ("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned());
    let idle = telemetry_lib::init(Config::from_vars("again", [nothing])).unwrap();
    let fifth = init(&three);
    span();
    let reports = [&fifth, &idle].map(|it| it.shutdown_blocking(LIMIT).traces.failed);
    assert_eq!((reports, three.spans().len()), ([0, 0], 2));

    let production = [("TOOLKIT_ENV".to_owned(), "prod".to_owned())];
    let refused = Config::from_vars("again", production)
        .endpoint("http://collector.example/v1/traces")
        .map(telemetry_lib::init);
    assert!(matches!(refused, Ok(Err(InitError::PlainText { .. }))));
}
