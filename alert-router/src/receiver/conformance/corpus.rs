//! Messages that nobody means well by: every receiver must render them.

use std::iter::once;

use alert_engine::{Labels, Timestamp};

use crate::message::{Counted, GroupNews, Line, Message, Reason, Says};
use crate::render::samples;

/// Each with a name for the report.
pub(in crate::receiver) fn hostile() -> impl Iterator<Item = (String, Message)> {
    let values = values()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), everywhere(&value)));
    let edges = [
        ("hostile", samples::hostile()),
        ("nothing at all", empty()),
        ("a crowd", crowd()),
    ];
    values.chain(edges.map(|(name, message)| (name.to_owned(), message)))
}

fn values() -> Vec<(&'static str, String)> {
    vec![
        ("very long", "x".repeat(64 * 1024)),
        ("very long chinese", "磁".repeat(32 * 1024)),
        ("emoji", "👩‍💻🔥".repeat(500)),
        ("combining marks", "e\u{301}\u{301}\u{301}".repeat(2000)),
        (
            "line breaks",
            "\r\n\n> # quote\n- list\n1. one\n---\n| a | b |\n".repeat(50),
        ),
        ("controls", (0_u8..32).map(char::from).collect()),
        (
            "right to left",
            "\u{202e}\u{2066}\u{200f}abc\u{2069}".to_owned(),
        ),
        (
            "replacement",
            "\u{fffd}\u{feff}\u{ffff}\u{10ffff}".to_owned(),
        ),
        (
            "markup",
            "<@all> <font color=\"red\"> **`[x](javascript:y)` ![z](//w)".to_owned(),
        ),
        (
            "open ends",
            "** ` ``` <font [ ]( ~~ <!-- ]]> </script>".to_owned(),
        ),
        (
            "templates",
            "{{ 7 * 7 }} {% include 'x' %} {# ${ENV} $(id) %s %n".to_owned(),
        ),
        (
            "mail",
            "=?utf-8?b?=?= \r\n.\r\nRCPT TO:<x> \"quoted\"@example.com, other".to_owned(),
        ),
        ("json", "\"}],\\u0000\\ud800{\"errcode\":0".to_owned()),
        ("empty", String::new()),
    ]
}

/// A message in which every text is `value`.
fn everywhere(value: &str) -> Message {
    let labels = Labels::from_iter([("alertname", value), ("severity", value), (value, value)]);
    let annotations = [
        "summary",
        "description",
        "runbook_url",
        "dashboard_url",
        value,
    ];
    let annotations: Labels = annotations.into_iter().map(|name| (name, value)).collect();
    let mut alert = samples::alert(Line::New, value);
    alert.annotations = annotations.clone();
    alert.labels = labels.clone();
    alert.generator_url = value.to_owned();
    let news = GroupNews {
        group_labels: labels.clone(),
        common_labels: labels,
        common_annotations: annotations,
        alerts: vec![alert],
        uncounted: vec![Counted {
            name: value.to_owned(),
            firing: usize::MAX / 4,
            over: 0,
        }],
        failed_over_from: Some(value.to_owned()),
        external_url: value.to_owned(),
        source: value.to_owned(),
        ..samples::news(Reason::NewAlerts)
    };
    Message {
        receiver: value.to_owned(),
        ..samples::message(Says::Group(Box::new(news)))
    }
}

/// A digest without a group, at an instant that no calendar has.
fn empty() -> Message {
    Message {
        created: Timestamp::MAX,
        receiver: String::new(),
        ..samples::message(Says::Digest(Vec::new()))
    }
}

/// As many alerts, groups and names as there can be.
fn crowd() -> Message {
    let mut news = samples::news(Reason::First);
    let alerts = (0..500).map(|n| samples::alert(Line::New, &format!("host-{n}")));
    news.alerts = alerts.collect();
    let counted = |n| Counted {
        name: format!("Alert{n}"),
        firing: n,
        over: n,
    };
    news.uncounted = (0..500).map(counted).collect();
    let others = (0..200).map(|_| samples::news(Reason::AllResolved));
    samples::message(Says::Digest(once(news).chain(others).collect()))
}
