//! Variables of the specification for what this crate does not send: log records and metrics over
//! OTLP. Their values are still checked, so that a typing error shows, and remembered, so that
//! `doctor` can say that they change nothing here.

use super::endpoint::{URL, parse_endpoint};
use super::vars::{Vars, pairs};

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Any,
    Number,
    Boolean,
    Url,
    Pairs,
    OneOf(&'static [&'static str]),
}

const PROTOCOLS: Shape = Shape::OneOf(&["http/protobuf", "http/json", "grpc"]);
const COMPRESSIONS: Shape = Shape::OneOf(&["gzip", "none"]);
const TEMPORALITIES: Shape = Shape::OneOf(&["cumulative", "delta", "lowmemory"]);
const AGGREGATIONS: Shape = Shape::OneOf(&[
    "explicit_bucket_histogram",
    "base2_exponential_bucket_histogram",
]);

const ROWS: [(&str, Shape); 32] = [
    // The scheme of the endpoint says it.
    ("OTEL_EXPORTER_OTLP_INSECURE", Shape::Boolean),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", Shape::Boolean),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", Shape::Boolean),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", Shape::Boolean),
    ("OTEL_BLRP_SCHEDULE_DELAY", Shape::Number),
    ("OTEL_BLRP_EXPORT_TIMEOUT", Shape::Number),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", Shape::Number),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", Shape::Number),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Shape::Number),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Shape::Number),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Shape::Url),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", PROTOCOLS),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Shape::Pairs),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", COMPRESSIONS),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", Shape::Number),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", Shape::Any),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", Shape::Any),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", Shape::Any),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", Shape::Url),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", PROTOCOLS),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", Shape::Pairs),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", COMPRESSIONS),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", Shape::Number),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", Shape::Any),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", Shape::Any),
    ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", Shape::Any),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        TEMPORALITIES,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        AGGREGATIONS,
    ),
    ("OTEL_METRIC_EXPORT_INTERVAL", Shape::Number),
    ("OTEL_METRIC_EXPORT_TIMEOUT", Shape::Number),
    // There is one set of names here, the current one.
    ("OTEL_SEMCONV_STABILITY_OPT_IN", Shape::Any),
    ("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", Shape::Any),
];

/// The names of those that are set and valid; the invalid ones are reported.
pub(super) fn read(vars: &mut Vars) -> Vec<&'static str> {
    let mut unused = Vec::new();
    for (name, shape) in ROWS {
        let valid = vars.read(&[name], shape.expected(), |value| {
            shape.fits(value).then_some(())
        });
        if valid.is_some() {
            unused.push(name);
        }
    }
    unused
}

impl Shape {
    fn expected(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Number => "a whole number that is not negative",
            Self::Boolean => "`true` or `false`",
            Self::Url => URL,
            Self::Pairs => "a list of name=value with percent-encoded values",
            Self::OneOf(_) => "one of the specification's values",
        }
    }

    fn fits(self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Number => value.parse::<u64>().is_ok(),
            Self::Boolean => matches!(value.to_ascii_lowercase().as_str(), "true" | "false"),
            Self::Url => parse_endpoint(value).is_some(),
            Self::Pairs => pairs(value).is_some(),
            Self::OneOf(values) => values.iter().any(|known| known.eq_ignore_ascii_case(value)),
        }
    }
}
