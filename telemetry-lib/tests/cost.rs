//! What a request costs the thread that serves it, in allocations, which no machine changes; and
//! what must stay true although a span's attributes are kept until its end.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry, closed_endpoint};
use telemetry_lib::tracing_opentelemetry::OpenTelemetrySpanExt;
use tower::Service;
use tracing::Span;

/// A caller's `traceparent` without its flag.
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

const REQUESTS: usize = 101;

fn asking(flag: &str) -> Request {
    Request::get("/users/7")
        .header("host", "orders.example")
        .header("user-agent", "probe/1")
        .header("traceparent", format!("{CALLER}-{flag}"))
        .body(Body::empty())
        .unwrap()
}

async fn ask(app: &mut Router, request: Request) {
    let response = app.call(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

/// Allocations of the serving thread for a usual request, once everything is warm. Now and then one has more:
/// the queue grows, or an exemplar is taken.
fn allocations(app: &mut Router, flag: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(ask(app, asking(flag)));
    let mut counts: Vec<u64> = (0..REQUESTS)
        .map(|_| {
            let request = asking(flag);
            let counted = allocation_counter::measure(|| runtime.block_on(ask(app, request)));
            counted.count_total
        })
        .collect();
    counts.sort_unstable();
    counts[REQUESTS / 2]
}

fn users() -> Router {
    Router::new().route("/users/{id}", get(|| async { "user" }))
}

/// As in a process that has further layers, where requests are marked: the tests of this one make some beside
/// each other.
fn instrumented(telemetry: &TestTelemetry) -> Router {
    let handle = telemetry.handle();
    drop(handle.http_server());
    handle.instrument(users())
}

/// With the log's layer, which wrote no line. A budget, not a wish: raise it only with a reason. `benches/peers` shows what it buys.
#[test]
fn a_request_allocates_no_more_than_its_budget() {
    let telemetry = TestTelemetry::start();
    let bare = allocations(&mut users(), "01");
    let mut app = instrumented(&telemetry);
    let sampled = allocations(&mut app, "01") - bare;
    let unsampled = allocations(&mut app, "00") - bare;
    assert!(sampled <= 21, "sampled: {sampled} beyond {bare}");
    assert!(unsampled <= 16, "unsampled: {unsampled} beyond {bare}");
}

/// F01: whoever is served does not notice that nobody collects, or that the queue is full of it.
#[test]
fn f01_a_request_allocates_the_same_when_the_collector_is_away() {
    let sampled = |variables: &[(&str, &str)]| {
        let telemetry = TestTelemetry::configured(variables, |config| config);
        allocations(&mut instrumented(&telemetry), "01")
    };
    let closed = closed_endpoint();
    let away = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", closed.as_str());
    let (there, full) = (sampled(&[]), ("OTEL_BSP_MAX_QUEUE_SIZE", "1"));
    assert_eq!(sampled(&[away]), there);
    assert!(sampled(&[away, full]) <= there);
}

async fn span_of(variables: &[(&str, &str)], routes: Router) -> ReceivedSpan {
    let telemetry = TestTelemetry::configured(variables, |config| config);
    let mut app = telemetry.handle().instrument(routes);
    ask(&mut app, asking("01")).await;
    let spans = telemetry.spans().await;
    spans.into_iter().next().unwrap()
}

fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

#[tokio::test]
async fn what_the_service_says_of_its_request_wins_over_what_was_known_first() {
    let says = || async {
        let span = Span::current();
        span.set_attribute("server.address", "mine");
        span.set_attribute("url.path", "/users/REDACTED");
        span.set_attribute("http.response.status_code", 7);
        span.context().span().update_name("mine");
    };
    let span = span_of(&[], Router::new().route("/users/{id}", get(says))).await;
    assert_eq!((span.name(), span.kind()), ("mine", "server"));
    span.assert_attribute("server.address", text("mine"))
        .assert_attribute("url.path", text("/users/REDACTED"))
        .assert_attribute("http.route", text("/users/{id}"))
        .assert_attribute("http.response.status_code", Some(AttributeValue::Int(200)));
}

#[tokio::test]
async fn the_limit_of_attributes_holds_for_ours_too_and_the_rest_is_counted() {
    let all = span_of(&[], users()).await.attributes().len();
    let limit = [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")];
    let span = span_of(&limit, users()).await;
    assert_eq!(span.attributes().len(), 3);
    let dropped = span.as_otlp().dropped_attributes_count;
    assert_eq!(usize::try_from(dropped).unwrap(), all - 3);
}
