//! Alertmanager's webhook body, version 4, with the fields that 0.34 writes, and one of ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use alert_engine::{Labels, Timestamp};
use serde::Serialize;

use crate::message::{AlertLine, GroupNews, Message, Reason, Says, shared};
use crate::webhook::payload::Unknown;

/// The body. Fields stand in the order in which Alertmanager writes them.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    receiver: &'a str,
    status: Status,
    alerts: Vec<Alert<'a>>,
    notification_reason: &'static str,
    #[serde(rename = "groupLabels")]
    group_labels: Pairs<'a>,
    #[serde(rename = "commonLabels")]
    common_labels: Pairs<'a>,
    #[serde(rename = "commonAnnotations")]
    common_annotations: Pairs<'a>,
    #[serde(rename = "routeLabels")]
    route_labels: Pairs<'a>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    #[serde(rename = "groupKey")]
    group_key: String,
    #[serde(rename = "truncatedAlerts")]
    truncated_alerts: usize,
    /// Ours: readers of version 4 pass over what they do not know.
    #[serde(rename = "failedOverFrom", skip_serializing_if = "Option::is_none")]
    failed_over_from: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Alert<'a> {
    status: Status,
    labels: Pairs<'a>,
    annotations: Pairs<'a>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
    #[serde(flatten)]
    unknown: Option<&'a Unknown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

type Pairs<'a> = BTreeMap<&'a str, &'a str>;

/// What Alertmanager writes as the end of an alert that goes on.
const NO_END: &str = "0001-01-01T00:00:00Z";

impl<'a> Body<'a> {
    /// The body for `message`, with at most `max_alerts` alerts. Muted alerts are left out, as
    /// Alertmanager does; those that are only counted are in `truncatedAlerts`.
    pub(super) fn of(message: &'a Message, max_alerts: usize) -> Self {
        let news: &[GroupNews] = match &message.says {
            Says::Group(news) => std::slice::from_ref(news),
            Says::Digest(news) => news,
            Says::Test => return Self::test(message),
        };
        let mut alerts: Vec<Alert> = news.iter().flat_map(|n| &n.alerts).map(Alert::of).collect();
        let uncounted = news.iter().flat_map(|n| &n.uncounted);
        let uncounted: usize = uncounted.map(|counted| counted.firing + counted.over).sum();
        let truncated_alerts = uncounted + alerts.len().saturating_sub(max_alerts);
        // Cut first: of an alert that began anew its beginning is the newest news.
        alerts.truncate(max_alerts);
        put_ends_first(&mut alerts);
        let first = &news.first();
        // In a digest only what all groups share is common.
        let common = |labels: fn(&GroupNews) -> &Labels| shared(news.iter().map(labels));
        let group_labels = common(|news| &news.group_labels);
        let upstream = news.iter().flat_map(|news| &news.alerts);
        let upstream = upstream.map(|alert| &alert.route_labels);
        Self {
            receiver: &message.receiver,
            status: status(&alerts),
            alerts,
            notification_reason: first.map_or("", |news| reason(news.reason)),
            common_labels: common(|news| &news.common_labels),
            common_annotations: common(|news| &news.common_annotations),
            // They may have come by several routes.
            route_labels: shared(upstream),
            external_url: first.map_or("", |news| &news.external_url),
            version: "4",
            group_key: group_key(&group_labels),
            group_labels,
            truncated_alerts,
            // Of a digest, the first that any of its groups failed over from, as in its span.
            failed_over_from: news
                .iter()
                .find_map(|news| news.failed_over_from.as_deref()),
        }
    }

    /// An alert that says of itself that it is a test.
    fn test(message: &'a Message) -> Self {
        let labels = Pairs::from([("alertname", "AlertRouterTest"), ("severity", "none")]);
        let summary = "This is a test that a person asked for. There is nothing to do.";
        let fingerprint = labels.iter().map(|(name, value)| (*name, *value));
        let alert = Alert {
            status: Status::Firing,
            fingerprint: Labels::from_iter(fingerprint).fingerprint().to_string(),
            labels: labels.clone(),
            annotations: Pairs::from([("summary", summary)]),
            starts_at: rfc3339(message.created),
            ends_at: NO_END.to_owned(),
            generator_url: "",
            unknown: None,
        };
        Self {
            receiver: &message.receiver,
            status: Status::Firing,
            alerts: vec![alert],
            notification_reason: "first notification",
            group_key: group_key(&labels),
            group_labels: labels.clone(),
            common_labels: labels,
            common_annotations: Pairs::from([("summary", summary)]),
            route_labels: Pairs::new(),
            external_url: "",
            version: "4",
            truncated_alerts: 0,
            failed_over_from: None,
        }
    }
}

/// An alert by itself, with Alertmanager's names, and with the fields that we do not know.
pub(crate) fn raw_alert(alert: &AlertLine) -> serde_json::Value {
    serde_json::to_value(Alert::of(alert)).expect("strings and numbers always serialise")
}

impl<'a> Alert<'a> {
    fn of(alert: &'a AlertLine) -> Self {
        Self {
            status: if alert.ends_at.is_some() {
                Status::Resolved
            } else {
                Status::Firing
            },
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: rfc3339(alert.starts_at),
            ends_at: alert.ends_at.map_or_else(|| NO_END.to_owned(), rfc3339),
            generator_url: &alert.generator_url,
            fingerprint: alert.fingerprint.to_string(),
            unknown: Some(&alert.unknown),
        }
    }
}

fn pairs(labels: &Labels) -> Pairs<'_> {
    labels.iter().collect()
}

/// Occurrences of one alert stand together, those that are over first: to whoever reads in order, the
/// last one of a fingerprint is how things are.
fn put_ends_first(alerts: &mut [Alert<'_>]) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, alert) in alerts.iter().enumerate() {
        places.entry(alert.fingerprint.clone()).or_insert(place);
    }
    alerts.sort_by_key(|alert| {
        let goes_on = alert.status == Status::Firing;
        (places.get(&alert.fingerprint).copied(), goes_on)
    });
}

/// Firing if any of the included alerts is.
fn status(alerts: &[Alert<'_>]) -> Status {
    let firing = alerts.iter().any(|alert| alert.status == Status::Firing);
    if firing {
        Status::Firing
    } else {
        Status::Resolved
    }
}

/// In Alertmanager's words. It has none for what was missed: that is over, like the resolved.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::First => "first notification",
        Reason::NewAlerts => "new alerts added",
        Reason::SomeResolved => "some alerts resolved",
        Reason::AllResolved | Reason::Missed => "all alerts resolved",
        Reason::Repeat => "repeat interval elapsed",
    }
}

/// `{}:{team="db"}`: Alertmanager's form, of a route without matchers.
fn group_key(labels: &Pairs<'_>) -> String {
    let mut key = String::from("{}:{");
    for (n, (name, value)) in labels.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        write!(key, "{comma}{name}={value:?}").expect("writing to a string cannot fail");
    }
    key + "}"
}

fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis());
    at.map_or_else(|_| NO_END.to_owned(), |at| at.to_string())
}
