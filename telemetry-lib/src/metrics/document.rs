//! The document of the metrics, generated from their declarations so that it cannot fall behind.

use std::fmt::Write as _;

use super::catalog::{Desc, Kind, Label, Values, catalog};

const HEAD: &str = "\
# Metrics of telemetry-lib

Generated from the catalog in the code: `UPDATE_DOCS=1 cargo test -p telemetry-lib document`.

Names and labels are the same in every format. A label without a value is absent. A metric has at
most 2,000 series, those of calls 1,000, those of jobs 200. What is beyond is counted in one series
with `otel_metric_overflow=\"true\"`, and `telemetry_metric_overflow_total` says so. With `error_type`
among the labels, 4xx of servers and `cancelled` take at most half of the series, successes seven eighths, so that
no stranger's requests hide errors (methods and versions alone make 33 series of a route); errors
beyond the cap have an overflow of their own, with `error_type=\"_OTHER\"`.

| name | kind | labels | meaning |
| --- | --- | --- | --- |
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for Desc {
        name,
        kind,
        help,
        labels,
        ..
    } in catalog()
    {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let labels: Vec<String> = labels.iter().map(label).collect();
        let _ = writeln!(
            text,
            "| `{name}` | {kind} | {} | {help} |",
            labels.join("; ")
        );
    }
    text.push_str("\nBuckets:\n\n");
    for desc in catalog().iter().filter(|desc| desc.kind == Kind::Histogram) {
        let bounds: Vec<String> = desc.buckets.iter().map(f64::to_string).collect();
        let _ = writeln!(text, "- `{}`: {}", desc.name, bounds.join(", "));
    }
    text
}

fn label(label: &Label) -> String {
    match &label.values {
        Values::Closed(values) => format!("`{}`: {}", label.name, values.join(", ")),
        Values::Bounded(by) => format!("`{}`: {by}", label.name),
    }
}

#[test]
fn the_document_says_what_the_catalog_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        committed,
        document(),
        "run UPDATE_DOCS=1 cargo test -p telemetry-lib document"
    );
}
