//! Variables that switch something on or off, or are not for this crate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::vars::Vars;

/// What would change a setting in another SDK must not pass in silence here.
pub(super) fn report_unsupported(vars: &mut Vars) {
    if vars.text("OTEL_CONFIG_FILE").is_some() {
        vars.report("OTEL_CONFIG_FILE", "read by this build");
    }
    // Lines go to stdout whatever the exporter of log records is; there is none for OTLP.
    let words = [("console", ()), ("none", ())];
    vars.word(&["OTEL_LOGS_EXPORTER"], "console or none", &words);
}

pub(super) fn exports_traces(vars: &mut Vars) -> bool {
    let words = [("otlp", true), ("none", false)];
    vars.word(&["OTEL_TRACES_EXPORTER"], "otlp or none", &words)
        .unwrap_or(true)
}

/// Metrics are pulled; pushing them as well would give Prometheus every series twice.
pub(super) fn serves_metrics(vars: &mut Vars) -> bool {
    let words = [("prometheus", true), ("none", false)];
    vars.word(&["OTEL_METRICS_EXPORTER"], "prometheus or none", &words)
        .unwrap_or(true)
}

pub(super) fn takes_exemplars(vars: &mut Vars) -> bool {
    let words = [("trace_based", true), ("always_off", false)];
    let expected = "trace_based or always_off";
    vars.word(&["OTEL_METRICS_EXEMPLAR_FILTER"], expected, &words)
        .unwrap_or(true)
}

/// The port alone opens the listener; the specification's default host is the loopback.
pub(super) fn read_admin(vars: &mut Vars) -> Option<SocketAddr> {
    let host = vars.read(
        &["OTEL_EXPORTER_PROMETHEUS_HOST"],
        "an IP address or localhost",
        |value| match value.eq_ignore_ascii_case("localhost") {
            true => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            false => value.parse().ok(),
        },
    );
    let port = vars.read(&["OTEL_EXPORTER_PROMETHEUS_PORT"], "a port", |value| {
        value.parse().ok()
    })?;
    let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Some(SocketAddr::new(host, port))
}

/// The level of our own lines on stderr. They are warnings, so there are two answers.
pub(super) fn is_silent(vars: &mut Vars) -> bool {
    vars.read(
        &["OTEL_LOG_LEVEL"],
        "none, error, warn, info, debug or trace",
        |value| match value.to_ascii_lowercase().as_str() {
            "none" | "off" | "fatal" | "error" => Some(true),
            "warn" | "warning" | "info" | "debug" | "trace" | "verbose" | "all" => Some(false),
            _ => None,
        },
    )
    .unwrap_or(false)
}
