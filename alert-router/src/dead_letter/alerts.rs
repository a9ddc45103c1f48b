//! What a dead letter keeps of the alerts that it spoke of: with the names of Alertmanager's webhook,
//! so that they can be read, and posted elsewhere, without whatever was rendered of them. Bounded.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{AlertLine, Counted};
use crate::receiver::raw_alert;

/// Alerts that one letter keeps.
const ALERTS: usize = 100;
/// Bytes of them as JSON. An alert that was taken in has at most 64 KiB, so one always fits.
const BYTES: usize = 128 << 10;

/// Alerts as they came, and how many more there were. What an older binary gave up has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawAlerts {
    /// In the order in which people would have read them: `status`, `labels`, `annotations`,
    /// `startsAt`, `endsAt`, `generatorURL`, `fingerprint`, and fields that we do not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Value>,
    /// How many there was no room for, or no text of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alerts_left_out: usize,
}

impl RawAlerts {
    /// Adds the alerts of one group, as far as there is room.
    pub(crate) fn add(&mut self, alerts: &[AlertLine], counted: &[Counted]) {
        let size = |alert: &Value| alert.to_string().len();
        let mut room = BYTES.saturating_sub(self.alerts.iter().map(size).sum());
        let (mut all, before) = (alerts.len(), self.alerts.len());
        all += counted
            .iter()
            .map(|one| one.firing + one.over)
            .sum::<usize>();
        // Without labels its text is gone.
        for alert in alerts.iter().filter(|alert| !alert.labels.is_empty()) {
            if self.alerts.len() == ALERTS {
                break;
            }
            let alert = raw_alert(alert);
            if let Some(left) = room.checked_sub(size(&alert)) {
                room = left;
                self.alerts.push(alert);
            }
        }
        self.alerts_left_out += all - (self.alerts.len() - before);
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use alert_engine::{Labels, Timestamp};

    use super::*;
    use crate::message::Line;

    fn alert(name: &str, bytes: usize) -> AlertLine {
        let labels = Labels::from_iter([("alertname", name)]);
        AlertLine {
            line: Line::Over,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: Labels::from_iter([("summary", "s".repeat(bytes).as_str())]),
            starts_at: Timestamp::from_millis(1_767_268_740_000),
            ends_at: Some(Timestamp::from_millis(1_767_268_800_000)),
            generator_url: "http://prometheus/graph".to_owned(),
            route_labels: Labels::default(),
            unknown: serde_json::Map::from_iter([("ticket".to_owned(), 7.into())]),
            reopened: 0,
            stale: false,
        }
    }

    #[test]
    fn an_alert_has_the_names_and_fields_that_it_came_with() {
        let mut raw = RawAlerts::default();
        raw.add(&[alert("A", 1)], &[]);
        let expected = serde_json::json!({
            "status": "resolved",
            "labels": {"alertname": "A"},
            "annotations": {"summary": "s"},
            "startsAt": "2026-01-01T11:59:00Z",
            "endsAt": "2026-01-01T12:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": alert("A", 1).fingerprint.to_string(),
            "ticket": 7,
        });
        assert_eq!(raw.alerts, [expected]);
        assert_eq!(raw.alerts_left_out, 0);
    }

    #[test]
    fn there_are_at_most_a_hundred_of_all_groups_and_the_others_are_counted() {
        let many: Vec<AlertLine> = (0..60).map(|n| alert(&n.to_string(), 1)).collect();
        let counted = Counted {
            name: "B".to_owned(),
            firing: 3,
            over: 4,
        };
        let mut raw = RawAlerts::default();
        raw.add(&many, &[]);
        raw.add(&many, &[counted]);
        assert_eq!((raw.alerts.len(), raw.alerts_left_out), (100, 20 + 7));
    }

    #[test]
    fn what_is_too_long_costs_no_other_alert_its_place() {
        let large = |name| alert(name, 60 << 10);
        let alerts = [large("A"), large("B"), large("C"), alert("D", 1)];
        let mut raw = RawAlerts::default();
        raw.add(&alerts, &[]);
        let names: Vec<&Value> = raw
            .alerts
            .iter()
            .map(|one| &one["labels"]["alertname"])
            .collect();
        assert_eq!(names, ["A", "B", "D"]);
        assert_eq!(raw.alerts_left_out, 1);
        assert!(serde_json::to_vec(&raw).unwrap().len() < BYTES + ALERTS + 100);
    }

    #[test]
    fn an_alert_whose_text_is_gone_is_counted() {
        let gone = AlertLine {
            labels: Labels::default(),
            ..alert("A", 1)
        };
        let mut raw = RawAlerts::default();
        raw.add(&[gone], &[]);
        assert_eq!((raw.alerts.len(), raw.alerts_left_out), (0, 1));
    }
}
