//! The environment variables of the specification (1.60), for what exists here: each with a value
//! and what it changes on the wire. What needs a collector that hangs or wants a certificate stands
//! in `export.rs`, and so does OTEL_BSP_MAX_QUEUE_SIZE. OTEL_BSP_SCHEDULE_DELAY needs a clock that the
//! test moves: `src/export/tests/batches.rs`.

use std::net::SocketAddr;

use http::StatusCode;
use telemetry_lib::testing::{
    Exposition, FakeCollector, ReceivedRequest, ReceivedSpan, TestTelemetry,
};
use telemetry_lib::{Config, InitError};

use super::read::{ABSENT, shown};
use super::service::Service;

/// What there is to see after two requests.
pub(crate) struct Seen {
    pub(crate) spans: Vec<ReceivedSpan>,
    pub(crate) requests: Vec<ReceivedRequest>,
    pub(crate) page: Option<Exposition>,
    pub(crate) notices: Vec<String>,
    pub(crate) log: Vec<String>,
}

/// Variables, what is looked at, and what it is.
type Row = (
    &'static [(&'static str, &'static str)],
    fn(&Seen) -> String,
    &'static str,
);

const FRAMING: &str = "content-length=5,host=a,transfer-encoding=chunked,content-encoding=br,content-type=text/plain,x-token=own";

