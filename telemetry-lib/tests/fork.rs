//! F27: a process that forks after `init`, as a daemon does or a server with workers. The child has
//! the memory of its parent and none of its threads. One test: it takes the global places of the
//! process.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod child;

use std::collections::BTreeSet;
use std::time::Duration;

use child::in_child;
use telemetry_lib::testing::{AttributeValue, FakeCollector};
use telemetry_lib::{Config, Telemetry};

const LIMIT: Duration = Duration::from_secs(20);

fn init(collector: &FakeCollector) -> Telemetry {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        // What is not flushed stays queued.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    telemetry_lib::init(Config::from_vars("fork", variables)).unwrap()
}

fn span(name: &str) {
    tracing::info_span!("work", otel.name = name).in_scope(|| ());
}

#[test]
fn f27_a_child_exports_its_own_spans_and_not_those_of_its_parent() {
    let collector = FakeCollector::start();
    let telemetry = init(&collector);
    span("parent");

    let child = in_child(|| {
        span("child");
        let report = telemetry.shutdown_blocking(LIMIT);
        assert_eq!((report.traces.exported, report.traces.failed), (1, 0));
    });
    in_child(|| {
        let report = telemetry.shutdown_blocking(LIMIT);
        assert!(report.traces.is_complete(), "it has nothing to lose");
        span("late");
        let report = telemetry.shutdown_blocking(LIMIT);
        assert_eq!(report.traces.dropped.after_shutdown, 1);
    });
    in_child(|| {
        in_child(|| {
            span("grandchild");
            drop(init(&collector));
        });
        span("its parent");
        drop(init(&collector));
    });

    let report = telemetry.shutdown_blocking(LIMIT);
    assert_eq!((report.traces.exported, report.traces.failed), (1, 0));
    in_child(|| {
        span("after the shutdown of the parent");
        let report = telemetry.shutdown_blocking(LIMIT);
        assert_eq!(report.traces.dropped.after_shutdown, 1);
        let again = init(&collector);
        span("anew");
        let report = again.shutdown_blocking(LIMIT);
        assert_eq!((report.traces.exported, report.traces.failed), (2, 0));
    });

    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name()).collect();
    let expected = ["child", "grandchild", "its parent", "parent", "anew"];
    assert_eq!(names, expected);
    let ids: BTreeSet<_> = spans
        .iter()
        .map(|it| (it.trace_id(), it.span_id()))
        .collect();
    let traces: BTreeSet<_> = spans.iter().map(|it| it.trace_id()).collect();
    assert_eq!((ids.len(), traces.len()), (5, 5), "{ids:?}");
    let pid = spans[0].resource_attribute("process.pid");
    assert_eq!(pid, Some(&AttributeValue::Int(child)));
}
