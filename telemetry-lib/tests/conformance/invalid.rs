//! F40: every variable of the specification's tables with a value that is none. It is said once,
//! by the variable's name, never with the value, which may be a secret in the wrong place; and
//! nothing changes.

use super::environment::{Seen, see};

/// Each row of the tables, with a value that it cannot have.
const ROWS: &[(&str, &str)] = &[
    ("RUST_LOG", "s3cret=loud"),
    ("RUST_LOG", "s3cret[span]=debug"),
    ("RUST_LOG", "s3cret="),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://s3cret:99999"),
    ("OTEL_SDK_DISABLED", "yes-s3cret"),
    ("OTEL_RESOURCE_ATTRIBUTES", "s3cret"),
    ("OTEL_LOG_LEVEL", "s3cret"),
    ("OTEL_PROPAGATORS", "s3cret"),
    ("OTEL_PROPAGATORS", "xray"),
    ("OTEL_PROPAGATORS", "s3cret,jaeger"),
    ("OTEL_TRACES_SAMPLER", "s3cret"),
    ("OTEL_TRACES_EXPORTER", "s3cret"),
    ("OTEL_METRICS_EXPORTER", "s3cret"),
    ("OTEL_LOGS_EXPORTER", "s3cret"),
    ("OTEL_BSP_SCHEDULE_DELAY", "s3cret"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "-s3cret"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0x-s3cret"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "s3cret"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "s3cret"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "s3cret"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "s3cret"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "s3cret"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "s3cret"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "s3cret"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "s3cret"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "s3cret"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "s3cret"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "s3cret"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "s3cret"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "s3cret"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "s3cret"),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "s3cret"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "s3cret"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "s3cret"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "s3cret"),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "s3cret"),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "s3cret"),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "s3cret"),
    ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", ",,"),
    ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET, s3 cret"),
    ("OTEL_PROPAGATORS", ",,"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "s3cret",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "s3cret",
    ),
    ("OTEL_METRIC_EXPORT_INTERVAL", "s3cret"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "s3cret"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "s3cret"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "s3cret host"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "s3cret"),
    ("OTEL_CONFIG_FILE", "/s3cret.yaml"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "100000000"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "18446744073709551615"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000001"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1.5"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "4294967296"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536"),
    ("OTEL_BSP_SCHEDULE_DELAY", "18446744073709551616"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
];

/// What must not change.
fn shape(seen: &Seen) -> String {
    let spans: Vec<_> = seen
        .spans
        .iter()
        .map(|span| {
            let otlp = span.as_otlp();
            let own = otlp.attributes.iter().filter(|it| it.key != "exemplar");
            let sizes = (own.count(), otlp.events.len(), otlp.links.len());
            (span.name(), sizes, span.resource_attribute("service.name"))
        })
        .collect();
    let requests: Vec<_> = seen
        .requests
        .iter()
        .map(|request| (&request.path, request.headers.len(), request.spans.len()))
        .collect();
    let page = seen.page.as_ref().unwrap();
    let exemplars = page.exemplars("http_server_request_duration_seconds");
    let exemplars = !exemplars.is_empty();
    format!("{spans:?} {requests:?} {exemplars} {:?}", page.types())
}

#[tokio::test]
async fn f40_an_invalid_value_of_any_row_is_said_once_and_changes_nothing() {
    let usual = see(&[]).await;
    assert_eq!(usual.notices, [""; 0]);
    for &(variable, value) in ROWS {
        let seen = see(&[(variable, value)]).await;
        assert_eq!(seen.notices.len(), 1, "{variable}: {:?}", seen.notices);
        let said = &seen.notices[0];
        assert!(
            said.starts_with(&format!("{variable} is ignored: its value is not ")),
            "{said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
        assert_eq!(shape(&seen), shape(&usual), "{variable}={value}");
    }
}

#[tokio::test]
async fn f40_an_argument_of_the_sampler_is_checked_where_it_counts() {
    for argument in ["s3cret", "-0.1", "1.1", "NaN"] {
        let variables = [
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let seen = see(&variables).await;
        assert_eq!(seen.notices.len(), 1, "{argument}: {:?}", seen.notices);
        assert!(seen.notices[0].starts_with("OTEL_TRACES_SAMPLER_ARG is ignored"));
        assert_eq!(seen.spans.len(), 4, "{argument}: the default is 1");
    }
}

#[tokio::test]
async fn f40_an_argument_that_no_sampler_takes_is_said() {
    for sampler in ["", "always_on", "parentbased_always_on"] {
        for argument in ["s3cret", "0.1"] {
            let variables = [
                ("OTEL_TRACES_SAMPLER", sampler),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ];
            let seen = see(&variables).await;
            let said = "OTEL_TRACES_SAMPLER_ARG is ignored: its value is not used: set \
                        OTEL_TRACES_SAMPLER to a sampler that takes it, as \
                        parentbased_traceidratio does";
            assert_eq!(seen.notices, [said], "{variables:?}");
            assert_eq!(seen.spans.len(), 4, "{variables:?}");
        }
    }
}
