//! Where the last alert is on its way to people, asked from each station itself.

use serde_json::Value;
use wecom_sim::Sim;

use crate::http::Client;
use crate::mailbox::Mailbox;
use crate::ports::Ports;

/// One station and what it says.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) name: &'static str,
    /// Empty: nothing here.
    pub(crate) alerts: String,
}

/// All stations in the order of the way.
pub(crate) async fn stations(
    client: &Client,
    ports: &Ports,
    mailbox: &Mailbox,
    sim: &Sim,
) -> [Station; 5] {
    let (prometheus, alertmanager, inbox) = tokio::join!(
        client.get(ports.prometheus, "/api/v1/alerts"),
        client.get(ports.alertmanager, "/api/v2/alerts"),
        client.get(ports.alert_router, "/api/v1/inbox"),
    );
    let say = |answer: Result<crate::http::Answer, _>, read: fn(&Value) -> String| {
        answer.map_or_else(
            |_: crate::http::CallError| "no answer".into(),
            |a| read(&a.json()),
        )
    };
    let message = sim.messages().pop().map(|message| {
        let text = message.text();
        text.lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default()
            .to_owned()
    });
    let mail = mailbox.mails().pop().map(|mail| mail.subject.clone());
    [
        station(
            "Prometheus",
            say(prometheus, |v| names(&v["data"]["alerts"], "state")),
        ),
        station("Alertmanager", say(alertmanager, |v| names(v, ""))),
        station(
            "alert-router",
            say(inbox, |v| v[0]["title"].as_str().unwrap_or_default().into()),
        ),
        station("Mail", mail.unwrap_or_default()),
        station("WeCom", message.unwrap_or_default()),
    ]
}

fn station(name: &'static str, alerts: String) -> Station {
    Station { name, alerts }
}

/// The alerts' names; the Watchdog, which always fires, is none.
fn names(alerts: &Value, state: &str) -> String {
    let alerts = alerts.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<String> = alerts
        .iter()
        .filter_map(|alert| {
            let name = alert["labels"]["alertname"].as_str()?;
            let state = alert[state]
                .as_str()
                .map_or(String::new(), |state| format!(" ({state})"));
            (name != "Watchdog").then(|| format!("{name}{state}"))
        })
        .collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_are_named_once_with_their_state_and_the_watchdog_is_left_out() {
        let alert = |name, state| json!({"labels": {"alertname": name}, "state": state});
        let alerts = json!([
            alert("Slow", "pending"),
            alert("Watchdog", "firing"),
            alert("Errors", "firing"),
            alert("Errors", "firing"),
        ]);
        assert_eq!(names(&alerts, "state"), "Errors (firing), Slow (pending)");
        assert_eq!(names(&json!("what"), "state"), "");
    }
}
