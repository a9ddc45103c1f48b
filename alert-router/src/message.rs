//! What a message says, complete and without reference to any store: the input of all rendering.

use std::collections::BTreeMap;
use std::time::Duration;

use alert_engine::{DeliveryId, Fingerprint, GroupId, Labels, Timestamp};

use crate::webhook::payload::Unknown;

/// One message to one destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The delivery that carries it: stable while its content is.
    pub id: DeliveryId,
    /// When it was composed; the Date of a mail.
    pub created: Timestamp,
    /// The receiver's name in the config.
    pub receiver: String,
    /// What it tells.
    pub says: Says,
}

/// What a message tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// News of one group.
    Group(Box<GroupNews>),
    /// News of many groups in one message, because the destination takes no more messages now.
    Digest(Vec<GroupNews>),
    /// A test that a person asked for: says so, and asks for nothing to be done.
    Test,
}

/// Why a group speaks: the engine's verdict as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The group's first message.
    First,
    /// Alerts joined that were not told yet.
    NewAlerts,
    /// Some ended, others still fire.
    SomeResolved,
    /// All that was told has ended.
    AllResolved,
    /// All of it fired and ended before it could be told.
    Missed,
    /// Nothing changed; a reminder.
    Repeat,
}

/// News of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNews {
    /// Which group, for links.
    pub group: GroupId,
    /// One life of the group for one destination; mails of one thread share it.
    pub thread: String,
    /// Whether nobody there can have got anything of this life before, not even by an attempt of
    /// which nothing is known.
    pub opens_thread: bool,
    /// Why it speaks.
    pub reason: Reason,
    /// Whether it goes before others (matched the `priority` matchers).
    pub priority: bool,
    /// The labels that make the group.
    pub group_labels: Labels,
    /// Labels that all alerts share.
    pub common_labels: Labels,
    /// Annotations that all alerts share.
    pub common_annotations: Labels,
    /// The alerts, in the order in which people should read them: new, over, missed, still firing.
    pub alerts: Vec<AlertLine>,
    /// Alerts beyond the text limit: only counted, by alert name.
    pub uncounted: Vec<Counted>,
    /// How many firing alerts are held back by silences, inhibition or time intervals.
    pub muted: usize,
    /// How many missed occurrences are too old to be told one by one.
    pub expired: usize,
    /// How long the oldest news waited beyond its time, if people should know.
    pub delayed_by: Option<Duration>,
    /// The receiver that failed before this one was asked, if this is a fallback.
    pub failed_over_from: Option<String>,
    /// Base URL of the Alertmanager that sent the alerts, for links.
    pub external_url: String,
    /// The source's name.
    pub source: String,
}

/// What a message says about one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Fires, and was not told to this destination before.
    New,
    /// Fires again after this destination was told that it is over.
    Reopened,
    /// Told as firing, and has ended.
    Over,
    /// Fired and ended before it could be told.
    Missed,
    /// Told before, and still fires.
    Firing,
}

/// One alert of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertLine {
    /// What is said about it.
    pub line: Line,
    /// Alertmanager's fingerprint of it.
    pub fingerprint: Fingerprint,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// When this occurrence began.
    pub starts_at: Timestamp,
    /// When it ended; `None` while it fires.
    pub ends_at: Option<Timestamp>,
    /// Link to the expression in Prometheus; may be empty or hostile.
    pub generator_url: String,
    /// The labels of the upstream route by which it came.
    pub route_labels: Labels,
    /// Fields of it that we do not know, for whoever reads our webhooks.
    pub unknown: Unknown,
    /// How often this occurrence was told as over and opened again.
    pub reopened: u32,
    /// Whether it ended only because its source stopped speaking of it.
    pub stale: bool,
}

/// Alerts that are only counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Their `alertname`.
    pub name: String,
    /// How many fire.
    pub firing: usize,
    /// How many are over.
    pub over: usize,
}

/// The pairs that all sets share.
pub(crate) fn shared<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> BTreeMap<&'a str, &'a str> {
    let Some(first) = sets.next() else {
        return BTreeMap::new();
    };
    let mut shared: BTreeMap<&str, &str> = first.iter().collect();
    for set in sets {
        shared.retain(|name, value| set.get(name) == Some(*value));
    }
    shared
}
