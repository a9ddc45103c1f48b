//! Where the panels of the dashboards lead: to the runbook of what they show, and to the traces behind
//! it. And what they show agrees with the rules that send people to them.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use stack_tests::yaml;

use super::alerts;
use super::grafana::{Board, boards};

/// Asks Grafana's Explore for traces.
const TRACES: &str = "%22queryType%22:%22search%22";

fn urls(links: &Value) -> impl Iterator<Item = &str> {
    let links = links.as_array().into_iter().flatten();
    links.filter_map(|link| link["url"].as_str())
}

fn data_links(panel: &Value) -> String {
    let links = urls(&panel["fieldConfig"]["defaults"]["links"]);
    links.collect::<Vec<_>>().join(" ")
}

fn exprs(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.filter_map(|it| it["expr"].as_str()).collect()
}

fn board<'a>(boards: &'a [Board], uid: &str) -> &'a Board {
    let found = boards.iter().find(|board| board.text("uid") == uid);
    found.unwrap_or_else(|| panic!("no dashboard {uid}"))
}

#[test]
fn the_dashboard_of_an_alert_links_its_runbook_and_no_other_pages() {
    let uid = Regex::new(r"/d/([\w-]+)").expect("a valid expression");
    let boards = boards();
    let linked = |board: &Board| -> BTreeSet<String> {
        let links = board.panels().flat_map(|panel| urls(&panel["links"]));
        links.map(str::to_owned).collect()
    };
    let mut wanted = BTreeSet::new();
    for alert in alerts() {
        let name = alert.text("alert");
        let page = format!("${{runbooks:raw}}/{name}.md");
        let opens = &uid.captures(alert.annotation("dashboard_url")).expect(name)[1];
        let pages = linked(board(&boards, opens));
        assert!(pages.contains(&page), "{opens}: no panel links {name}");
        wanted.insert(page);
    }
    let all: BTreeSet<String> = boards.iter().flat_map(linked).collect();
    assert_eq!(all, wanted);
}

#[test]
fn runbooks_are_where_prometheus_says() {
    let config = yaml("dashboards/prometheus.yml");
    let place = &config["global"]["external_labels"]["runbooks_url"];
    for board in boards() {
        let mut variables = board.list("/templating/list").iter();
        let runbooks = variables.find(|it| it["name"] == "runbooks");
        let runbooks = runbooks.unwrap_or_else(|| panic!("{}: no runbooks", board.file));
        for value in [&runbooks["query"], &runbooks["current"]["value"]] {
            assert_eq!(value.as_str(), place.as_str(), "{}", board.file);
        }
    }
}

#[test]
fn errors_lead_to_failed_traces_and_durations_to_slow_ones() {
    let mut seen = 0;
    for board in boards() {
        let mut links = board.panels().map(data_links);
        assert!(links.any(|it| it.contains(TRACES)), "{}", board.file);
        for panel in board.panels().filter(|it| it["type"] == "timeseries") {
            let shown = exprs(panel).join(" ");
            if !panel["targets"].to_string().contains("{{service}}") {
                continue;
            }
            let failed = shown.contains("error_type!") || shown.contains("service:errors");
            let answers = shown.contains("_server_") && shown.contains("histogram_quantile");
            let slow = answers || shown.contains("service:slow");
            for (is, part) in [
                (failed, "%22tags%22:%22error%3Dtrue%22"),
                (slow, "%22minDuration%22:%22500ms%22"),
            ] {
                let has = data_links(panel).contains(part);
                assert_eq!(has, is, "{}: {}: {part}", board.file, panel["title"]);
                seen += usize::from(is);
            }
        }
    }
    assert!(seen >= 10, "only {seen} panels of errors and durations");
}

/// A burn alert compares two windows; whoever comes from it finds both in one panel.
#[test]
fn the_slo_board_shows_the_windows_of_the_rules_and_the_budget_of_thirty_days() {
    let pair =
        Regex::new(r"(service:\w+:ratio_rate\w+) > \S+ \* \S+ and (service:\w+:ratio_rate\w+)");
    let pair = pair.expect("a valid expression");
    let boards = boards();
    let slo = board(&boards, "toolkit-slo");
    let mut pairs = 0;
    for alert in alerts() {
        for found in pair.captures_iter(alert.text("expr")) {
            let shows = |panel: &Value, name: &str| {
                let name = format!("{name}{{");
                exprs(panel).iter().any(|expr| expr.contains(&name))
            };
            let both = |panel: &Value| shows(panel, &found[1]) && shows(panel, &found[2]);
            assert!(slo.panels().any(both), "{}: no panel", &found[0]);
            pairs += 1;
        }
    }
    assert_eq!(pairs, 8);
    let budgets = slo
        .panels()
        .filter(|it| exprs(it).join("").contains("$__range"));
    let times: Vec<_> = budgets.map(|panel| panel["timeFrom"].as_str()).collect();
    assert_eq!(times, [Some("30d"); 2]);
}

/// `short` hides what the number is per.
#[test]
fn a_rate_says_per_what_it_is() {
    let rate = Regex::new(r"^(?:60 \* )?(?:sum(?: by \([^)]*\))? ?\()?rate\([^/]*$");
    let rate = rate.expect("a valid expression");
    let mut seen = 0;
    for board in boards() {
        for panel in board.panels().filter(|it| it["type"] != "table") {
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            let shown = exprs(panel);
            let place = format!("{}: {}", board.file, panel["title"]);
            if shown.iter().any(|expr| expr.starts_with("60 * ")) {
                assert_eq!(unit, Some("cpm"), "{place}");
            }
            let legends = panel["targets"].to_string();
            let only_rates = shown.iter().all(|expr| rate.is_match(expr));
            if only_rates && !legends.contains("/s\"") && !legends.contains("cpu_seconds") {
                assert_ne!(unit, Some("short"), "{place}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "only {seen} rates");
}
