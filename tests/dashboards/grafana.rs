//! The Grafana dashboards: files that work in anybody's Grafana, panels that say what they show and
//! what it means when they are empty, and only names that somebody emits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use stack_tests::{Tool, names_in, read, run, yaml};

use super::{alerts, metrics, rules};

/// Panels that every Grafana has.
const CORE: [&str; 5] = ["row", "stat", "timeseries", "table", "gauge"];
/// Declared, and on no panel and in no rule, each for a reason.
const UNUSED: [&str; 21] = [
    // The step tells of it as the alert StoreFull.
    "alert_router_store_full",
    // About one process: for whoever looks at its page.
    "alert_router_build_info",
    "alert_router_groups_cached",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "telemetry_build_info",
    "tokio_alive_tasks",
    "tokio_worker_parks_total",
    // Details behind a number that is shown.
    "alert_router_webhook_limited_total",
    "alert_router_config_reloads_total",
    "alert_router_alerts_observed_total",
    "alert_router_deliveries_in_flight",
    "alert_router_recipients_refused_total",
    "alert_router_step_duration_seconds",
    "alert_router_store_units_total",
    "alert_router_time_to_heard_seconds",
    "http_server_request_body_size_bytes",
    "http_server_response_body_size_bytes",
    "job_last_success_timestamp_seconds",
    "telemetry_span_queue_bytes",
];

/// One dashboard.
pub(super) struct Board {
    pub(super) file: String,
    json: Value,
}

impl Board {
    pub(super) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        let list = self.json.pointer(pointer).and_then(Value::as_array);
        list.unwrap_or_else(|| panic!("{}: no list at {pointer}", self.file))
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.list("/panels")
            .iter()
            .filter(|panel| panel["type"] != "row")
    }

    fn variables(&self) -> BTreeSet<&str> {
        let variables = self.list("/templating/list").iter();
        variables.filter_map(|it| it["name"].as_str()).collect()
    }

    /// Every expression with the place that it stands in.
    fn expressions(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for panel in self.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap_or_default().to_owned();
                found.push((format!("{}: {title}", self.file), expr));
            }
        }
        for annotation in self.list("/annotations/list") {
            let expr = annotation["expr"].as_str().unwrap_or_default().to_owned();
            found.push((format!("{}: annotation", self.file), expr));
        }
        found
    }
}

pub(super) fn boards() -> Vec<Board> {
    let board = |file: String| {
        let json = serde_json::from_str(&read(&file));
        let json = json.unwrap_or_else(|error| panic!("{file}: {error}"));
        Board { file, json }
    };
    names_in("dashboards/grafana", ".json")
        .into_iter()
        .map(board)
        .collect()
}

/// An expression as Prometheus gets it.
fn filled_in(expr: &str) -> String {
    let mut expr = expr
        .replace("$__rate_interval", "5m")
        .replace("$__range", "1h");
    for variable in ["env", "service", "route", "receiver"] {
        expr = expr.replace(&format!("\"${variable}\""), "\".*\"");
    }
    assert!(!expr.contains('$'), "an unknown variable in {expr}");
    expr
}

