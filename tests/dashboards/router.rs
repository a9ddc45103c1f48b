//! The config of alert-router that goes with Alertmanager's: the same sources, and each alert to its people.

use std::collections::BTreeSet;

use alert_router::config::{Config, Flags};
use alert_router::route_test;
use stack_tests::{read, yaml};
use tempfile::TempDir;

/// As a user has it: with the secrets beside it.
fn config() -> Config {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("alert-router.yaml");
    std::fs::write(&file, read("dashboards/alert-router.yaml")).expect("the folder is ours");
    for secret in ["smtp-password", "bot-key"] {
        std::fs::write(folder.path().join(secret), "a-secret").expect("the folder is ours");
    }
    Config::load(&file, &Flags::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_alert_finds_its_people_and_the_heartbeat_nobody() {
    let config = config();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    for (labels, receiver) in [
        ("alertname=Watchdog,severity=none", "nobody"),
        ("alertname=ServiceDown,severity=critical,env=prod", "oncall"),
        ("alertname=ServiceDown,severity=critical,env=dev", "page"),
        ("alertname=ServiceLatency,severity=warning,env=prod", "team"),
        ("alertname=SomebodyElses", "team"),
    ] {
        let read = route_test::labels(&[labels]).expect("labels");
        let report = route_test::report(&config, &read);
        let heard: Vec<&str> = report
            .split("\n\n")
            .skip(1)
            .filter_map(|one| one.lines().next())
            .collect();
        assert_eq!(heard, [receiver], "{labels}");
    }
}

/// Alertmanager posts to names, and the silence of the heartbeat is the one that counts.
#[test]
fn the_sources_are_those_that_alertmanager_posts_to() {
    let config = config();
    let alertmanager = yaml("dashboards/alertmanager.yml");
    let receivers = alertmanager["receivers"].as_sequence().expect("receivers");
    let urls = receivers
        .iter()
        .filter_map(|receiver| receiver["webhook_configs"][0]["url"].as_str());
    let named: BTreeSet<&str> = urls
        .filter_map(|url| url.split_once("/webhook/"))
        .map(|(_, source)| source)
        .collect();
    let known: BTreeSet<&str> = config.sources.keys().map(|name| name.as_str()).collect();
    assert_eq!(known, named);
    let silent: Vec<&str> = config
        .sources
        .iter()
        .filter(|(_, source)| source.silent_after.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(silent, ["watchdog"]);
}
