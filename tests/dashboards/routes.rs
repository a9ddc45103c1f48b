//! Prometheus' and Alertmanager's configs, judged by their own tools, and where each alert goes.

use std::process::Command;

use regex::Regex;
use stack_tests::{Tool, root, run, yaml};

use super::alerts;

const ALERTMANAGER: &str = "dashboards/alertmanager.yml";

#[test]
fn promtool_accepts_the_config() {
    let Some(promtool) = Tool::Promtool.find("promtool_accepts_the_config") else {
        return;
    };
    let output = run(Command::new(promtool)
        .args(["check", "config", "dashboards/prometheus.yml"])
        .current_dir(root()));
    assert!(output.contains("9 rule files found"), "{output}");
    assert!(!output.contains("WARNING"), "{output}");
}

#[test]
fn every_target_has_the_labels_service_and_env() {
    let config = yaml("dashboards/prometheus.yml");
    let jobs = config["scrape_configs"].as_sequence().expect("jobs");
    let targets = yaml("dashboards/targets/services.yaml");
    let fixed = jobs
        .iter()
        .filter_map(|job| job["static_configs"].as_sequence())
        .flatten();
    let groups: Vec<_> = fixed
        .chain(targets.as_sequence().expect("a list"))
        .collect();
    assert_eq!(groups.len(), jobs.len());
    for group in groups {
        for label in ["service", "env"] {
            assert!(group["labels"][label].is_string(), "{group:?}");
        }
    }
}

#[test]
fn amtool_accepts_the_config_and_routes_each_kind_to_its_receiver() {
    let test = "amtool_accepts_the_config_and_routes_each_kind_to_its_receiver";
    let Some(amtool) = Tool::Amtool.find(test) else {
        return;
    };
    let check = |arguments: &[&str]| run(Command::new(&amtool).args(arguments).current_dir(root()));
    assert!(check(&["check-config", ALERTMANAGER]).contains("SUCCESS"));
    for (labels, receiver) in [
        ("alertname=Watchdog severity=none", "watchdog"),
        (
            "alertname=AlertRouterDown severity=critical env=prod",
            "mail-directly",
        ),
        (
            "alertname=AlertRouterDown severity=critical env=dev",
            "mail-directly",
        ),
        (
            "alertname=AlertRouterStoreFailing severity=critical env=prod",
            "mail-directly",
        ),
        (
            "alertname=AlertRouterDeadLetters severity=critical env=prod",
            "mail-directly",
        ),
        (
            "alertname=AlertRouterQuarantines severity=warning env=prod",
            "alert-router",
        ),
        (
            "alertname=ServiceDown severity=critical env=prod",
            "alert-router-critical",
        ),
        (
            "alertname=ServiceDown severity=critical env=dev",
            "alert-router-dev",
        ),
        (
            "alertname=ServiceLatency severity=warning env=prod",
            "alert-router",
        ),
        ("alertname=SomebodyElses", "alert-router"),
    ] {
        let config = format!("--config.file={ALERTMANAGER}");
        let mut arguments = vec!["config", "routes", "test", &config];
        arguments.extend(labels.split(' '));
        assert_eq!(check(&arguments).trim(), receiver, "{labels}");
    }
}

/// A renamed alert would silently leave its route or its inhibition.
#[test]
fn every_alert_name_in_routes_and_inhibitions_exists() {
    let text = stack_tests::read(ALERTMANAGER);
    let names: Vec<String> = alerts()
        .iter()
        .map(|alert| alert.text("alert").to_owned())
        .collect();
    let matcher = Regex::new(r#"alertname(?:=|=~|!=)"([^"]+)""#).unwrap();
    let mut seen = 0;
    for found in matcher.captures_iter(&text) {
        for pattern in found[1].split('|') {
            let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
            assert!(names.iter().any(|name| pattern.is_match(name)), "{pattern}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} names found");
}

/// What makes alert-router deaf or late.
#[test]
fn the_webhooks_send_everything_also_the_end_and_soon() {
    let config = yaml(ALERTMANAGER);
    let receivers = config["receivers"].as_sequence().expect("receivers");
    let webhooks: Vec<_> = receivers
        .iter()
        .filter_map(|receiver| receiver["webhook_configs"].as_sequence())
        .flatten()
        .collect();
    assert_eq!(webhooks.len(), 4);
    for webhook in webhooks {
        assert_eq!(webhook["send_resolved"].as_bool(), Some(true));
        assert_eq!(webhook["max_alerts"].as_u64(), Some(0));
    }
    assert_eq!(config["route"]["group_interval"].as_str(), Some("10s"));
}