const ROWS: &[Row] = &[
    (&[], spans, "4"),
    (&[("OTEL_SDK_DISABLED", "true")], spans, "0"),
    (&[("OTEL_SDK_DISABLED", "TRUE")], spans, "0"),
    (&[("OTEL_SDK_DISABLED", "false")], spans, "4"),
    (&[("OTEL_SERVICE_NAME", "pay")], service_name, "pay"),
    (
        &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=res")],
        service_name,
        "res",
    ),
    (
        &[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=res"),
            ("OTEL_SERVICE_NAME", "pay"),
        ],
        service_name,
        "pay",
    ),
    (
        &[("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b,x=1")],
        team,
        "a b",
    ),
    (&[("TOOLKIT_ENV", "stage")], environment, "stage"),
    (&[("OTEL_TRACES_SAMPLER", "always_off")], spans, "0"),
    (&[("OTEL_TRACES_SAMPLER", "ALWAYS_ON")], spans, "4"),
    (
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")],
        spans,
        "2",
    ),
    (
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_on")],
        spans,
        "4",
    ),
    (
        &[
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0"),
        ],
        spans,
        "0",
    ),
    (&[("OTEL_TRACES_SAMPLER", "traceidratio")], spans, "4"),
    (
        &[
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.0"),
        ],
        spans,
        "2",
    ),
    (&[("OTEL_TRACES_EXPORTER", "none")], spans, "0"),
    (&[("OTEL_TRACES_EXPORTER", "otlp")], spans, "4"),
    (&[("OTEL_METRICS_EXPORTER", "none")], observed, "0"),
    (&[("OTEL_METRICS_EXPORTER", "prometheus")], observed, "2"),
    (
        &[("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")],
        exemplars,
        "false",
    ),
    (
        &[("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based")],
        exemplars,
        "true",
    ),
    (&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")], text, "0123"),
    (
        &[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")],
        text,
        "012",
    ),
    (
        &[
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ],
        text,
        "012",
    ),
    (&[], sizes, "6 attributes, 4 events of 5, 4 links of 2"),
    (
        &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "4")],
        sizes,
        "4 attributes (2 dropped), 4 events of 5, 4 links of 2",
    ),
    (
        &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "3")],
        sizes,
        "6 attributes, 3 events (1 dropped) of 5, 4 links of 2",
    ),
    (
        &[("OTEL_SPAN_LINK_COUNT_LIMIT", "1")],
        sizes,
        "6 attributes, 4 events of 5, 1 links (3 dropped) of 2",
    ),
    (
        &[("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "2")],
        sizes,
        "6 attributes, 4 events of 2, 4 links of 2",
    ),
    (
        &[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1")],
        sizes,
        "6 attributes, 4 events of 5, 4 links of 1",
    ),
    (
        &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")],
        sizes,
        "1 attributes (5 dropped), 4 events of 1, 4 links of 1",
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "{collector}/base/")],
        path,
        "/base/v1/traces",
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "{collector}/base?key=a/")],
        path,
        "/base/v1/traces?key=a/",
    ),
    (
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "{collector}/as/it/is")],
        path,
        "/as/it/is",
    ),
    (
        &[("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b,y=2")],
        token,
        "a b",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-token=own"),
        ],
        token,
        "own",
    ),
    // What the exporter sets itself would break each export.
    (&[("OTEL_EXPORTER_OTLP_HEADERS", FRAMING)], token, "own"),
    (&[("OTEL_EXPORTER_OTLP_HEADERS", FRAMING)], spans, "4"),
    (&[("OTEL_EXPORTER_OTLP_HEADERS", FRAMING)], notices, "1"),
    (&[], encoding, ABSENT),
    (
        &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
        encoding,
        "gzip",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ],
        encoding,
        ABSENT,
    ),
    (
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        content_type,
        "application/x-protobuf",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ],
        content_type,
        "application/x-protobuf",
    ),
    (&[], lines, "8"),
    (&[("OTEL_LOGS_EXPORTER", "console")], lines, "8"),
    // The lines are not an exporter's: a service without one still has to say something.
    (&[("OTEL_LOGS_EXPORTER", "none")], lines, "8"),
    (&[("RUST_LOG", "error")], lines, "0"),
    (&[("RUST_LOG", "info,")], lines, "8"),
    (&[("RUST_LOG", "conformance")], lines, "8"),
    (&[("RUST_LOG", "other_crate")], lines, "0"),
    (&[("RUST_LOG", "other_crate")], notices, "0"),
    (&[("RUST_LOG", "inof")], notices, "1"),
    (
        &[("OTEL_LOG_LEVEL", "error"), ("RUST_LOG", "inof")],
        notices,
        "0",
    ),
    (&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3")], batches, "3 1"),
    (&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9")], batches, "4"),
    (&[("OTEL_TRACES_SAMPLER", "")], spans, "4"),
    (
        &[("OTEL_LOG_LEVEL", "none"), ("OTEL_TRACES_SAMPLER", "wrong")],
        notices,
        "0",
    ),
    (
        &[("OTEL_LOG_LEVEL", "info"), ("OTEL_TRACES_SAMPLER", "wrong")],
        notices,
        "1",
    ),
];

fn spans(seen: &Seen) -> String {
    seen.spans.len().to_string()
}

fn resource(seen: &Seen, key: &str) -> String {
    shown(seen.spans[0].resource_attribute(key))
}

fn service_name(seen: &Seen) -> String {
    resource(seen, "service.name")
}

fn team(seen: &Seen) -> String {
    resource(seen, "team")
}

fn environment(seen: &Seen) -> String {
    resource(seen, "deployment.environment.name")
}

fn observed(seen: &Seen) -> String {
    let page = seen.page.as_ref().unwrap();
    page.total("http_server_request_duration_seconds_count")
        .to_string()
}

fn exemplars(seen: &Seen) -> String {
    let page = seen.page.as_ref().unwrap();
    let exemplars = page.exemplars("http_server_request_duration_seconds");
    (!exemplars.is_empty()).to_string()
}

fn rich(seen: &Seen) -> &ReceivedSpan {
    seen.spans
        .iter()
        .find(|span| span.name() == "rich")
        .unwrap()
}

fn text(seen: &Seen) -> String {
    shown(rich(seen).attribute("text"))
}

fn sizes(seen: &Seen) -> String {
    let span = rich(seen).as_otlp();
    let dropped = |count: u32| match count {
        0 => String::new(),
        _ => format!(" ({count} dropped)"),
    };
    format!(
        "{} attributes{}, {} events{} of {}, {} links{} of {}",
        span.attributes.len(),
        dropped(span.dropped_attributes_count),
        span.events.len(),
        dropped(span.dropped_events_count),
        span.events[0].attributes.len(),
        span.links.len(),
        dropped(span.dropped_links_count),
        span.links[0].attributes.len(),
    )
}

fn header(seen: &Seen, name: &str) -> String {
    let value = seen.requests[0].headers.get(name);
    value
        .map_or(ABSENT, |value| value.to_str().unwrap())
        .to_owned()
}

fn path(seen: &Seen) -> String {
    seen.requests[0].path.clone()
}

fn token(seen: &Seen) -> String {
    header(seen, "x-token")
}

fn encoding(seen: &Seen) -> String {
    header(seen, "content-encoding")
}

fn content_type(seen: &Seen) -> String {
    header(seen, "content-type")
}

fn batches(seen: &Seen) -> String {
    let sizes: Vec<_> = seen
        .requests
        .iter()
        .map(|it| it.spans.len().to_string())
        .collect();
    sizes.join(" ")
}

fn lines(seen: &Seen) -> String {
    seen.log.len().to_string()
}

fn notices(seen: &Seen) -> String {
    seen.notices.len().to_string()
}

/// A request that begins a trace, one of a sampled caller, and what came of them.
pub(crate) async fn see(variables: &[(&str, &str)]) -> Seen {
    let service = Service::with(variables, |config| config).await;
    let caller = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for headers in ["", caller] {
        let answer = service
            .send(&format!("GET /rich HTTP/1.1\n{headers}"))
            .await;
        assert!(
            answer.head.contains(StatusCode::OK.as_str()),
            "{}",
            answer.head
        );
    }
    let (_, page) = service
        .page("application/openmetrics-text;version=1.0.0")
        .await;
    Seen {
        spans: service.telemetry.spans().await,
        requests: service.telemetry.collector().requests(),
        page: Some(page),
        notices: service.telemetry.notices(),
        log: service.telemetry.log(),
    }
}

#[tokio::test]
async fn each_variable_changes_what_it_should_on_the_wire() {
    for (variables, look, expected) in ROWS {
        let seen = see(variables).await;
        assert_eq!(look(&seen), *expected, "{variables:?}");
    }
}

#[tokio::test]
async fn who_sends_nothing_sends_nothing_to_the_endpoint_of_the_code_either() {
    let others = FakeCollector::start();
    let endpoint = others.traces_endpoint();
    // The span of the first, and none of the second.
    for exporter in ["otlp", "none"] {
        let variables = [("OTEL_TRACES_EXPORTER", exporter)];
        let to_others = |config: Config| config.endpoint(&endpoint).unwrap();
        let service = Service::with(&variables, to_others).await;
        service.send("GET /users/7 HTTP/1.1").await;
        assert!(
            service.telemetry.spans().await.is_empty(),
            "code overrides the variable"
        );
        assert_eq!(others.spans().len(), 1, "{exporter}");
    }
}

/// A port of loopback that was free a moment ago.
fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn prometheus_has_a_port_of_its_own_where_the_variables_say() {
    for host in [
        None,
        Some("localhost"),
        Some("LOCALHOST"),
        Some("127.0.0.1"),
    ] {
        let address = free();
        let port = address.port().to_string();
        let mut variables = vec![("OTEL_EXPORTER_PROMETHEUS_PORT", port.as_str())];
        variables.extend(host.map(|host| ("OTEL_EXPORTER_PROMETHEUS_HOST", host)));
        let service = Service::with(&variables, |config| config).await;
        service.send("GET /users/7 HTTP/1.1").await;
        let page = Service::ask(address, "GET /metrics HTTP/1.1").await;
        assert!(
            page.text().contains("http_route=\"/users/{id}\""),
            "{host:?}"
        );
        let page = service.send("GET /metrics HTTP/1.1").await;
        assert!(
            page.head.starts_with("http/1.1 404"),
            "only there: {}",
            page.head
        );

        let collector = FakeCollector::start();
        let taken = TestTelemetry::try_configured(collector, &variables, |config| config);
        assert!(matches!(taken, Err(InitError::Listen { .. })), "{host:?}");
    }
}