/// All values of `key`, at any depth.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key));
            map.values().for_each(|value| all(value, key, found));
        }
        Value::Array(list) => list.iter().for_each(|value| all(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_file_works_in_anybodys_grafana() {
    let (mut uids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for board in boards() {
        let file = &board.file;
        let text = read(file);
        assert!(
            !text.contains("__inputs") && !text.contains("${DS_"),
            "{file}"
        );
        assert!(board.json["id"].is_null(), "{file}: id is another server's");
        assert!(uids.insert(board.text("uid").to_owned()), "{file}: uid");
        assert!(
            titles.insert(board.text("title").to_owned()),
            "{file}: title"
        );
        assert_eq!(board.json["editable"], false, "{file}");
        assert!(
            board.list("/tags").contains(&"toolkit".into()),
            "{file}: tags"
        );
        let schema = board.json["schemaVersion"].as_u64();
        assert!(schema.is_some_and(|it| (39..=42).contains(&it)), "{file}");
        let mut sources = Vec::new();
        all(&board.json, "datasource", &mut sources);
        assert!(sources.len() > 10, "{file}: only {} sources", sources.len());
        for source in sources {
            assert_eq!(source["uid"], "${datasource}", "{file}: {source}");
        }
        for panel in board.list("/panels") {
            let kind = panel["type"].as_str().unwrap_or_default();
            assert!(CORE.contains(&kind), "{file}: {kind} is no core panel");
        }
    }
}

#[test]
fn variables_follow_the_time_and_select_one_some_or_all() {
    let exact = Regex::new(r#"[^~]"\$\w+""#).expect("a valid expression");
    for board in boards() {
        let file = &board.file;
        assert!(board.variables().contains("env"), "{file}: no env");
        for variable in board.list("/templating/list") {
            let name = &variable["name"];
            if variable["type"] == "datasource" || variable["type"] == "textbox" {
                continue;
            }
            assert_eq!(variable["refresh"], 2, "{file}: {name}");
            assert_eq!(variable["multi"], true, "{file}: {name}");
            assert_eq!(variable["allValue"], ".*", "{file}: {name}");
        }
        for (place, expr) in board.expressions() {
            assert!(!exact.is_match(&expr), "{place}: = instead of =~ in {expr}");
        }
    }
}

#[test]
fn rates_fit_the_scrape_interval_and_latencies_have_exemplars() {
    let window = Regex::new(r"\[([^\]]*)\]").expect("a valid expression");
    for board in boards() {
        for (place, expr) in board.expressions() {
            for found in window.captures_iter(&expr) {
                let known = ["$__rate_interval", "$__range"].contains(&&found[1]);
                assert!(known, "{place}: {expr}");
            }
        }
        let latencies = board.panels().filter(|panel| {
            panel["type"] == "timeseries"
                && panel["targets"].to_string().contains("histogram_quantile")
        });
        for panel in latencies {
            for target in panel["targets"].as_array().into_iter().flatten() {
                assert_eq!(
                    target["exemplar"], true,
                    "{}: {}",
                    board.file, panel["title"]
                );
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_what_it_means_when_it_is_empty() {
    for board in boards() {
        let mut titles = BTreeSet::new();
        for panel in board.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            let place = format!("{}: {title:?}", board.file);
            assert!(titles.insert(title) && !title.is_empty(), "{place}: title");
            let text = panel["description"].as_str().unwrap_or_default();
            assert!(
                text.contains("No data") && text.ends_with('.'),
                "{place}: {text:?}"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            for key in ["unit", "noValue"] {
                let set = defaults[key].as_str().is_some_and(|it| !it.is_empty());
                assert!(set, "{place}: {key}");
            }
            assert!(defaults["decimals"].is_u64(), "{place}: decimals");
            let targets = panel["targets"].as_array();
            assert!(targets.is_some_and(|it| !it.is_empty()), "{place}: targets");
            for target in targets.into_iter().flatten() {
                let legend = target["legendFormat"].as_str().unwrap_or_default();
                assert!(!["", "__auto"].contains(&legend), "{place}: legend");
            }
        }
    }
}

#[test]
fn panels_lie_side_by_side_on_one_grid() {
    for board in boards() {
        let mut taken = BTreeMap::new();
        for panel in board.list("/panels") {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(
                at("x") + at("w") <= 24,
                "{}: {}",
                board.file,
                panel["title"]
            );
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    let other = taken.insert((x, y), &panel["title"]);
                    assert!(
                        other.is_none(),
                        "{}: {other:?} and {}",
                        board.file,
                        panel["title"]
                    );
                }
            }
        }
    }
    let pipeline = boards()
        .into_iter()
        .find(|it| it.text("uid") == "toolkit-pipeline");
    let panels = pipeline.expect("the pipeline's dashboard").panels().count();
    assert!(panels <= 16, "{panels} panels do not fit one screen");
}

#[test]
fn dashboards_lead_to_each_other_and_alerts_lead_to_them() {
    let boards = boards();
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for board in &boards {
        let links = board.list("/links");
        let by_tag = links.iter().find(|link| link["tags"][0] == "toolkit");
        let link = by_tag.unwrap_or_else(|| panic!("{}: no link", board.file));
        for key in ["includeVars", "keepTime"] {
            assert_eq!(link[key], true, "{}: {key}", board.file);
        }
        known.insert(board.text("uid"), board.variables());
    }
    let target = Regex::new(r"/d/([\w-]+)(?:\?(\S*))?").expect("a valid expression");
    let variable = Regex::new(r"var-(\w+)=").expect("a valid expression");
    let check = |place: &str, url: &str| {
        let Some(found) = target.captures(url) else {
            return 0;
        };
        let variables = known.get(&found[1]);
        let variables = variables.unwrap_or_else(|| panic!("{place}: no dashboard {}", &found[1]));
        let given = found.get(2).map_or("", |it| it.as_str());
        for name in variable.captures_iter(given) {
            assert!(
                variables.contains(&name[1]),
                "{place}: no variable {}",
                &name[1]
            );
        }
        1
    };
    for alert in alerts() {
        let name = alert.text("alert");
        assert_eq!(check(name, alert.annotation("dashboard_url")), 1, "{name}");
    }
    let mut urls = Vec::new();
    boards
        .iter()
        .for_each(|board| all(&board.json, "url", &mut urls));
    let urls = urls.iter().filter_map(|url| url.as_str());
    assert!(urls.map(|url| check(url, url)).sum::<usize>() >= 2);
}

#[test]
fn every_metric_and_label_on_a_panel_is_emitted_by_somebody() {
    let (names, mut labels) = metrics::declared();
    // Prometheus' own ALERTS, the service graph, and the Collector's policies.
    for label in [
        "alertname",
        "alertstate",
        "severity",
        "client",
        "server",
        "policy",
        "sampled",
    ] {
        labels.insert(label.to_owned());
    }
    let values = Regex::new(r"label_values\((.*), (\w+)\)").expect("a valid expression");
    for board in boards() {
        let mut expressions = board.expressions();
        for variable in board.list("/templating/list") {
            let Some(query) = variable["definition"].as_str() else {
                continue;
            };
            let found = values.captures(query).unwrap_or_else(|| panic!("{query}"));
            assert!(labels.contains(&found[2]), "{}: {query}", board.file);
            expressions.push((
                format!("{}: {}", board.file, variable["name"]),
                found[1].to_owned(),
            ));
        }
        for (place, expr) in expressions {
            let (used, by) = metrics::named(&filled_in(&expr));
            let unknown: Vec<_> = used
                .difference(&names)
                .chain(by.difference(&labels))
                .collect();
            assert!(unknown.is_empty(), "{place}: {unknown:?} in\n{expr}");
        }
    }
}

#[test]
fn every_declared_metric_is_shown_or_says_why_not() {
    let mut used = BTreeSet::new();
    let shown = boards().into_iter().flat_map(|board| board.expressions());
    let expressions = shown.map(|(_, expr)| filled_in(&expr));
    let ruled = rules().into_iter().map(|rule| rule.text("expr").to_owned());
    for expr in expressions.chain(ruled) {
        used.extend(metrics::named(&expr).0);
    }
    let router = alert_router::metrics::Metrics::new();
    let router = router.declared().iter().map(|metric| metric.name.clone());
    let catalog = telemetry_lib::testing::catalog::catalog();
    let library = catalog.iter().map(|metric| metric.name.to_owned());
    let is_used = |name: &String| metrics::samples(name).iter().any(|it| used.contains(it));
    let unused: BTreeSet<String> = router
        .chain(library)
        .filter(|name| !is_used(name))
        .collect();
    let expected: BTreeSet<String> = UNUSED.map(str::to_owned).into();
    let new: Vec<_> = unused.difference(&expected).collect();
    let shown: Vec<_> = expected.difference(&unused).collect();
    assert!(new.is_empty(), "on no panel and in no rule: {new:?}");
    assert!(shown.is_empty(), "shown, and in UNUSED: {shown:?}");
}

#[test]
fn prometheus_reads_every_expression() {
    let Some(promtool) = Tool::Promtool.find("prometheus_reads_every_expression") else {
        return;
    };
    let mut file = String::from("groups:\n  - name: panels\n    rules:\n");
    let shown = boards().into_iter().flat_map(|board| board.expressions());
    for (n, (_, expr)) in shown.enumerate() {
        let expr = filled_in(&expr);
        writeln!(
            file,
            "      - {{record: 'panel:{n}', expr: '{}'}}",
            expr.replace('\'', "''")
        )
        .expect("a string grows");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("panels.yaml");
    std::fs::write(&path, file).expect("a file");
    let output = run(Command::new(promtool).args(["check", "rules"]).arg(path));
    assert!(output.contains("SUCCESS"), "{output}");
}

#[test]
fn provisioning_joins_metrics_traces_and_alerts() {
    let file = "dashboards/provisioning/datasources/toolkit.yaml";
    let sources = yaml(file);
    let sources = sources["datasources"].as_sequence().expect("a list");
    let uid = |kind: &str| {
        let source = sources
            .iter()
            .find(|source| source["type"].as_str() == Some(kind));
        source.unwrap_or_else(|| panic!("no {kind}"))["uid"].clone()
    };
    let of = |kind: &str| {
        let source = sources
            .iter()
            .find(|source| source["type"].as_str() == Some(kind));
        source.expect("found above")["jsonData"].clone()
    };
    let metrics = of("prometheus");
    assert_eq!(metrics["alertmanagerUid"], uid("alertmanager"));
    let exemplars = &metrics["exemplarTraceIdDestinations"][0];
    assert_eq!(exemplars["datasourceUid"], uid("jaeger"));
    assert_eq!(exemplars["name"].as_str(), Some("trace_id"));
    assert_eq!(
        of("jaeger")["tracesToMetrics"]["datasourceUid"],
        uid("prometheus")
    );
    // Grafana fills in what looks like a variable of the environment.
    let dollar = Regex::new(r"\$(\$|\{[A-Z_]+\})?").expect("a valid expression");
    for line in read(file)
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let value = line.split(" #").next().unwrap_or_default();
        for found in dollar.captures_iter(value) {
            assert!(found.get(1).is_some(), "a bare dollar in {line}");
        }
    }
    let boards = yaml("dashboards/provisioning/dashboards/toolkit.yaml");
    assert_eq!(
        boards["providers"][0]["allowUiUpdates"].as_bool(),
        Some(false)
    );
}
