//! Every metric and label that a rule names is declared by who emits it: alert-router and
//! telemetry-lib by their catalogs, the Collector by a list that the test `collector` holds against
//! the real one.

use std::collections::BTreeSet;

use regex::Regex;

use super::rules;

/// Labels that Prometheus, the target or a recording rule adds, and those of the Collector's own metrics.
const LABELS: [&str; 8] = [
    "job", "instance", "service", "env", "le", "exporter", "receiver", "protocol",
];

/// The names of a metric on the page: a histogram has three.
pub(super) fn samples(name: &str) -> Vec<String> {
    let suffixes = ["", "_bucket", "_count", "_sum"];
    suffixes
        .iter()
        .map(|suffix| format!("{name}{suffix}"))
        .collect()
}

/// All names and all labels that are declared.
pub(super) fn declared() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut names = BTreeSet::from(["up".to_owned()]);
    let mut labels: BTreeSet<String> = LABELS.map(str::to_owned).into();
    for metric in alert_router::metrics::Metrics::new().declared() {
        names.extend(samples(&metric.name));
        labels.extend(metric.labels.iter().cloned());
    }
    for metric in telemetry_lib::testing::catalog::catalog() {
        names.extend(samples(metric.name));
        labels.extend(metric.labels.iter().map(|label| label.name.to_owned()));
    }
    let collector = [
        include_str!("../testdata/collector-metrics.txt"),
        include_str!("../testdata/collector-failures.txt"),
    ];
    names.extend(
        collector
            .iter()
            .flat_map(|list| list.lines())
            .map(str::to_owned),
    );
    names.extend(rules().iter().map(|rule| rule.text("record").to_owned()));
    (names, labels)
}

/// The metrics and labels that an expression names. Metrics are the words that are neither functions
/// nor keywords, outside of braces, quotes, ranges and label lists.
pub(super) fn named(expr: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let lists = Regex::new(r"\b(?:by|on) \(([^)]*)\)").expect("a valid expression");
    let braces = Regex::new(r"\{([^}]*)\}").expect("a valid expression");
    let label = Regex::new(r#"(\w+)(?:=|!=|=~|!~)""#).expect("a valid expression");
    let ranges = Regex::new(r"\[\w+\]|offset \w+").expect("a valid expression");
    let word = Regex::new(r"\b([a-z_][a-z0-9_:]*)\b *(\()?").expect("a valid expression");
    let mut labels = BTreeSet::new();
    for list in lists.captures_iter(expr) {
        labels.extend(list[1].split(", ").map(str::to_owned));
    }
    for brace in braces.captures_iter(expr) {
        labels.extend(
            label
                .captures_iter(&brace[1])
                .map(|label| label[1].to_owned()),
        );
    }
    let rest = lists.replace_all(expr, "");
    let rest = braces.replace_all(&rest, "");
    let rest = ranges.replace_all(&rest, "");
    let keywords = ["and", "or", "unless", "sum", "max", "min", "count"];
    let metrics = word
        .captures_iter(&rest)
        .filter(|word| word.get(2).is_none() && !keywords.contains(&&word[1]))
        .map(|word| word[1].to_owned());
    (metrics.collect(), labels)
}

#[test]
fn every_metric_and_label_in_a_rule_is_emitted_by_somebody() {
    let (metrics, labels) = declared();
    let mut seen = BTreeSet::new();
    for rule in rules() {
        let expr = rule.text("expr");
        let (used, by) = named(expr);
        let unknown: Vec<_> = used
            .difference(&metrics)
            .chain(by.difference(&labels))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?} in\n{expr}");
        seen.extend(used);
    }
    assert!(seen.len() > 30, "only {seen:?} found");
}

#[test]
fn the_reader_of_expressions_sees_metrics_and_labels() {
    let expr =
        r#"sum by (a, b) (rate(x_total{c="d, e",f!~"|g"}[5m])) > 1 and on (h) y:z offset 1h"#;
    let (metrics, labels) = named(expr);
    assert_eq!(metrics, ["x_total", "y:z"].map(str::to_owned).into());
    assert_eq!(labels, ["a", "b", "c", "f", "h"].map(str::to_owned).into());
}
