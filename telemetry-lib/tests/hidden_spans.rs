//! A filter over the whole subscriber hides our spans, the commonest mistake with a subscriber of one's
//! own: a notice says so, once, and only there.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use telemetry_lib::testing::TestTelemetry;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

/// A request that is served, a job, and a request that is sent.
async fn work(telemetry: &TestTelemetry) {
    let telemetry = telemetry.handle();
    let app = telemetry.instrument(Router::new().route("/", get(|| async {})));
    let request = || Request::get("http://stock/").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request()).await.unwrap().status(), 200);
    let job = async { Ok::<_, Infallible>(()) };
    telemetry.job("sweep", job).await.unwrap();
    let stock =
        service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let client = telemetry.http_client().layer(stock);
    assert_eq!(client.oneshot(request()).await.unwrap().status(), 200);
}

/// The notices after this work below a subscriber, twice, and how many spans were exported.
async fn told(
    telemetry: &TestTelemetry,
    subscriber: impl Subscriber + Send + Sync + 'static,
) -> (Vec<String>, usize) {
    let _default = tracing::subscriber::set_default(subscriber);
    for _ in 0..2 {
        work(telemetry).await;
    }
    (telemetry.notices(), telemetry.spans().await.len())
}

fn lines<S>() -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer().with_writer(std::io::sink)
}

#[tokio::test]
async fn a_filter_over_the_whole_subscriber_is_told_once_with_the_way_out() {
    for filter in ["", "warn"] {
        let telemetry = TestTelemetry::start();
        let subscriber = tracing_subscriber::registry()
            .with(lines())
            .with(telemetry.handle().tracing_layer())
            .with(EnvFilter::new(filter));
        let (notices, spans) = told(&telemetry, subscriber).await;
        assert_eq!((notices.len(), spans), (1, 0), "{notices:?}");
        for part in [
            "a filter of the subscriber hides the spans of requests, jobs and messages",
            "fmt::layer().with_filter(EnvFilter::from_default_env())",
        ] {
            assert!(notices[0].contains(part), "{notices:?}");
        }
    }
}

#[tokio::test]
async fn a_filter_over_our_layer_alone_is_told_too() {
    let telemetry = TestTelemetry::start();
    let ours = telemetry.handle().tracing_layer();
    let subscriber = tracing_subscriber::registry()
        .with(lines())
        .with(ours.with_filter(EnvFilter::new("warn")));
    let (notices, spans) = told(&telemetry, subscriber).await;
    assert_eq!((notices.len(), spans), (1, 0), "{notices:?}");
}

#[tokio::test]
async fn a_filter_of_the_lines_hides_no_span_and_is_not_told() {
    let telemetry = TestTelemetry::start();
    let subscriber = tracing_subscriber::registry()
        .with(lines().with_filter(EnvFilter::new("")))
        .with(telemetry.handle().tracing_layer());
    assert_eq!(told(&telemetry, subscriber).await, (Vec::new(), 6));
}

#[tokio::test]
async fn nothing_is_told_where_our_layer_is_not_or_is_not_to_record() {
    let telemetry = TestTelemetry::start();
    let without = tracing_subscriber::registry()
        .with(lines())
        .with(EnvFilter::new("warn"));
    assert_eq!(told(&telemetry, without).await, (Vec::new(), 0));

    let disabled = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "true")], |it| it);
    let quiet = TestTelemetry::configured(&[], |it| it.span_level(Level::ERROR));
    for telemetry in [disabled, quiet] {
        let subscriber = tracing_subscriber::registry()
            .with(lines())
            .with(telemetry.handle().tracing_layer())
            .with(EnvFilter::new("warn"));
        assert_eq!(told(&telemetry, subscriber).await, (Vec::new(), 0));
    }
}
