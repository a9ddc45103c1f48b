//! Where the last alert is on its way to people, asked from each station itself.

use alert_router::render::Phrase;
use serde_json::Value;
use wecom_sim::Sim;

use crate::http::{Answer, CallError, Client};
use crate::mailbox::Mailbox;
use crate::ports::Ports;

/// One station and what it says.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) name: Phrase,
    pub(crate) news: News,
}

/// What a station has of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    Firing(String),
    /// The last that was heard: it is over.
    Over(String),
    /// The station does not answer.
    Unknown,
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
    let ask = |answer: Result<Answer, CallError>, read: fn(&Value) -> News| {
        answer.map_or(News::Unknown, |answer| read(&answer.json()))
    };
    let on_phone = sim.messages().pop().map(|message| {
        // Its marks are for the phone.
        let text = message.text().replace("**", "");
        let first = text.lines().find(|line| !line.trim().is_empty());
        heard(first.unwrap_or_default(), &text)
    });
    let mailed = mailbox.mails().pop();
    let mailed = mailed.map(|mail| heard(&mail.subject, &mail.text));
    let named = |name, news| Station { name, news };
    let station = |name, news| named(Phrase::fixed(name, name), news);
    [
        station(
            "Prometheus",
            ask(prometheus, |v| firing(&v["data"]["alerts"], "state")),
        ),
        station("Alertmanager", ask(alertmanager, |v| firing(v, ""))),
        station(
            "alert-router",
            ask(inbox, |v| {
                let word = |key: &str| v[0][key].as_str().unwrap_or_default();
                heard(word("title"), word("text"))
            }),
        ),
        named(Phrase::fixed("Mail", "邮件"), mailed.unwrap_or(News::None)),
        named(
            Phrase::fixed("WeCom", "企业微信"),
            on_phone.unwrap_or(News::None),
        ),
    ]
}

/// A message to people: what it is about, and its text, which says whether it is over.
fn heard(about: &str, text: &str) -> News {
    /// As alert-router says it in each of its languages.
    const OVER: [&str; 2] = ["RESOLVED", "已恢复"];
    let first = text.lines().find(|line| !line.trim().is_empty());
    let over = first.and_then(|line| OVER.into_iter().find(|over| line.contains(over)));
    match over {
        _ if about.is_empty() => News::None,
        None => News::Firing(about.to_owned()),
        Some(over) if about.contains(over) => News::Over(about.to_owned()),
        Some(over) => News::Over(format!("{over} {about}")),
    }
}

fn firing(alerts: &Value, state: &str) -> News {
    match names(alerts, state) {
        none if none.is_empty() => News::None,
        names => News::Firing(names),
    }
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

    #[test]
    fn a_message_tells_what_is_firing_and_what_is_over() {
        let subject = "[critical] Errors";
        let firing = heard(subject, "FIRING · critical\n");
        assert_eq!(firing, News::Firing(subject.into()));
        let over = heard(subject, "\nRESOLVED · critical\n");
        assert_eq!(over, News::Over("RESOLVED [critical] Errors".into()));
        let over = heard(subject, "已恢复 · critical\n");
        assert_eq!(over, News::Over("已恢复 [critical] Errors".into()));
        let phone = "✅ RESOLVED · Errors";
        assert_eq!(heard(phone, phone), News::Over(phone.into()));
        assert_eq!(heard("", ""), News::None);
    }
}
