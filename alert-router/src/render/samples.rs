//! Messages that tests and snapshots share: one per reason, a digest, a test, a hostile one.

use std::time::Duration;

use alert_engine::{DeliveryId, Fingerprint, GroupId, Labels, Timestamp};
use jiff::tz::TimeZone;

use super::{Language, Locale};
use crate::message::{AlertLine, Counted, GroupNews, Line, Message, Reason, Says};

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_000);

const REASONS: [Reason; 6] = [
    Reason::First,
    Reason::NewAlerts,
    Reason::SomeResolved,
    Reason::AllResolved,
    Reason::Missed,
    Reason::Repeat,
];

/// Readers of that language in Shanghai.
pub(crate) fn locale(language: Language) -> Locale {
    Locale {
        language,
        zone: TimeZone::fixed(jiff::tz::offset(8)),
    }
}

/// Every kind of message by name.
pub(crate) fn all() -> Vec<(String, Message)> {
    let groups = REASONS.map(|reason| (format!("{reason:?}").to_lowercase(), group(reason)));
    let digest = Says::Digest(vec![news(Reason::First), news(Reason::AllResolved)]);
    let others = [
        ("full".to_owned(), message(Says::Group(Box::new(full())))),
        ("digest".to_owned(), message(digest)),
        ("test".to_owned(), message(Says::Test)),
    ];
    groups.into_iter().chain(others).collect()
}

/// News of one group for that reason.
pub(crate) fn group(reason: Reason) -> Message {
    message(Says::Group(Box::new(news(reason))))
}

/// A message that says `says`.
pub(crate) fn message(says: Says) -> Message {
    let id = DeliveryId::of(&[format!("{says:?}").as_bytes()]);
    Message {
        id,
        created: NOW,
        receiver: "db-team".into(),
        says,
    }
}

/// The news of a small group for that reason.
pub(crate) fn news(reason: Reason) -> GroupNews {
    let lines: &[(Line, &str)] = match reason {
        Reason::First => &[(Line::New, "host-1"), (Line::New, "host-2")],
        Reason::NewAlerts => &[
            (Line::New, "host-2"),
            (Line::Reopened, "host-3"),
            (Line::Firing, "host-1"),
        ],
        Reason::SomeResolved => &[(Line::Over, "host-2"), (Line::Firing, "host-1")],
        Reason::AllResolved => &[(Line::Over, "host-1"), (Line::Over, "host-2")],
        Reason::Missed => &[(Line::Missed, "host-1")],
        Reason::Repeat => &[(Line::Firing, "host-1"), (Line::Firing, "host-2")],
    };
    let annotation = |_: &str| "磁盘快满了: disk almost full".to_owned();
    GroupNews {
        group: GroupId::of(&[b"disk"]),
        thread: "8f1c0a5e.1767320000".into(),
        opens_thread: reason == Reason::First,
        reason,
        priority: false,
        group_labels: Labels::from_iter([("alertname", "DiskFull"), ("cluster", "east")]),
        common_labels: Labels::from_iter([
            ("alertname", "DiskFull"),
            ("cluster", "east"),
            ("severity", "critical"),
        ]),
        common_annotations: Labels::from_iter([
            ("summary", annotation("").as_str()),
            ("runbook_url", "https://runbooks.example.com/disk"),
            (
                "dashboard_url",
                "https://grafana.example.com/d/disk?var-cluster=east&from=now-1h",
            ),
        ]),
        alerts: lines
            .iter()
            .map(|(line, host)| alert(*line, host))
            .collect(),
        uncounted: Vec::new(),
        muted: 0,
        expired: 0,
        delayed_by: None,
        failed_over_from: None,
        external_url: "http://alertmanager.example.com:9093".into(),
        source: "default".into(),
    }
}

/// A group in which everything that a message can say is said.
fn full() -> GroupNews {
    let mut news = news(Reason::NewAlerts);
    news.alerts.push(alert(Line::Over, "host-4"));
    news.alerts.push(alert(Line::Missed, "host-5"));
    news.alerts[3].stale = true;
    news.alerts.sort_by_key(|alert| alert.line);
    news.uncounted = vec![
        Counted {
            name: "HighLoad".into(),
            firing: 12,
            over: 3,
        },
        Counted {
            name: String::new(),
            firing: 0,
            over: 1,
        },
    ];
    news.priority = true;
    news.muted = 2;
    news.expired = 1;
    news.delayed_by = Some(Duration::from_secs(750));
    news.failed_over_from = Some("sre-bot".into());
    news.source = "prod-sh".into();
    news
}

/// One alert of `host`.
pub(crate) fn alert(line: Line, host: &str) -> AlertLine {
    let labels = Labels::from_iter([
        ("alertname", "DiskFull"),
        ("cluster", "east"),
        ("instance", host),
        ("severity", "critical"),
    ]);
    let starts_at = NOW - Duration::from_secs(7_500);
    AlertLine {
        line,
        fingerprint: labels.fingerprint(),
        annotations: Labels::from_iter([
            ("summary", "磁盘快满了: disk almost full"),
            ("description", "96 % used\n4 GB left"),
            ("runbook_url", "https://runbooks.example.com/disk"),
        ]),
        starts_at,
        ends_at: match line {
            Line::Over | Line::Missed => Some(starts_at + Duration::from_secs(300)),
            Line::New | Line::Reopened | Line::Firing => None,
        },
        generator_url: format!(
            "http://prometheus.example.com/graph?g0.expr=disk%7Bi%3D%22{host}%22%7D"
        ),
        route_labels: Labels::default(),
        unknown: Default::default(),
        reopened: u32::from(line == Line::Reopened),
        stale: false,
        labels,
    }
}

/// A group whose every text tries to break out.
pub(crate) fn hostile() -> Message {
    let evil = "a\r\nBcc: all@example.com\u{0}\u{202e}<script>alert(1)</script>\"'=?utf-8?q?x?= **b** [l](http://evil) {{ 7*7 }}";
    let labels = Labels::from_iter([("alertname", evil), ("instance", evil)]);
    let alert = AlertLine {
        line: Line::New,
        fingerprint: Fingerprint(7),
        annotations: Labels::from_iter([
            ("summary", evil),
            ("description", evil),
            ("runbook_url", "javascript:alert(1)"),
            (evil, evil),
        ]),
        labels: labels.clone(),
        starts_at: Timestamp::MIN,
        ends_at: None,
        generator_url: "javascript:alert(1)".into(),
        route_labels: Labels::default(),
        unknown: Default::default(),
        reopened: 0,
        stale: false,
    };
    message(Says::Group(Box::new(GroupNews {
        group_labels: labels.clone(),
        common_labels: labels,
        common_annotations: Labels::from_iter([("summary", evil)]),
        alerts: vec![alert],
        external_url: "https://a@evil.example/".into(),
        source: evil.into(),
        failed_over_from: Some(evil.into()),
        ..news(Reason::First)
    })))
}
