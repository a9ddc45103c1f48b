//! What a template sees of a message: the same for all channels, already cleaned, in the reader's
//! language and time zone. Field names are a contract with everyone's templates.

use minijinja::value::{Object, Value};
use serde::Serialize;

/// A message as templates see it.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// `group`, `digest` or `test`.
    pub kind: Kind,
    /// The delivery's id.
    pub id: String,
    /// The receiver's name.
    pub receiver: String,
    /// When it was composed.
    pub created: String,
    /// The same in milliseconds since the epoch, for the `local` filter.
    pub created_ms: i64,
    /// For HTML's `lang`: `en` or `zh-CN`.
    pub lang: &'static str,
    /// The template with the phrases of the language: `{% import words as say %}`.
    pub words: &'static str,
    /// The reader's time zone, used by the `local` filter.
    pub zone: Value,
    /// The state in one word; of a digest, of its worst group.
    pub state: State,
    /// The worst severity among the alerts that are shown, as their label spells it.
    pub severity: Option<String>,
    /// How loud that severity is: `critical`, `warning`, `info`; `ok` once all is over.
    pub tone: &'static str,
    /// How many of what, over all groups.
    pub counts: Counts,
    /// One, or several in a digest, or none in a test.
    pub groups: Vec<GroupView>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// News of one group.
    Group,
    /// News of many groups.
    Digest,
    /// A test that asks for nothing.
    Test,
}

/// The state that a person needs to know first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A test.
    Test,
    /// Over before it could be told.
    Missed,
    /// All is over.
    Resolved,
    /// Something fires.
    Firing,
}

/// How many alerts of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Told for the first time.
    pub new: usize,
    /// Fire again after they were told as over.
    pub reopened: usize,
    /// Told as firing, over now.
    pub over: usize,
    /// Fired and ended before they could be told, the too old ones included.
    pub missed: usize,
    /// Told before, still fire.
    pub still: usize,
    /// All that fire, those included that are only counted.
    pub firing: usize,
    /// All that are over, those included that are only counted.
    pub ended: usize,
    /// Firing, but held back by a silence, an inhibition or a time interval.
    pub muted: usize,
}

/// One group of a message.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// The group's id.
    pub id: String,
    /// Its life for this destination.
    pub thread: String,
    /// Why it speaks: `first`, `new_alerts`, `some_resolved`, `all_resolved`, `missed`, `repeat`.
    pub reason: &'static str,
    /// Whether it went before others.
    pub priority: bool,
    /// As [`View::state`], of this group.
    pub state: State,
    /// As [`View::severity`], of this group.
    pub severity: Option<String>,
    /// As [`View::tone`], of this group.
    pub tone: &'static str,
    /// What it is about, from the group labels only: constant for the group's life.
    pub title: String,
    /// The group labels.
    pub labels: Vec<Pair>,
    /// Labels that all alerts share, without the group labels.
    pub common: Vec<Pair>,
    /// What all alerts say of themselves.
    pub summary: Option<String>,
    /// How many of what.
    pub counts: Counts,
    /// The alerts: new, reopened, over, missed, still firing.
    pub alerts: Vec<AlertView>,
    /// How many alerts the channel left out to stay within its size.
    pub left_out: usize,
    /// Alerts beyond the text limit, by name.
    pub uncounted: Vec<CountedView>,
    /// Missed ones that are too old to be told one by one.
    pub expired: usize,
    /// How long the oldest news waited beyond its time.
    pub delayed_by: Option<String>,
    /// The receiver that failed before this one was asked.
    pub failed_over_from: Option<String>,
    /// The source's name, unless it is the unnamed one.
    pub source: Option<String>,
    /// Where to look and what to do, for the whole group. No silence once all is over.
    pub links: Links,
}

/// One alert of a group.
#[derive(Clone, Debug, Serialize)]
pub struct AlertView {
    /// `new`, `reopened`, `over`, `missed`, `firing`.
    pub line: &'static str,
    /// Whether it fires now.
    pub firing: bool,
    /// Its `alertname`.
    pub name: String,
    /// Its `severity` label.
    pub severity: Option<String>,
    /// Annotation `summary`, `message` or `title`.
    pub summary: Option<String>,
    /// Annotation `description`; may have several lines.
    pub description: Option<String>,
    /// What tells it from the others of the group: labels that are neither common nor the group's.
    pub own: Vec<Pair>,
    /// All labels.
    pub labels: Vec<Pair>,
    /// Annotations that are shown nowhere else.
    pub annotations: Vec<Pair>,
    /// When it began.
    pub starts: Option<String>,
    /// The same in milliseconds since the epoch.
    pub starts_ms: i64,
    /// When it ended; none while it goes on.
    pub ends: Option<String>,
    /// The same in milliseconds since the epoch.
    pub ends_ms: Option<i64>,
    /// How long it lasted, or has lasted so far.
    pub lasted: Option<String>,
    /// How often it was told as over and opened again.
    pub reopened: u32,
    /// Whether it ended only because its source fell silent about it.
    pub stale: bool,
    /// Where to look and what to do, without what the group's links say already.
    pub links: Links,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Alerts that are only counted.
#[derive(Clone, Debug, Serialize)]
pub struct CountedView {
    /// Their `alertname`.
    pub name: String,
    /// How many fire.
    pub firing: usize,
    /// How many are over.
    pub over: usize,
}

/// Links, each http or https and harmless in every channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The expression at the source; of a group, its Alertmanager.
    pub source: Option<String>,
    /// A dashboard.
    pub dashboard: Option<String>,
    /// What to do.
    pub runbook: Option<String>,
    /// A search for the traces of what happened.
    pub traces: Option<String>,
    /// A silence, filled in.
    pub silence: Option<String>,
}

/// The reader's time zone as a value that templates carry but cannot look into.
#[derive(Debug)]
pub(super) struct Zone(pub(super) jiff::tz::TimeZone);

impl Object for Zone {}

impl View {
    /// The same with at most `most` alerts in all groups together; the others are only counted.
    #[must_use]
    pub fn limited(mut self, most: usize) -> Self {
        let mut room = most;
        for group in &mut self.groups {
            let shown = group.alerts.len().min(room);
            group.left_out += group.alerts.len() - shown;
            group.alerts.truncate(shown);
            room -= shown;
        }
        self
    }
}
