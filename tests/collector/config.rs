//! What can be wrong in `otel-collector-config.yaml` without the Collector noticing, or only after
//! the deployment: unused parts, order, old names, limits, endpoints.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_yaml::Value;
use stack_tests::yaml;

const CONFIG: &str = "otel-collector-config.yaml";
const MANIFEST: &str = "demo/parts/otelcol-builder.yaml";
const KINDS: [&str; 5] = [
    "extensions",
    "receivers",
    "processors",
    "exporters",
    "connectors",
];

/// Module of the manifest → current name of its component. Old names still load and only warn.
const NAMES: [(&str, &str); 12] = [
    ("otlpreceiver", "otlp"),
    ("memorylimiterprocessor", "memory_limiter"),
    ("resourceprocessor", "resource"),
    ("tailsamplingprocessor", "tail_sampling"),
    ("debugexporter", "debug"),
    ("otlpexporter", "otlp_grpc"),
    ("prometheusexporter", "prometheus"),
    ("forwardconnector", "forward"),
    ("spanmetricsconnector", "span_metrics"),
    ("servicegraphconnector", "service_graph"),
    ("healthcheckextension", "health_check"),
    ("filestorage", "file_storage"),
];

fn keys(value: &Value) -> BTreeSet<String> {
    let mapping = value.as_mapping().into_iter().flatten();
    mapping
        .filter_map(|(key, _)| Some(key.as_str()?.to_owned()))
        .collect()
}

