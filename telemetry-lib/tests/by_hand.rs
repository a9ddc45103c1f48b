//! Requests of frameworks that are not tower: begun, entered and ended by hand.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use http::uri::Scheme;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use telemetry_lib::testing::{AttributeValue, TestTelemetry};
use telemetry_lib::{RouteTemplate, ServerRequest, Telemetry};

const COUNT: &str = "http_server_request_duration_seconds_count";

fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

fn begin(telemetry: &Telemetry, extensions: &Extensions) -> ServerRequest {
    let uri = Uri::from_static("/orders/7?a=1");
    telemetry.server_request(&Method::GET, &uri, &HeaderMap::new(), extensions)
}

/// How often requests ended with this `error.type` and status.
fn ended(telemetry: &TestTelemetry, error_type: &str, status: &str) -> Option<f64> {
    let page = telemetry.scrape();
    let mut labels = vec![("http_request_method", "GET")];
    let told = [
        ("error_type", error_type),
        ("http_response_status_code", status),
    ];
    labels.extend(told.into_iter().filter(|(_, value)| !value.is_empty()));
    let samples = page.samples().iter().filter(|sample| sample.name == COUNT);
    let mut matching = samples.filter(|sample| {
        let has = |(name, value): &(&str, &str)| {
            sample.labels.get(*name).map(String::as_str) == Some(*value)
        };
        labels.iter().all(has)
    });
    matching.next().map(|sample| sample.value)
}

#[tokio::test]
async fn a_request_is_renamed_by_its_route_and_is_the_parent_of_what_it_enters() {
    let telemetry = TestTelemetry::start();
    let mut request = begin(telemetry.handle(), &Extensions::new());
    request.set_route(RouteTemplate::new("/orders/{id}"));
    {
        let _entered = request.enter();
        tracing::info_span!("inner").in_scope(|| {});
    }
    request.finish(StatusCode::BAD_GATEWAY);

    let spans = telemetry.spans().await;
    let names: Vec<&str> = spans.iter().map(|span| span.name()).collect();
    assert_eq!(names, ["inner", "GET /orders/{id}"]);
    assert_eq!(spans[0].parent_span_id(), spans[1].span_id());
    spans[1]
        .assert_attribute("http.response.status_code", Some(AttributeValue::Int(502)))
        .assert_attribute("error.type", text("502"));
    assert!(spans[1].is_error());
}

#[tokio::test]
async fn each_end_is_told_alike_by_span_and_metric() {
    let telemetry = TestTelemetry::start();
    let handle = telemetry.handle();
    let none = Extensions::new();
    drop(begin(handle, &none));
    begin(handle, &none).fail(None, "app::Timeout");
    begin(handle, &none).fail(Some(StatusCode::OK), "app::BodyBroke");
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _request = begin(handle, &none);
        panic!("in a handler")
    }));
    assert!(panicked.is_err());

    let spans = telemetry.spans().await;
    let ends = [
        ("cancelled", None, false),
        ("app::Timeout", None, true),
        ("app::BodyBroke", Some(200), true),
        ("panic", None, true),
    ];
    assert_eq!(spans.len(), ends.len());
    for (span, (error_type, status, is_error)) in spans.iter().zip(ends) {
        span.assert_attribute("error.type", text(error_type));
        let code = status.map(AttributeValue::Int);
        span.assert_attribute("http.response.status_code", code);
        assert_eq!(span.is_error(), is_error, "{error_type}");
        let status = status.map(|it| it.to_string()).unwrap_or_default();
        assert_eq!(
            ended(&telemetry, error_type, &status),
            Some(1.0),
            "{error_type}"
        );
    }
    assert_eq!(telemetry.scrape().total("http_server_active_requests"), 0.0);
}

#[tokio::test]
async fn the_connection_is_told_as_to_the_layers() {
    let telemetry = TestTelemetry::start();
    let mut connection = Extensions::new();
    connection.insert(SocketAddr::from(([192, 0, 2, 1], 4711)));
    connection.insert(Scheme::HTTPS);
    connection.insert(RouteTemplate::new("/orders/{id}"));
    begin(telemetry.handle(), &connection).finish(StatusCode::OK);

    let spans = telemetry.spans().await;
    assert_eq!(spans[0].name(), "GET /orders/{id}");
    spans[0]
        .assert_attribute("client.address", text("192.0.2.1"))
        .assert_attribute("network.peer.address", text("192.0.2.1"))
        .assert_attribute("network.peer.port", Some(AttributeValue::Int(4711)))
        .assert_attribute("url.scheme", text("https"));
}

#[tokio::test]
async fn a_path_to_skip_leaves_neither_span_nor_metric() {
    let telemetry =
        TestTelemetry::configured(&[], |config| config.skip_paths(["/orders/*".to_owned()]));
    begin(telemetry.handle(), &Extensions::new()).finish(StatusCode::OK);
    assert!(telemetry.spans().await.is_empty());
    assert!(
        telemetry
            .scrape()
            .samples()
            .iter()
            .all(|it| it.name != COUNT)
    );
}
