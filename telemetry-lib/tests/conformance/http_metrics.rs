//! The metrics of an HTTP server: semantic conventions 1.44, `http/http-metrics.md`, under the
//! names that Prometheus gives them.

use super::read::{BUCKETS, assert_as_long, bounds, labels, samples, series};
use super::service::Service;

const TEXT: &str = "text/plain;version=0.0.4";
const OPEN: &str = "application/openmetrics-text;version=1.0.0";
const DURATION: &str = "http_server_request_duration_seconds";

/// Name in Prometheus, type, unit.
const METRICS: [(&str, &str, &str); 4] = [
    (DURATION, "histogram", "seconds"),
    ("http_server_active_requests", "gauge", ""),
    ("http_server_request_body_size_bytes", "histogram", "bytes"),
    ("http_server_response_body_size_bytes", "histogram", "bytes"),
];

/// A request, and the labels of its series: all of them, no more.
const LABELS: [(&str, &[(&str, &str)]); 6] = [
    (
        "GET /users/7?a=1 HTTP/1.1",
        &[
            ("http_request_method", "GET"),
            ("http_response_status_code", "200"),
            ("http_route", "/users/{id}"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
    ),
    (
        "GET /nothing HTTP/1.1",
        &[
            ("http_request_method", "GET"),
            ("http_response_status_code", "404"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
    ),
    (
        "PURGE /users/7 HTTP/1.1",
        &[
            ("http_request_method", "_OTHER"),
            ("http_response_status_code", "200"),
            ("http_route", "/users/{id}"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
    ),
    (
        "GET /status/503 HTTP/1.0",
        &[
            ("error_type", "503"),
            ("http_request_method", "GET"),
            ("http_response_status_code", "503"),
            ("http_route", "/status/{code}"),
            ("network_protocol_version", "1.0"),
            ("url_scheme", "http"),
        ],
    ),
    (
        "GET /panics HTTP/1.1",
        &[
            ("error_type", "panic"),
            ("http_request_method", "GET"),
            ("http_response_status_code", "500"),
            ("http_route", "/panics"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
    ),
    (
        "GET /breaks HTTP/1.1",
        &[
            ("error_type", "axum_core::error::Error"),
            ("http_request_method", "GET"),
            ("http_response_status_code", "201"),
            ("http_route", "/breaks"),
            ("network_protocol_version", "1.1"),
            ("url_scheme", "http"),
        ],
    ),
];

#[tokio::test]
async fn names_types_and_units() {
    let service = Service::start().await;
    service
        .send("GET /users/7 HTTP/1.1\ncontent-length: 0")
        .await;
    let (text, page) = service.page(OPEN).await;
    for (name, kind, unit) in METRICS {
        assert_eq!(
            page.types().get(name).map(String::as_str),
            Some(kind),
            "{name}"
        );
        let line = format!("# UNIT {name} {unit}\n");
        assert_eq!(text.contains(&line), !unit.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn buckets_are_the_recommended_ones() {
    let service = Service::start().await;
    service.send("GET /users/7 HTTP/1.1").await;
    let (_, page) = service.page(TEXT).await;
    assert_eq!(bounds(&page, DURATION), BUCKETS);
}

#[tokio::test]
async fn labels_are_those_of_the_conventions_and_no_others() {
    for (request, expected) in LABELS {
        let service = Service::start().await;
        service.send(request).await;
        let (_, page) = service.page(TEXT).await;
        assert_eq!(series(&page, DURATION), [expected], "{request}");
    }
}

#[tokio::test]
async fn the_observation_is_the_spans_duration_and_says_the_same() {
    for (request, labels) in LABELS {
        let service = Service::start().await;
        service.send(request).await;
        let span = service.span().await;
        let (_, page) = service.page(TEXT).await;
        assert_as_long(&page, DURATION, &span);
        for (label, attribute) in [
            ("error_type", "error.type"),
            ("http_response_status_code", "http.response.status_code"),
            ("http_route", "http.route"),
            ("http_request_method", "http.request.method"),
        ] {
            let on_metric = labels.iter().find(|(name, _)| *name == label);
            let on_span = span.attribute(attribute).map(ToString::to_string);
            let on_metric = on_metric.map(|(_, value)| (*value).to_owned());
            assert_eq!(on_span, on_metric, "{request}: {label}");
        }
    }
}

#[tokio::test]
async fn body_sizes_are_observed_in_bytes() {
    let service = Service::start().await;
    service
        .send("GET /users/7 HTTP/1.1\ncontent-length: 0")
        .await;
    let (_, page) = service.page(TEXT).await;
    assert_eq!(page.total("http_server_response_body_size_bytes_sum"), 4.0);
    assert_eq!(
        page.total("http_server_response_body_size_bytes_count"),
        1.0
    );
    assert_eq!(page.total("http_server_request_body_size_bytes_count"), 1.0);
    assert_eq!(page.total("http_server_request_body_size_bytes_sum"), 0.0);
    // Their labels are those of the duration.
    for size in [
        "http_server_request_body_size_bytes",
        "http_server_response_body_size_bytes",
    ] {
        assert_eq!(series(&page, size), series(&page, DURATION), "{size}");
    }
}

#[tokio::test]
async fn the_body_of_a_request_is_as_long_as_the_service_has_read_it() {
    let service = Service::start().await;
    let posts = [
        ("POST /reads HTTP/1.1\ncontent-length: 5", "hello", "5"),
        (
            "POST /reads HTTP/1.1\ntransfer-encoding: chunked",
            "4\r\nsome\r\n3\r\nany\r\n0\r\n\r\n",
            "7",
        ),
        // Announced, and neither sent nor read.
        (
            "POST /users/7 HTTP/1.1\ncontent-length: 9000000000000000000",
            "",
            "user",
        ),
    ];
    for (head, body, expected) in posts {
        let answer = service.post(head, body.as_bytes()).await;
        assert_eq!(answer.text(), expected, "{head}");
    }
    let (_, page) = service.page(TEXT).await;
    let total = |suffix: &str| page.total(&format!("http_server_request_body_size_bytes_{suffix}"));
    assert_eq!((total("count"), total("sum")), (3.0, 12.0));
}

#[tokio::test]
async fn a_request_is_active_until_its_body_ends() {
    let service = Service::start().await;
    let open = service.open("GET /endless HTTP/1.1").await;
    let (_, page) = service.page(TEXT).await;
    let active: Vec<_> = samples(&page, "http_server_active_requests").collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].value, 1.0);
    let expected = [("http_request_method", "GET"), ("url_scheme", "http")];
    assert_eq!(labels(active[0]), expected);
    assert_eq!(page.total(&format!("{DURATION}_count")), 0.0);
    drop(open);
}
