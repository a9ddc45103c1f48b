//! The files of `dashboards/`: rules, their tests and runbooks, routes, and the names they rely on.

mod grafana;
mod inhibition;
mod links;
mod metrics;
mod router;
mod routes;
mod rules;

use serde_yaml::Value;
use stack_tests::{names_in, yaml};

/// One entry of a rule file: an alert, or a recorded series.
struct Rule {
    /// `slo` for `dashboards/rules/slo.yaml`.
    file: String,
    rule: Value,
}

impl Rule {
    /// The text at `key`, empty if there is none.
    fn text(&self, key: &str) -> &str {
        self.rule[key].as_str().unwrap_or_default()
    }

    fn annotation(&self, key: &str) -> &str {
        self.rule["annotations"][key].as_str().unwrap_or_default()
    }
}

/// All rules of all files.
fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for path in names_in("dashboards/rules", ".yaml") {
        let file = path
            .rsplit('/')
            .next()
            .expect("a path")
            .trim_end_matches(".yaml");
        let content = yaml(&path);
        for group in content["groups"].as_sequence().expect("groups") {
            for rule in group["rules"].as_sequence().expect("rules") {
                rules.push(Rule {
                    file: file.to_owned(),
                    rule: rule.clone(),
                });
            }
        }
    }
    rules
}

/// The alerts among them.
fn alerts() -> Vec<Rule> {
    let alerts: Vec<_> = rules()
        .into_iter()
        .filter(|rule| !rule.text("alert").is_empty())
        .collect();
    assert!(alerts.len() >= 20, "only {} alerts found", alerts.len());
    alerts
}