fn list(value: &Value) -> Vec<String> {
    let items = value.as_sequence().into_iter().flatten();
    items
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

fn pipelines(config: &Value) -> BTreeMap<String, &Value> {
    let pipelines = &config["service"]["pipelines"];
    keys(pipelines)
        .into_iter()
        .map(|name| (name.clone(), &pipelines[name.as_str()]))
        .collect()
}

/// All names that pipelines use on one side.
fn used(config: &Value, side: &str) -> BTreeSet<String> {
    pipelines(config)
        .values()
        .flat_map(|pipeline| list(&pipeline[side]))
        .collect()
}

/// Calls `see` with the path and text of every scalar below `value`.
fn scalars(value: &Value, path: &str, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Mapping(mapping) => {
            for (key, below) in mapping {
                scalars(
                    below,
                    &format!("{path}.{}", key.as_str().unwrap_or("?")),
                    see,
                );
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| scalars(item, path, see)),
        Value::Tagged(tagged) => scalars(&tagged.value, path, see),
        Value::String(text) => see(path, text),
        Value::Number(number) => see(path, &number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn every_component_is_defined_once_and_used() {
    let config = yaml(CONFIG);
    let connectors = keys(&config["connectors"]);
    let with_connectors = |kind: &str| &keys(&config[kind]) | &connectors;
    assert_eq!(used(&config, "receivers"), with_connectors("receivers"));
    assert_eq!(used(&config, "exporters"), with_connectors("exporters"));
    assert_eq!(used(&config, "processors"), keys(&config["processors"]));
    let enabled: BTreeSet<String> = list(&config["service"]["extensions"]).into_iter().collect();
    assert_eq!(enabled, keys(&config["extensions"]));
}

#[test]
fn the_manifest_builds_what_the_config_names_and_debug() {
    let (config, manifest) = (yaml(CONFIG), yaml(MANIFEST));
    let names = BTreeMap::from(NAMES);
    for kind in KINDS {
        let modules = manifest[kind].as_sequence().expect("a list of modules");
        let built: BTreeSet<&str> = modules
            .iter()
            .map(|module| {
                let path = module["gomod"].as_str().expect("gomod: path version");
                let (path, _) = path.split_once(' ').expect("path version");
                let module = path.rsplit('/').next().expect("a path");
                *names
                    .get(module)
                    .unwrap_or_else(|| panic!("{module} has no name in NAMES"))
            })
            .filter(|name| *name != "debug")
            .collect();
        let configured = keys(&config[kind]);
        let configured: BTreeSet<&str> = configured
            .iter()
            .filter_map(|name| name.split('/').next())
            .collect();
        assert_eq!(built, configured, "{kind}");
    }
}

#[test]
fn all_modules_of_the_manifest_stay_on_one_minor_version() {
    let manifest = yaml(MANIFEST);
    let mut versions = BTreeSet::new();
    scalars(&manifest, "", &mut |path, text| {
        if path.ends_with("gomod") {
            versions.extend(text.split_once(" v").map(|(_, version)| version.to_owned()));
        }
    });
    assert_eq!(
        versions,
        BTreeSet::from(["0.158.0".to_owned(), "1.64.0".to_owned()])
    );
}

#[test]
fn the_memory_limiter_comes_first_wherever_data_comes_in() {
    let config = yaml(CONFIG);
    let network = keys(&config["receivers"]);
    for (name, pipeline) in pipelines(&config) {
        if list(&pipeline["receivers"])
            .iter()
            .any(|receiver| network.contains(receiver))
        {
            assert_eq!(list(&pipeline["processors"])[0], "memory_limiter", "{name}");
        }
    }
}

#[test]
fn numbers_come_from_the_full_stream_and_exemplars_from_what_is_kept() {
    let config = yaml(CONFIG);
    for (name, pipeline) in pipelines(&config) {
        let samples = list(&pipeline["processors"]).contains(&"tail_sampling".to_owned());
        for exporter in list(&pipeline["exporters"]) {
            let exemplars = &config["connectors"][exporter.as_str()]["exemplars"]["enabled"];
            if let Some(exemplars) = exemplars.as_bool() {
                assert_eq!(exemplars, samples, "{exporter} in {name}");
            }
            assert!(
                !(samples && exporter == "service_graph"),
                "{exporter} in {name}"
            );
        }
    }
}

#[test]
fn the_kept_span_metrics_differ_in_name_and_exemplars_only() {
    let config = yaml(CONFIG);
    let strip = |name: &str| {
        let mut connector = config["connectors"][name].clone();
        let mapping = connector.as_mapping_mut().expect("a mapping");
        mapping.remove("namespace");
        mapping.remove("exemplars");
        connector
    };
    assert_eq!(strip("span_metrics"), strip("span_metrics/kept"));
}

#[test]
fn traces_on_their_way_to_jaeger_are_on_disk_and_never_given_up() {
    let config = yaml(CONFIG);
    let exporter = &config["exporters"]["otlp_grpc/jaeger"];
    assert_eq!(
        exporter["retry_on_failure"]["max_elapsed_time"].as_u64(),
        Some(0)
    );
    let queue = &exporter["sending_queue"];
    assert_eq!(queue["sizer"].as_str(), Some("items"));
    assert!(
        queue["queue_size"].as_u64() >= Some(8192),
        "below the batch's minimum"
    );
    let storage = queue["storage"].as_str().expect("a persistent queue");
    assert_eq!(config["extensions"][storage]["fsync"].as_bool(), Some(true));
    assert!(list(&config["service"]["extensions"]).contains(&storage.to_owned()));
}

#[test]
fn the_sampler_keeps_errors_slow_ones_exemplars_alerts_and_a_baseline() {
    let config = yaml(CONFIG);
    let sampling = &config["processors"]["tail_sampling"];
    let policies = sampling["policies"].as_sequence().expect("a list");
    let names: Vec<_> = policies
        .iter()
        .filter_map(|policy| policy["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "drop-probes",
            "errors",
            "slow",
            "exemplars",
            "alerts-that-came",
            "alerts-told",
            "baseline"
        ]
    );
    assert_eq!(
        policies[3]["string_attribute"],
        serde_yaml::from_str::<Value>("{key: exemplar, values: ['true']}").unwrap()
    );
    assert_eq!(
        sampling["decision_wait_after_root_received"].as_str(),
        Some("${env:TRACE_DECISION_WAIT_AFTER_ROOT:-3s}")
    );
}

/// Every place where a program listens or connects, or writes, can be moved, and is private unless
/// somebody moves it.
#[test]
fn every_endpoint_comes_from_the_environment_with_a_loopback_default() {
    let variable = Regex::new(r"^\$\{env:[A-Z_]+:-([^}]+)\}$").unwrap();
    for file in [CONFIG, "dashboards/jaeger.yaml"] {
        let mut seen = 0;
        scalars(&yaml(file), "", &mut |path, text| {
            let key = path.rsplit('.').next().unwrap_or_default();
            assert!(!text.contains("0.0.0.0"), "{file}: {path}");
            if !["endpoint", "host", "port", "directory"].contains(&key) {
                return;
            }
            let default = variable
                .captures(text)
                .unwrap_or_else(|| panic!("{file}: {path}: {text}"));
            let default = &default[1];
            let private = match key {
                "port" => default.parse::<u16>().is_ok(),
                "directory" => default.starts_with("./data/"),
                _ => default
                    .trim_start_matches("http://")
                    .starts_with("127.0.0.1"),
            };
            assert!(private, "{file}: {path}: {default}");
            seen += 1;
        });
        assert!(seen >= 6, "{file}: only {seen} endpoints found");
    }
}
