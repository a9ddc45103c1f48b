//! Inside the process: what was configured, whether spans of `tracing` come to us, what became of
//! them so far.

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator as _;
use tracing::{Level, dispatcher};

use super::{Diagnosis, versions};
use crate::config::{Config, TraceConfig};
use crate::engine::{self, HIDDEN, UNHIDE};
use crate::export::{ExportHealth, Left};

pub(super) fn look(config: &Config, health: &ExportHealth, found: &mut Diagnosis) {
    if config.disabled {
        found.problem(
            "switched off",
            "OTEL_SDK_DISABLED is true: nothing is recorded",
            "unset it, or set it to false",
        );
    } else if config.exporter.is_none() {
        found.problem(
            "switched off",
            "OTEL_TRACES_EXPORTER is none: spans have ids and go nowhere, whatever the endpoint is",
            "unset it, or set it to otlp",
        );
    }
    variables(config, found);
    if !config.disabled {
        subscriber(found);
        sampler(&config.traces, found);
        propagators(&config.traces, found);
    }
    versions::look(found);
    history(health, found);
}

fn variables(config: &Config, found: &mut Diagnosis) {
    for invalid in &config.invalid {
        found.warning(
            "variables",
            invalid.to_string(),
            "correct its value, or unset it",
        );
    }
    if !config.unused.is_empty() {
        found.warning(
            "variables",
            format!("set, but without effect here: {}", config.unused.join(", ")),
            "unset them; metrics are pulled from /metrics, log lines go to stdout",
        );
    }
}

/// Asks the dispatcher of this thread; a subscriber that hides its layers looks like one without.
fn subscriber(found: &mut Diagnosis) {
    if !dispatcher::get_default(engine::is_in) {
        found.problem(
            "subscriber",
            "the tracing subscriber of this thread has no layer of ours: spans are not recorded",
            "call init with Config::install_subscriber(false), then build the subscriber with \
             .with(telemetry.tracing_layer())",
        );
    } else if !tracing::span_enabled!(target: "telemetry_lib::http", Level::INFO) {
        found.problem(
            "subscriber",
            format!("{HIDDEN} server spans (target telemetry_lib::http, INFO)"),
            UNHIDE,
        );
    } else {
        found.good("subscriber", "spans of tracing come to our layer");
    }
}

fn sampler(traces: &TraceConfig, found: &mut Diagnosis) {
    let sampler = traces.sampler;
    let follows = match sampler.parent_based {
        true => "as the caller decided, else ",
        false => "",
    };
    let share = format!("{follows}{} % of traces", sampler.ratio * 100.0);
    if sampler.ratio > 0.0 {
        found.good("sampler", share);
    } else {
        found.warning(
            "sampler",
            format!("{share}: no trace begins here"),
            "choose another OTEL_TRACES_SAMPLER, or a larger OTEL_TRACES_SAMPLER_ARG",
        );
    }
}

fn propagators(traces: &TraceConfig, found: &mut Diagnosis) {
    let ours: Vec<&str> = traces.propagators.fields().collect();
    if ours.is_empty() {
        found.warning(
            "propagators",
            "none: each service begins traces of its own",
            "set OTEL_PROPAGATORS to tracecontext,baggage, or unset it",
        );
        return;
    }
    let names = ours.join(", ");
    // The API's own default carries no header, and then nobody uses it.
    let same = global::get_text_map_propagator(|set| {
        set.fields().next().is_none() || set.fields().eq(ours.iter().copied())
    });
    match same {
        true => found.good("propagators", format!("headers {names}")),
        false => found.warning(
            "propagators",
            format!(
                "our layers use the headers {names}, the global propagator of OpenTelemetry others"
            ),
            "set no propagator of your own before init",
        ),
    }
}

fn history(health: &ExportHealth, found: &mut Diagnosis) {
    let report = health.report(Left::default());
    let dropped = report.dropped;
    let lost = dropped.queue_full + dropped.export_failed + dropped.rejected;
    let so_far = format!(
        "so far {} spans exported; dropped: {} queue full, {} export failed, {} rejected",
        report.exported, dropped.queue_full, dropped.export_failed, dropped.rejected
    );
    match lost {
        0 => found.good("spans", so_far),
        _ => found.warning(
            "spans",
            so_far,
            "the steps below say why; a full queue alone asks for OTEL_BSP_MAX_QUEUE_SIZE",
        ),
    }
}
