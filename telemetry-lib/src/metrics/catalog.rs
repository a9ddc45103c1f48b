//! Every metric of this crate, declared once: name, kind, help, labels with where their values come
//! from, buckets. Code refers to these items; documents, dashboards and rules are checked against
//! [`catalog`].

/// The declaration of a metric.
#[derive(Debug)]
#[non_exhaustive]
pub struct Desc {
    /// The name in Prometheus, with its unit and, for a counter, `_total`.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: Kind,
    /// One sentence for whoever reads the page.
    pub help: &'static str,
    /// Its labels, in the order of their values.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets, without `+Inf`.
    pub buckets: &'static [f64],
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Always 1; its labels are the message.
    Info,
}

/// A label and where its values come from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Label {
    /// The label's name.
    pub name: &'static str,
    /// Which values it can have.
    pub values: Values,
}

/// The set of values of a label; none is open to a client.
#[derive(Debug)]
pub enum Values {
    /// Exactly these.
    Closed(&'static [&'static str]),
    /// As many as the named thing has; the cap on series holds as well.
    Bounded(&'static str),
}

/// All metrics of this crate, by name.
#[must_use]
pub fn catalog() -> &'static [&'static Desc] {
    CATALOG
}

/// The buckets that the semantic conventions advise for durations of requests, in seconds.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// From an empty body to 16 MiB, in steps of four.
const BYTES: &[f64] = &[
    0.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

const METHOD: Label = bounded("http_request_method", "the known methods and _OTHER");
const SCHEME: Label = closed("url_scheme", &["http", "https"]);
const HTTP_SERVER: &[Label] = &[
    METHOD,
    SCHEME,
    bounded(
        "http_route",
        "the application's route templates; absent when none matched",
    ),
    bounded(
        "http_response_status_code",
        "status codes; absent when there was no response",
    ),
    bounded(
        "error_type",
        "status codes, kinds of errors and `cancelled`; absent on success",
    ),
    closed("network_protocol_version", &["1.0", "1.1", "2", "3"]),
];

pub(super) const HTTP_SERVER_DURATION: Desc = histogram(
    "http_server_request_duration_seconds",
    "Time from the head of a request to the end of its response's body.",
    HTTP_SERVER,
    SECONDS,
);
pub(super) const HTTP_SERVER_REQUEST_BODY: Desc = histogram(
    "http_server_request_body_size_bytes",
    "Size of the bodies of requests, as far as the service read them; as announced without axum.",
    HTTP_SERVER,
    BYTES,
);
pub(super) const HTTP_SERVER_RESPONSE_BODY: Desc = histogram(
    "http_server_response_body_size_bytes",
    "Size of the bodies of responses, as far as they were sent.",
    HTTP_SERVER,
    BYTES,
);
pub(super) const HTTP_SERVER_ACTIVE: Desc = gauge(
    "http_server_active_requests",
    "Requests whose response has not ended yet.",
    &[METHOD, SCHEME],
);

const HTTP_CLIENT: &[Label] = &[
    METHOD,
    bounded("server_address", "the hosts that the service calls"),
    bounded("server_port", "their ports"),
    bounded(
        "http_response_status_code",
        "status codes; absent when there was no response",
    ),
    bounded(
        "error_type",
        "status codes, kinds of errors and `cancelled`; absent on success",
    ),
    closed("network_protocol_version", &["1.0", "1.1", "2", "3"]),
];
pub(super) const HTTP_CLIENT_DURATION: Desc = histogram(
    "http_client_request_duration_seconds",
    "Time from an attempt's start to the head of its response.",
    HTTP_CLIENT,
    SECONDS,
);

/// The names of the status codes of gRPC, by number.
pub(crate) const RPC_STATUS_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const RPC_SYSTEM: Label = closed("rpc_system_name", &["grpc"]);
const RPC_METHOD: Label = bounded(
    "rpc_method",
    "at most 500 methods that were seen to exist, and _OTHER",
);
const RPC_STATUS: Label = closed("rpc_status_code", &RPC_STATUS_CODES);
const RPC_ERROR: Label = bounded(
    "error_type",
    "status codes, kinds of errors and `panic`; absent when the call is no error for this side",
);
pub(super) const RPC_SERVER_DURATION: Desc = histogram(
    "rpc_server_call_duration_seconds",
    "Time from the head of a call to the end of its response, as the server sees it.",
    &[RPC_SYSTEM, RPC_METHOD, RPC_STATUS, RPC_ERROR],
    SECONDS,
);
pub(super) const RPC_CLIENT_DURATION: Desc = histogram(
    "rpc_client_call_duration_seconds",
    "Time from a call to the end of its response, as the client sees it.",
    &[
        RPC_SYSTEM,
        RPC_METHOD,
        RPC_STATUS,
        RPC_ERROR,
        bounded("server_address", "the servers that the application calls"),
        bounded("server_port", "their ports"),
    ],
    SECONDS,
);

const JOB: Label = bounded("job_name", "the names that the application gives its jobs");
pub(super) const JOB_DURATION: Desc = histogram(
    "job_duration_seconds",
    "How long runs of a job took, by how they ended.",
    &[
        JOB,
        closed("outcome", &["success", "failure", "cancelled", "panic"]),
    ],
    SECONDS,
);
pub(super) const JOB_LAST_SUCCESS: Desc = gauge(
    "job_last_success_timestamp_seconds",
    "When a run of a job last succeeded.",
    &[JOB],
);

pub(super) const SPANS_EXPORTED: Desc = counter(
    "telemetry_spans_exported_total",
    "Spans that the collector confirmed.",
    &[],
);
pub(super) const SPANS_DROPPED: Desc = counter(
    "telemetry_spans_dropped_total",
    "Spans that the collector will never see, by reason.",
    &[closed(
        "reason",
        &["queue_full", "export_failed", "rejected", "after_shutdown"],
    )],
);
pub(super) const EXPORT_REQUESTS: Desc = counter(
    "telemetry_export_requests_total",
    "Export requests that were confirmed, and those that were given up.",
    &[closed("outcome", &["success", "failure"])],
);
pub(super) const EXPORT_RETRIES: Desc = counter(
    "telemetry_export_retries_total",
    "Attempts to export beyond the first of their request.",
    &[],
);
pub(super) const EXPORT_PANICS: Desc = counter(
    "telemetry_export_panics_total",
    "Times that the export thread panicked and began anew.",
    &[],
);
pub(super) const QUEUE_SPANS: Desc = gauge(
    "telemetry_span_queue_spans",
    "Spans that wait to be exported.",
    &[],
);
pub(super) const QUEUE_BYTES: Desc = gauge(
    "telemetry_span_queue_bytes",
    "About how much memory these spans hold.",
    &[],
);
pub(super) const LAST_SUCCESS: Desc = gauge(
    "telemetry_export_last_success_timestamp_seconds",
    "When the collector last confirmed a request; 0 before the first time.",
    &[],
);
pub(super) const LINES_FOLDED: Desc = counter(
    "telemetry_log_lines_folded_total",
    "Log lines that were counted and not written because one place in the code wrote too many.",
    &[],
);
pub(super) const LINES_LOST: Desc = counter(
    "telemetry_log_lines_lost_total",
    "Log lines that could not be written: standard output refused them, or nobody read it.",
    &[],
);
pub(super) const MALFORMED_HEADERS: Desc = counter(
    "telemetry_malformed_headers_total",
    "Requests with a propagation header that could not be read.",
    &[closed(
        "header",
        &["traceparent", "tracestate", "baggage", "b3"],
    )],
);
pub(super) const OVERFLOW: Desc = counter(
    "telemetry_metric_overflow_total",
    "Observations that went to the overflow series because their metric has too many.",
    &[bounded(
        "metric",
        "the metrics of this page that have bounded labels",
    )],
);
pub(super) const REFUSED: Desc = counter(
    "telemetry_observations_refused_total",
    "Observations that are no number, infinite or negative.",
    &[],
);
pub(super) const FAMILIES_HIDDEN: Desc = gauge(
    "telemetry_metric_families_hidden",
    "Metrics left out because another registry of this process has the same name.",
    &[],
);
pub(super) const SCRAPE_FAILURES: Desc = counter(
    "telemetry_scrape_failures_total",
    "Registries that could not be read during a scrape because their code panicked.",
    &[],
);
pub(super) const BUILD: Desc = Desc {
    kind: Kind::Info,
    ..gauge(
        "telemetry_build_info",
        "The version of telemetry-lib.",
        &[bounded("version", "one")],
    )
};
pub(super) const TARGET: Desc = Desc {
    kind: Kind::Info,
    ..gauge(
        "target_info",
        "The resource of the spans of this process, each attribute as a label.",
        &[
            bounded("service_name", "one"),
            bounded("service_version", "one; absent when unknown"),
            bounded(
                "deployment_environment_name",
                "one; absent when unknown; so on with all that was detected (`process_pid`) or stands \
                 in OTEL_RESOURCE_ATTRIBUTES, 256 characters of each value, secrets as REDACTED",
            ),
        ],
    )
};

pub(super) const PROCESS_CPU: Desc = counter(
    "process_cpu_seconds_total",
    "User and system CPU time of the process.",
    &[],
);
pub(super) const PROCESS_OPEN_FDS: Desc = gauge("process_open_fds", "Open file descriptors.", &[]);
pub(super) const PROCESS_MAX_FDS: Desc = gauge(
    "process_max_fds",
    "How many file descriptors may be open.",
    &[],
);
pub(super) const PROCESS_VIRTUAL: Desc = gauge(
    "process_virtual_memory_bytes",
    "Virtual memory of the process.",
    &[],
);
pub(super) const PROCESS_RESIDENT: Desc = gauge(
    "process_resident_memory_bytes",
    "Resident memory of the process.",
    &[],
);
pub(super) const PROCESS_THREADS: Desc = gauge("process_threads", "Threads of the process.", &[]);
pub(super) const PROCESS_START: Desc = gauge(
    "process_start_time_seconds",
    "When the process started, in seconds since 1970.",
    &[],
);

const WORKER: &[Label] = &[bounded("worker", "the runtime's worker threads")];

pub(super) const TOKIO_WORKERS: Desc =
    gauge("tokio_workers", "Worker threads of the tokio runtime.", &[]);
pub(super) const TOKIO_TASKS: Desc = gauge("tokio_alive_tasks", "Tasks that have not ended.", &[]);
pub(super) const TOKIO_QUEUE: Desc = gauge(
    "tokio_global_queue_tasks",
    "Tasks that wait in the queue that all workers share.",
    &[],
);
pub(super) const TOKIO_BUSY: Desc = counter(
    "tokio_worker_busy_seconds_total",
    "Time that a worker spent running tasks.",
    WORKER,
);
pub(super) const TOKIO_PARKS: Desc = counter(
    "tokio_worker_parks_total",
    "Times that a worker ran out of tasks and slept.",
    WORKER,
);

const CATALOG: &[&Desc] = &[
    &HTTP_CLIENT_DURATION,
    &HTTP_SERVER_ACTIVE,
    &HTTP_SERVER_REQUEST_BODY,
    &HTTP_SERVER_DURATION,
    &HTTP_SERVER_RESPONSE_BODY,
    &JOB_DURATION,
    &JOB_LAST_SUCCESS,
    &PROCESS_CPU,
    &PROCESS_MAX_FDS,
    &PROCESS_OPEN_FDS,
    &PROCESS_RESIDENT,
    &PROCESS_START,
    &PROCESS_THREADS,
    &PROCESS_VIRTUAL,
    &RPC_CLIENT_DURATION,
    &RPC_SERVER_DURATION,
    &TARGET,
    &BUILD,
    &LAST_SUCCESS,
    &EXPORT_PANICS,
    &EXPORT_REQUESTS,
    &EXPORT_RETRIES,
    &LINES_FOLDED,
    &LINES_LOST,
    &MALFORMED_HEADERS,
    &FAMILIES_HIDDEN,
    &OVERFLOW,
    &REFUSED,
    &SCRAPE_FAILURES,
    &QUEUE_BYTES,
    &QUEUE_SPANS,
    &SPANS_DROPPED,
    &SPANS_EXPORTED,
    &TOKIO_TASKS,
    &TOKIO_QUEUE,
    &TOKIO_BUSY,
    &TOKIO_PARKS,
    &TOKIO_WORKERS,
];

const fn counter(name: &'static str, help: &'static str, labels: &'static [Label]) -> Desc {
    Desc {
        name,
        kind: Kind::Counter,
        help,
        labels,
        buckets: &[],
    }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [Label]) -> Desc {
    Desc {
        kind: Kind::Gauge,
        ..counter(name, help, labels)
    }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [Label],
    buckets: &'static [f64],
) -> Desc {
    Desc {
        kind: Kind::Histogram,
        buckets,
        ..counter(name, help, labels)
    }
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Closed(values),
    }
}

