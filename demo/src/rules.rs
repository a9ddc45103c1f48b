//! The alert rules of the repository in a hurry: every window and wait is a sixth, and for error budgets a
//! thirtieth, so that what takes minutes in production takes seconds in front of an audience, and what takes
//! days takes minutes. Nothing else of a rule changes.

use serde_yaml::Value;

use crate::Failure;

/// How much faster the time of a rule runs. A shortest window of ten seconds still sees five samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hurry {
    /// A minute of production is ten seconds.
    Sixth,
    /// Budgets: five minutes of production are ten seconds, and the budget of thirty days is that of one.
    Thirtieth,
}

/// Waits do not become shorter than the evaluation interval.
const LEAST_SECONDS: u64 = 2;

use Hurry::{Sixth, Thirtieth};

/// The files of the repository, by name.
const FILES: [(&str, Hurry, &str); 9] = [
    (
        "alert-router",
        Sixth,
        include_str!("../../dashboards/rules/alert-router.yaml"),
    ),
    (
        "collector",
        Sixth,
        include_str!("../../dashboards/rules/collector.yaml"),
    ),
    (
        "grpc",
        Sixth,
        include_str!("../../dashboards/rules/grpc.yaml"),
    ),
    (
        "jaeger",
        Sixth,
        include_str!("../../dashboards/rules/jaeger.yaml"),
    ),
    (
        "runtime",
        Sixth,
        include_str!("../../dashboards/rules/runtime.yaml"),
    ),
    (
        "service",
        Sixth,
        include_str!("../../dashboards/rules/service.yaml"),
    ),
    (
        "slo",
        Thirtieth,
        include_str!("../../dashboards/rules/slo.yaml"),
    ),
    (
        "telemetry",
        Sixth,
        include_str!("../../dashboards/rules/telemetry.yaml"),
    ),
    (
        "watchdog",
        Sixth,
        include_str!("../../dashboards/rules/watchdog.yaml"),
    ),
];

/// Tickets about what burns slowly look back for a day and three, which here are 48 minutes and more. A
/// demo lives for some minutes: one slow request of its first minute would be a trend, and one break would
/// keep the ticket open until everybody has gone.
const LEFT_OUT: [&str; 2] = ["SloErrorsBurnSlow", "SloLatencyBurnSlow"];

/// Names and texts of all rule files of the demo. The texts are JSON, which is YAML.
pub(crate) fn files() -> Result<Vec<(String, String)>, Failure> {
    let hurried = FILES.iter().map(|(name, hurry, text)| {
        let text = hurried(text, *hurry).map_err(|error| format!("rules/{name}.yaml: {error}"))?;
        Ok((format!("{name}.yaml"), text))
    });
    hurried.collect()
}

fn hurried(text: &str, hurry: Hurry) -> Result<String, Failure> {
    let mut file: Value = serde_yaml::from_str(text)?;
    let groups = file["groups"].as_sequence_mut().ok_or("no groups")?;
    for group in groups {
        let rules = group["rules"].as_sequence_mut().ok_or("no rules")?;
        rules.retain(|rule| LEFT_OUT.iter().all(|name| rule["alert"] != *name));
        for rule in rules {
            hurry_up(rule, hurry)?;
        }
    }
    Ok(format!("{:#}\n", serde_json::to_value(&file)?))
}

fn hurry_up(rule: &mut Value, hurry: Hurry) -> Result<(), Failure> {
    let expression = rule["expr"].as_str().ok_or("a rule without expr")?;
    rule["expr"] = windows(expression, hurry)?.into();
    if let Some(wait) = rule.get("for").and_then(Value::as_str) {
        rule["for"] = hurry
            .shorter(wait)
            .ok_or_else(|| format!("for: {wait}"))?
            .into();
    }
    let annotations = rule.get_mut("annotations");
    if let Some(description) = annotations.and_then(|all| all.get_mut("description")) {
        let text = description.as_str().unwrap_or_default();
        *description = format!("{text} ({})", hurry.said()).into();
    }
    Ok(())
}

/// The expression with shorter ranges (`[5m]`) and offsets.
fn windows(expression: &str, hurry: Hurry) -> Result<String, Failure> {
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
        hurried.push_str(
            &hurry
                .shorter(window)
                .ok_or_else(|| format!("window {window}"))?,
        );
        rest = after;
    }
    hurried.push_str(rest);
    Ok(hurried)
}

impl Hurry {
    fn times(self) -> u64 {
        match self {
            Sixth => 6,
            Thirtieth => 30,
        }
    }

    /// For people who read the alert.
    fn said(self) -> &'static str {
        match self {
            Sixth => "In this demo all windows and waits are a sixth.",
            Thirtieth => "In this demo all windows and waits are a thirtieth: 30 days are one.",
        }
    }

    /// This part of a duration with one unit.
    fn shorter(self, duration: &str) -> Option<String> {
        let (number, unit) = duration.split_at_checked(duration.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)? / self.times();
        Some(format!("{}s", seconds.max(LEAST_SECONDS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_waits_and_offsets_become_shorter_and_nothing_else_changes() {
        let expression = "rate(a{le=\"0.5\"}[5m]) > 0.05 and rate(a[1m] offset 1h) == 0";
        let expected = "rate(a{le=\"0.5\"}[50s]) > 0.05 and rate(a[10s] offset 600s) == 0";
        assert_eq!(windows(expression, Sixth).unwrap(), expected);
        assert_eq!(Sixth.shorter("30s").unwrap(), "5s");
        assert_eq!(Sixth.shorter("5s").unwrap(), "2s");
        assert_eq!(Sixth.shorter("3d").unwrap(), "43200s");
        assert_eq!(Thirtieth.shorter("5m").unwrap(), "10s");
        for odd in ["", "5", "m", "1h30m", "５分"] {
            assert_eq!(Sixth.shorter(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_rule_of_the_repository_is_here_but_for_the_tickets_about_budgets() {
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
        assert!(slo.contains("service:errors:ratio_rate5m"), "{slo}");
        assert!(slo.contains("SloErrorsBurnFast"), "{slo}");
        assert!(!slo.contains("BurnSlow"), "{slo}");
    }

    #[test]
    fn an_alert_says_that_its_windows_are_shorter() {
        let alert = |name: &str| {
            let files = files().unwrap().into_iter();
            let files =
                files.map(|(_, text)| serde_json::from_str::<serde_json::Value>(&text).unwrap());
            let groups = files.flat_map(|file| file["groups"].as_array().cloned().unwrap());
            let mut rules = groups.flat_map(|group| group["rules"].as_array().cloned().unwrap());
            rules.find(|rule| rule["alert"] == name).unwrap()
        };
        for (name, wait, said) in [
            ("ServiceErrors", "5s", "a sixth.)"),
            ("SloErrorsBurnFast", "2s", "30 days are one.)"),
        ] {
            let alert = alert(name);
            assert_eq!(alert["for"], wait);
            let description = alert["annotations"]["description"].as_str().unwrap();
            assert!(description.ends_with(said), "{description}");
        }
    }
}
