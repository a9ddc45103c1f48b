//! Every alert says what it means and where to look, has a runbook page, and has been seen to stay
//! quiet, to fire and to resolve.

use std::collections::BTreeSet;
use std::process::Command;

use stack_tests::{Tool, names_in, read, root, run, yaml};

use super::{alerts, rules};

const SEVERITIES: [&str; 3] = ["critical", "warning", "none"];
#[test]
fn every_alert_has_a_severity_texts_and_links() {
    for alert in alerts() {
        let name = alert.text("alert");
        let severity = alert.rule["labels"]["severity"]
            .as_str()
            .unwrap_or_default();
        assert!(
            SEVERITIES.contains(&severity),
            "{name}: severity {severity:?}"
        );
        for key in ["summary", "description"] {
            assert!(!alert.annotation(key).is_empty(), "{name}: {key}");
        }
        let board = alert.annotation("dashboard_url");
        assert!(
            board.starts_with("{{ $externalLabels.grafana_url }}/d/"),
            "{name}: {board}"
        );
        let traces = alert.annotation("trace_url");
        assert!(
            traces.starts_with("{{ $externalLabels.jaeger_url }}/search"),
            "{name}: {traces}"
        );
        let runbook = format!("{{{{ $externalLabels.runbooks_url }}}}/{name}.md");
        assert_eq!(alert.annotation("runbook_url"), runbook);
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let alerts = alerts();
    let pages: BTreeSet<String> = names_in("dashboards/runbooks", ".md").into_iter().collect();
    let wanted = |name: &str| format!("dashboards/runbooks/{name}.md");
    assert_eq!(
        pages,
        alerts
            .iter()
            .map(|alert| wanted(alert.text("alert")))
            .collect()
    );
    for alert in &alerts {
        let (name, file) = (alert.text("alert"), &alert.file);
        let page = read(&wanted(name));
        let severity = alert.rule["labels"]["severity"]
            .as_str()
            .unwrap_or_default();
        let head = format!(
            "# {name}\n\nSeverity: {severity}. Rule: [`{file}.yaml`](../rules/{file}.yaml).\n"
        );
        assert!(
            page.starts_with(&head),
            "{name}: begins otherwise than\n{head}"
        );
        for section in [
            "## What it means",
            "## Look here first",
            "## What usually fixes it",
        ] {
            assert!(page.contains(section), "{name}: {section}");
        }
    }
}

/// The Watchdog is the exception: it never stays quiet.
#[test]
fn every_alert_is_tested_quiet_firing_and_resolved() {
    for alert in alerts() {
        let name = alert.text("alert");
        let tests = yaml(&format!("dashboards/rules/tests/{}.yaml", alert.file));
        let tests = tests["tests"].as_sequence().expect("a list of tests");
        let cases = tests
            .iter()
            .filter_map(|test| test["alert_rule_test"].as_sequence())
            .flatten();
        let firing: Vec<bool> = cases
            .filter(|case| case["alertname"].as_str() == Some(name))
            .map(|case| {
                case["exp_alerts"]
                    .as_sequence()
                    .is_some_and(|alerts| !alerts.is_empty())
            })
            .collect();
        let expected: &[bool] = if name == "Watchdog" {
            &[true]
        } else {
            &[false, true, false]
        };
        assert_eq!(firing, expected, "{name}");
    }
}

#[test]
fn every_recorded_series_is_tested() {
    for rule in rules()
        .iter()
        .filter(|rule| !rule.text("record").is_empty())
    {
        let name = rule.text("record");
        let tests = read(&format!("dashboards/rules/tests/{}.yaml", rule.file));
        assert!(tests.contains(&format!("round({name},")), "{name}");
    }
}

#[test]
fn promtool_sees_all_rules_behave_as_tested() {
    let Some(promtool) = Tool::Promtool.find("promtool_sees_all_rules_behave_as_tested") else {
        return;
    };
    for (check, folder) in [
        (["check", "rules"], "dashboards/rules"),
        (["test", "rules"], "dashboards/rules/tests"),
    ] {
        let files = names_in(folder, ".yaml");
        let output = run(Command::new(&promtool)
            .args(check)
            .args(files)
            .current_dir(root()));
        assert!(!output.contains("FAILED"), "{output}");
    }
}

/// The Collector keeps every trace that the latency objective counts as bad.
#[test]
fn the_latency_objective_is_the_collectors_threshold_for_slow() {
    let collector = read("otel-collector-config.yaml");
    assert!(collector.contains("threshold_ms: ${env:TRACE_SLOW_MS:-500}"));
    let recorded: Vec<_> = rules()
        .into_iter()
        .filter(|rule| rule.text("record").contains("service:slow"))
        .collect();
    assert_eq!(recorded.len(), 14, "seven windows of two protocols");
    for rule in recorded {
        assert!(
            rule.text("expr").contains(r#"le="0.5""#),
            "{}",
            rule.text("record")
        );
    }
}

/// Whatever a service serves, somebody hears that it fails or is slow.
#[test]
fn every_kind_of_server_has_alerts_for_errors_and_for_latency() {
    let alerts = alerts();
    let asks = |wanted: &[&str]| {
        let mut exprs = alerts.iter().map(|alert| alert.text("expr"));
        exprs.any(|expr| wanted.iter().all(|part| expr.contains(part)))
    };
    let mut servers = 0;
    for metric in telemetry_lib::testing::catalog::catalog() {
        let name = metric.name;
        if name.contains("_server_") && name.ends_with("_duration_seconds") {
            assert!(asks(&[&format!("{name}_count{{error_type!")]), "{name}");
            assert!(
                asks(&["histogram_quantile", &format!("{name}_bucket")]),
                "{name}"
            );
            servers += 1;
        }
    }
    assert!(servers >= 2, "only {servers} kinds of servers");
}
