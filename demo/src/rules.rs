//! The alert rules of the repository in a hurry: every window and wait is a sixth, so that what takes
//! minutes in production takes seconds in front of an audience. Nothing else of a rule changes.

use serde_yaml::Value;

use crate::Failure;

/// A minute of production is ten seconds here: the shortest window still sees five samples.
const HURRY: u64 = 6;
/// Waits do not become shorter than the evaluation interval.
const LEAST_SECONDS: u64 = 2;

/// The files of the repository, by name.
const FILES: [(&str, &str); 7] = [
    (
        "alert-router",
        include_str!("../../dashboards/rules/alert-router.yaml"),
    ),
    (
        "collector",
        include_str!("../../dashboards/rules/collector.yaml"),
    ),
    (
        "runtime",
        include_str!("../../dashboards/rules/runtime.yaml"),
    ),
    (
        "service",
        include_str!("../../dashboards/rules/service.yaml"),
    ),
    ("slo", include_str!("../../dashboards/rules/slo.yaml")),
    (
        "telemetry",
        include_str!("../../dashboards/rules/telemetry.yaml"),
    ),
    (
        "watchdog",
        include_str!("../../dashboards/rules/watchdog.yaml"),
    ),
];

/// Alerts that cannot end in a demo: a minute of errors in ten minutes of life is more than the
/// budget of a month, and a budget does not come back when one presses "heal".
const LEFT_OUT: &str = "slo";

/// Names and texts of all rule files of the demo. The texts are JSON, which is YAML.
pub(crate) fn files() -> Result<Vec<(String, String)>, Failure> {
    let hurried = FILES.iter().map(|(name, text)| {
        let text = hurried(text).map_err(|error| format!("rules/{name}.yaml: {error}"))?;
        Ok((format!("{name}.yaml"), text))
    });
    hurried.collect()
}

fn hurried(text: &str) -> Result<String, Failure> {
    let mut file: Value = serde_yaml::from_str(text)?;
    let groups = file["groups"].as_sequence_mut().ok_or("no groups")?;
    groups.retain(|group| group["name"] != LEFT_OUT);
    for group in groups {
        let rules = group["rules"].as_sequence_mut().ok_or("no rules")?;
        for rule in rules {
            hurry(rule)?;
        }
    }
    Ok(format!("{:#}\n", serde_json::to_value(&file)?))
}

fn hurry(rule: &mut Value) -> Result<(), Failure> {
    let expression = rule["expr"].as_str().ok_or("a rule without expr")?;
    rule["expr"] = windows(expression)?.into();
    if let Some(wait) = rule.get("for").and_then(Value::as_str) {
        rule["for"] = shorter(wait).ok_or_else(|| format!("for: {wait}"))?.into();
    }
    let annotations = rule.get_mut("annotations");
    if let Some(description) = annotations.and_then(|all| all.get_mut("description")) {
        let text = description.as_str().unwrap_or_default();
        *description = format!("{text} (In this demo all windows and waits are a sixth.)").into();
    }
    Ok(())
}

/// The expression with shorter ranges (`[5m]`) and offsets.
fn windows(expression: &str) -> Result<String, Failure> {
    let mut hurried = String::new();
    let mut rest = expression;
    while let Some(at) = ["[", "offset "]
        .iter()
        .filter_map(|word| Some(rest.find(word)? + word.len()))
        .min()
    {
        let (before, after) = rest.split_at(at);
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(after.len());
        let (window, after) = after.split_at(end);
        hurried.push_str(before);
        hurried.push_str(&shorter(window).ok_or_else(|| format!("window {window}"))?);
        rest = after;
    }
    hurried.push_str(rest);
    Ok(hurried)
}

/// A sixth of a duration with one unit.
fn shorter(duration: &str) -> Option<String> {
    let (number, unit) = duration.split_at_checked(duration.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)? / HURRY;
    Some(format!("{}s", seconds.max(LEAST_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_waits_and_offsets_are_a_sixth_and_nothing_else_changes() {
        let expression = "rate(a{le=\"0.5\"}[5m]) > 0.05 and rate(a[1m] offset 1h) == 0";
        let expected = "rate(a{le=\"0.5\"}[50s]) > 0.05 and rate(a[10s] offset 600s) == 0";
        assert_eq!(windows(expression).unwrap(), expected);
        assert_eq!(shorter("30s").unwrap(), "5s");
        assert_eq!(shorter("5s").unwrap(), "2s");
        assert_eq!(shorter("3d").unwrap(), "43200s");
        for odd in ["", "5", "m", "1h30m", "５分"] {
            assert_eq!(shorter(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_rule_of_the_repository_is_here_but_for_the_budgets() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/rules");
        let yaml = |name: &String| name.ends_with(".yaml");
        let names = std::fs::read_dir(folder).unwrap();
        let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(yaml).collect();
        names.sort();
        let ours = files().unwrap();
        assert_eq!(
            ours.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            names.iter().collect::<Vec<_>>()
        );
        let (_, slo) = ours.iter().find(|(name, _)| name == "slo.yaml").unwrap();
        assert!(slo.contains("service:http_errors:ratio_rate5m"), "{slo}");
        assert!(!slo.contains("SloErrorsBurnFast"), "{slo}");
    }

    #[test]
    fn an_alert_says_that_its_windows_are_shorter() {
        let (_, service) = &files().unwrap()[3];
        let service: serde_json::Value = serde_json::from_str(service).unwrap();
        let errors = &service["groups"][0]["rules"][1];
        assert_eq!(errors["alert"], "ServiceErrors");
        assert_eq!(errors["for"], "5s");
        assert!(
            errors["expr"].as_str().unwrap().contains("[10s]"),
            "{errors}"
        );
        let description = errors["annotations"]["description"].as_str().unwrap();
        assert!(description.ends_with("a sixth.)"), "{description}");
    }
}