const fn bounded(name: &'static str, by: &'static str) -> Label {
    Label {
        name,
        values: Values::Bounded(by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_unit_and_kind_and_stand_in_order() {
        let names: Vec<_> = catalog().iter().map(|desc| desc.name).collect();
        assert!(names.is_sorted(), "{names:#?}");
        for desc in catalog() {
            let suffix = match desc.kind {
                Kind::Counter => desc.name.ends_with("_total"),
                Kind::Info => desc.name.ends_with("_info"),
                Kind::Gauge | Kind::Histogram => {
                    !desc.name.ends_with("_total") && !desc.name.ends_with("_info")
                }
            };
            assert!(suffix, "{}", desc.name);
            assert_eq!(desc.kind == Kind::Histogram, !desc.buckets.is_empty());
            assert!(desc.buckets.is_sorted(), "{}", desc.name);
            assert!(desc.help.ends_with('.'), "{}", desc.name);
        }
    }

    #[test]
    fn the_drop_reasons_are_those_that_are_counted() {
        let declared = match &SPANS_DROPPED.labels[0].values {
            Values::Closed(values) => *values,
            Values::Bounded(_) => &[],
        };
        let counted = crate::export::DropReason::ALL.map(crate::export::DropReason::label);
        assert_eq!(declared, counted);
    }
}
