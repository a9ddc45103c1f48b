//! Jobs: one span and one observation per run, however it ends.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry};

const COUNT: &str = "job_duration_seconds_count";

async fn check(telemetry: &TestTelemetry, outcome: &str, error_type: Option<&str>) -> ReceivedSpan {
    let spans = telemetry.spans().await;
    let span = spans.last().unwrap().clone();
    assert_eq!(span.name(), "sweep");
    assert_eq!(span.kind(), "internal");
    let error_type = error_type.map(|it| AttributeValue::Text(it.to_owned()));
    span.assert_attribute("error.type", error_type);
    let labels = [("job_name", "sweep"), ("outcome", outcome)];
    assert_eq!(telemetry.scrape().value(COUNT, &labels), Some(1.0));
    span
}

#[tokio::test]
async fn a_run_is_told_by_its_outcome() {
    let telemetry = TestTelemetry::start();
    let handle = telemetry.handle();
    let last = |telemetry: &TestTelemetry| {
        telemetry.scrape().value(
            "job_last_success_timestamp_seconds",
            &[("job_name", "sweep")],
        )
    };

    let failed = handle
        .job("sweep", async { Err::<(), _>(std::fmt::Error) })
        .await;
    assert_eq!(failed, Err(std::fmt::Error));
    let span = check(&telemetry, "failure", Some("core::fmt::Error")).await;
    assert!(span.is_error());
    assert_eq!(last(&telemetry), None);

    let done = handle
        .job("sweep", async { Ok::<_, std::fmt::Error>(7) })
        .await;
    assert_eq!(done, Ok(7));
    assert!(!check(&telemetry, "success", None).await.is_error());
    assert!(last(&telemetry).unwrap() > 1.7e9, "seconds since 1970");

    let endless = std::future::pending::<Result<(), std::fmt::Error>>();
    assert!(handle.job("sweep", endless).now_or_never().is_none());
    assert!(
        !check(&telemetry, "cancelled", Some("cancelled"))
            .await
            .is_error()
    );

    let panicking = handle.job("sweep", async {
        if true {
            panic!("in a job");
        }
        Ok::<(), std::fmt::Error>(())
    });
    assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    assert!(check(&telemetry, "panic", Some("panic")).await.is_error());
    assert_eq!(telemetry.scrape().total(COUNT), 4.0);
}

#[tokio::test]
async fn spans_of_the_work_are_children_of_the_run() {
    let telemetry = TestTelemetry::start();
    let work = async {
        tracing::info_span!("step").in_scope(|| {});
        Ok::<(), std::fmt::Error>(())
    };
    telemetry.handle().job("sweep", work).await.unwrap();
    let spans = telemetry.spans().await;
    assert_eq!(spans[0].name(), "step");
    assert_eq!(spans[0].parent_span_id(), spans[1].span_id());
    assert_eq!(spans[1].parent_span_id(), "");
}
