//! The Grafana dashboards on the demo's Prometheus: every expression returns data, and what the load
//! must move is more than zeros.

use std::collections::BTreeSet;

use serde_json::Value;
use stack_tests::parts::{tell, until};
use stack_tests::{names_in, read};

use crate::demo::Demo;

/// Panels that are empty when all is well, or as long as something rare has not happened.
const EMPTY_IS_WELL: [&str; 13] = [
    "Left by the client",
    "Budgets that burn",
    "Spans refused",
    "Given up in this time",
    "Failures by reason",
    "Oldest news unheard",
    "Waiting for people",
    "Who waits for what",
    "What should be zero",
    // Nobody has given these up or tried again.
    "Export requests and retries",
    // A day and three days of them take longer than this test.
    "Errors: slow burn",
    "Slow requests: slow burn",
    "Alerts",
];

/// Panels that the demo's customers, its breaking and its end must move.
const MOVED: [&str; 19] = [
    "Requests",
    "Errors",
    "Requests by route",
    "Errors by route and kind",
    "Duration by route (p95)",
    "Calls to others",
    "HTTP requests made (p95)",
    "Callers",
    "gRPC calls answered",
    "Duration of gRPC calls answered (p95)",
    "Jobs by outcome",
    "Spans exported",
    "Spans in and out",
    "Traces kept",
    "Alerts received",
    "Messages by outcome",
    "Why people were told",
    "Time to heard (p50, p99)",
    "Heard within 5 minutes",
];

/// An expression as a panel asks for it.
struct Asked {
    title: String,
    place: String,
    expr: String,
    exemplar: bool,
}

/// # Panics
/// A panel has no data, or only zeros where something must have moved.
pub(crate) async fn return_data(demo: &Demo) {
    let (mut seen, mut empty) = (0, Vec::new());
    for asked in expressions() {
        let values = demo.values(&asked.expr).await;
        let values = values.unwrap_or_else(|error| panic!("{}: {error}", asked.place));
        if values.is_empty() && EMPTY_IS_WELL.contains(&asked.title.as_str()) {
            empty.push(asked.title);
            continue;
        }
        until(&asked.place, async || {
            let values = demo.values(&asked.expr).await?;
            let moved = values.iter().any(|value| *value != 0.0);
            match moved || (!values.is_empty() && !MOVED.contains(&asked.title.as_str())) {
                true => Ok(()),
                false => Err(format!("{values:?} of {}", asked.expr)),
            }
        })
        .await;
        seen += 1;
    }
    tell(&format!(
        "{seen} expressions of the dashboards have data; empty, as is well: {}",
        empty.join(", ")
    ));
    assert!(seen > 60, "only {seen} expressions");
}

/// # Panics
/// A graph that shows exemplars and that the load moves has none.
pub(crate) async fn have_exemplars(demo: &Demo) {
    let mut seen = BTreeSet::new();
    for asked in expressions().into_iter().filter(|asked| asked.exemplar) {
        until(&asked.place, async || {
            match demo.exemplars(&asked.expr).await? {
                none if none.is_empty() => Err(format!("no exemplar of {}", asked.expr)),
                some => Ok(some),
            }
        })
        .await;
        seen.insert(asked.title);
    }
    tell(&format!("panels with exemplars: {seen:?}"));
    assert!(seen.len() > 6, "{seen:?}");
}

/// All expressions of all panels, with every variable at All.
fn expressions() -> Vec<Asked> {
    let mut found = Vec::new();
    for file in names_in("dashboards/grafana", ".json") {
        let board: Value =
            serde_json::from_str(&read(&file)).expect("the dashboards test reads it");
        for panel in board["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap_or_default();
                found.push(Asked {
                    title: title.to_owned(),
                    place: format!("{file}: {title}: {}", target["legendFormat"]),
                    expr: filled_in(expr),
                    exemplar: target["exemplar"] == true,
                });
            }
        }
    }
    found
}

/// The variables as Grafana fills them in. Five minutes hold the whole test.
fn filled_in(expr: &str) -> String {
    let mut expr = expr.to_owned();
    for window in ["$__rate_interval", "$__range"] {
        expr = expr.replace(window, "5m");
    }
    for variable in ["env", "service", "route", "receiver"] {
        expr = expr.replace(&format!("\"${variable}\""), "\".*\"");
    }
    expr
}
