//! Messages such as a bad night brings: what templates must survive before they are trusted.

use std::time::Duration;

use alert_engine::{DeliveryId, GroupId, Labels, Timestamp};

use crate::message::{AlertLine, Counted, GroupNews, Line, Message, Reason, Says};

/// The samples, composed at `now`. The same `now` gives the same messages.
#[must_use]
pub fn messages(receiver: &str, now: Timestamp) -> Vec<Message> {
    // In whole seconds: fractions are written as short as they are, and sizes would differ.
    let now = Timestamp::from_millis(now.as_millis() / 1_000 * 1_000);
    let says = [
        Says::Test,
        group(plain(now), Reason::First),
        group(mixed(now), Reason::SomeResolved),
        group(hostile(now), Reason::NewAlerts),
        group(crowd(now), Reason::Repeat),
        Says::Digest(
            (0..20)
                .map(|i| news(&format!("G{i}"), plain(now), Reason::First))
                .collect(),
        ),
    ];
    says.into_iter()
        .enumerate()
        .map(|(i, says)| Message {
            id: DeliveryId::of(&[b"sample", &i.to_le_bytes()]),
            created: now,
            receiver: receiver.to_owned(),
            says,
        })
        .collect()
}

fn group(alerts: Vec<AlertLine>, reason: Reason) -> Says {
    Says::Group(Box::new(news("DiskFull", alerts, reason)))
}

fn news(name: &str, alerts: Vec<AlertLine>, reason: Reason) -> GroupNews {
    let common = pairs(&[("alertname", name), ("severity", "critical")]);
    GroupNews {
        group: GroupId::of(&[name.as_bytes()]),
        thread: format!("{name}.sample"),
        opens_thread: true,
        reason,
        priority: true,
        group_labels: pairs(&[("alertname", name)]),
        common_labels: common,
        common_annotations: pairs(&[("runbook_url", "https://runbooks.example.org/DiskFull")]),
        alerts,
        uncounted: vec![Counted {
            name: name.to_owned(),
            firing: 3,
            over: 1,
        }],
        muted: 2,
        expired: 1,
        delayed_by: Some(Duration::from_secs(90)),
        failed_over_from: Some("db-team".to_owned()),
        external_url: "https://alertmanager.example.org".to_owned(),
        source: "prod".to_owned(),
    }
}

fn plain(now: Timestamp) -> Vec<AlertLine> {
    vec![alert(Line::New, "db-1", "92 % used", now)]
}

/// Every kind of line.
fn mixed(now: Timestamp) -> Vec<AlertLine> {
    [
        Line::New,
        Line::Reopened,
        Line::Over,
        Line::Missed,
        Line::Firing,
    ]
    .into_iter()
    .map(|line| alert(line, "db-1", "磁盘 92 %，预计 4 小时后写满", now))
    .collect()
}

/// Text that means something in mail, HTML, Markdown and terminals.
fn hostile(now: Timestamp) -> Vec<AlertLine> {
    let texts = [
        "<@all> <font color=\"warning\">x</font> [a](javascript:alert(1)) `b` | c |",
        "\r\nBcc: x@example.org\r\n\r\n<script>alert(1)</script>",
        "C:\\Users\\\"数据\"\u{202e}\u{0}🚨 {{ 7 * 7 }} {% raw %}",
    ];
    let mut alerts: Vec<AlertLine> = texts
        .into_iter()
        .map(|text| alert(Line::New, text, text, now))
        .collect();
    alerts[0].generator_url = "javascript:alert(1)".to_owned();
    alerts
}

/// More than any channel takes in one message.
fn crowd(now: Timestamp) -> Vec<AlertLine> {
    let long = "长".repeat(400);
    (0..500)
        .map(|i| alert(Line::Firing, &format!("node-{i}"), &long, now))
        .collect()
}

fn alert(line: Line, instance: &str, summary: &str, now: Timestamp) -> AlertLine {
    let labels = pairs(&[
        ("alertname", "DiskFull"),
        ("instance", instance),
        ("severity", "critical"),
    ]);
    let ended = match line {
        Line::Over | Line::Missed => Some(now - Duration::from_secs(30)),
        Line::New | Line::Reopened | Line::Firing => None,
    };
    AlertLine {
        line,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: pairs(&[("summary", summary)]),
        starts_at: now - Duration::from_secs(3_700),
        ends_at: ended,
        generator_url: "https://prometheus.example.org/graph?g0.expr=up&g0.tab=1".to_owned(),
        route_labels: Labels::default(),
        unknown: Default::default(),
        reopened: u32::from(matches!(line, Line::Reopened)),
        stale: matches!(line, Line::Over),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}
