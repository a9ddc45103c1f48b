//! What a template sees of a message: the same for all channels, already cleaned, in the reader's
//! language and time zone. Field names are a contract with everyone's templates.

use alert_engine::{Labels, Timestamp};
use minijinja::value::{Object, Value};
use serde::Serialize;

use super::clean::{clean, clean_lines};
use super::words::{INSTANT, duration, instant};
use super::{Language, Locale, links};
use crate::message::{AlertLine, GroupNews, Line, Message, Reason, Says};

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
    /// A silence, filled in.
    pub silence: Option<String>,
}

/// The reader's time zone as a value that templates carry but cannot look into.
#[derive(Debug)]
pub(super) struct Zone(pub(super) jiff::tz::TimeZone);

impl Object for Zone {}

impl View {
    /// The view of `message` for readers of `locale`.
    #[must_use]
    pub fn of(message: &Message, locale: &Locale) -> Self {
        let news: &[GroupNews] = match &message.says {
            Says::Group(news) => std::slice::from_ref(news),
            Says::Digest(news) => news,
            Says::Test => &[],
        };
        let reader = Reader {
            locale,
            now: message.created,
        };
        let groups: Vec<_> = news.iter().map(|news| reader.group(news)).collect();
        let state = groups
            .iter()
            .map(|group| group.state)
            .max()
            .unwrap_or(State::Test);
        let severity = worst(groups.iter().filter_map(|group| group.severity.as_deref()));
        let (lang, words) = match locale.language {
            Language::English => ("en", "words.en.txt"),
            Language::Chinese => ("zh-CN", "words.zh.txt"),
        };
        Self {
            kind: match &message.says {
                Says::Group(_) => Kind::Group,
                Says::Digest(_) => Kind::Digest,
                Says::Test => Kind::Test,
            },
            id: message.id.to_string(),
            receiver: clean(&message.receiver),
            created: reader.instant(message.created).unwrap_or_default(),
            created_ms: message.created.as_millis(),
            lang,
            words,
            zone: Value::from_object(Zone(locale.zone.clone())),
            state,
            tone: tone(state, severity.as_deref()),
            severity,
            counts: Counts::sum(groups.iter().map(|group| group.counts)),
            groups,
        }
    }

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

impl Counts {
    fn of(news: &GroupNews) -> Self {
        let count = |line| {
            news.alerts
                .iter()
                .filter(|alert| alert.line == line)
                .count()
        };
        let hidden = |part: fn(&crate::message::Counted) -> usize| -> usize {
            news.uncounted.iter().map(part).sum()
        };
        let (new, reopened, still) = (count(Line::New), count(Line::Reopened), count(Line::Firing));
        let (over, missed) = (count(Line::Over), count(Line::Missed) + news.expired);
        Self {
            new,
            reopened,
            over,
            missed,
            still,
            firing: new + reopened + still + hidden(|counted| counted.firing),
            ended: over + missed + hidden(|counted| counted.over),
            muted: news.muted,
        }
    }

    fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |a, b| Self {
            new: a.new + b.new,
            reopened: a.reopened + b.reopened,
            over: a.over + b.over,
            missed: a.missed + b.missed,
            still: a.still + b.still,
            firing: a.firing + b.firing,
            ended: a.ended + b.ended,
            muted: a.muted + b.muted,
        })
    }
}

/// Builds the parts of a view for one reader at one instant.
struct Reader<'a> {
    locale: &'a Locale,
    now: Timestamp,
}

impl Reader<'_> {
    fn group(&self, news: &GroupNews) -> GroupView {
        let (state, severity) = (state(news.reason), severity_of(news));
        GroupView {
            id: news.group.to_string(),
            thread: news.thread.clone(),
            reason: reason(news.reason),
            priority: news.priority,
            state,
            tone: tone(state, severity.as_deref()),
            severity,
            title: title(&news.group_labels),
            labels: pairs(&news.group_labels, |_| true),
            common: pairs(&news.common_labels, |name| {
                news.group_labels.get(name).is_none()
            }),
            summary: summary(&news.common_annotations),
            counts: Counts::of(news),
            alerts: news
                .alerts
                .iter()
                .map(|alert| self.alert(alert, news))
                .collect(),
            left_out: 0,
            uncounted: news.uncounted.iter().map(counted).collect(),
            expired: news.expired,
            delayed_by: news.delayed_by.map(|d| duration(d, self.locale.language)),
            failed_over_from: news.failed_over_from.as_deref().map(clean),
            source: (news.source != alert_engine::SourceName::unnamed().as_str())
                .then(|| clean(&news.source)),
            links: group_links(news),
        }
    }

    fn alert(&self, alert: &AlertLine, news: &GroupNews) -> AlertView {
        let shared = |name: &str| {
            news.group_labels
                .get(name)
                .or(news.common_labels.get(name))
                .is_some()
        };
        let starts = self.instant(alert.starts_at);
        let ended = alert.ends_at.filter(|at| *at > alert.starts_at);
        let length = ended.unwrap_or(self.now).since(alert.starts_at);
        AlertView {
            line: line(alert.line),
            firing: alert.ends_at.is_none(),
            name: clean(alert.labels.get("alertname").unwrap_or_default()),
            severity: value(&alert.labels, "severity"),
            summary: summary(&alert.annotations),
            description: alert.annotations.get("description").map(clean_lines),
            own: pairs(&alert.labels, |name| !shared(name) && name != "alertname"),
            labels: pairs(&alert.labels, |_| true),
            annotations: pairs(&alert.annotations, |name| !SHOWN.contains(&name)),
            lasted: starts
                .is_some()
                .then(|| duration(length, self.locale.language)),
            starts,
            starts_ms: alert.starts_at.as_millis(),
            ends: alert.ends_at.and_then(|at| self.instant(at)),
            ends_ms: alert.ends_at.map(Timestamp::as_millis),
            reopened: alert.reopened,
            stale: alert.stale,
            links: alert_links(alert, news),
        }
    }

    fn instant(&self, at: Timestamp) -> Option<String> {
        instant(at, &self.locale.zone, INSTANT)
    }
}

fn group_links(news: &GroupNews) -> Links {
    let labels = if news.group_labels.is_empty() {
        &news.common_labels
    } else {
        &news.group_labels
    };
    let fires = state(news.reason) == State::Firing;
    Links {
        source: links::safe(&news.external_url),
        dashboard: links::dashboard(&news.common_annotations),
        runbook: links::runbook(&news.common_annotations),
        silence: links::silence(&news.external_url, labels).filter(|_| fires),
    }
}

/// The links of one alert, without those that its group shows already.
fn alert_links(alert: &AlertLine, news: &GroupNews) -> Links {
    let group = group_links(news);
    let fires = alert.ends_at.is_none();
    Links {
        source: links::safe(&alert.generator_url),
        dashboard: links::dashboard(&alert.annotations)
            .filter(|l| Some(l) != group.dashboard.as_ref()),
        runbook: links::runbook(&alert.annotations).filter(|l| Some(l) != group.runbook.as_ref()),
        silence: links::silence(&news.external_url, &alert.labels).filter(|_| fires),
    }
}

/// Annotations that have a place of their own in the view.
const SHOWN: [&str; 11] = [
    "summary",
    "message",
    "title",
    "description",
    "dashboard_url",
    "dashboardURL",
    "dashboard",
    "panelURL",
    "runbook_url",
    "runbookURL",
    "runbook",
];

fn state(reason: Reason) -> State {
    match reason {
        Reason::First | Reason::NewAlerts | Reason::SomeResolved | Reason::Repeat => State::Firing,
        Reason::AllResolved => State::Resolved,
        Reason::Missed => State::Missed,
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::First => "first",
        Reason::NewAlerts => "new_alerts",
        Reason::SomeResolved => "some_resolved",
        Reason::AllResolved => "all_resolved",
        Reason::Missed => "missed",
        Reason::Repeat => "repeat",
    }
}

fn line(line: Line) -> &'static str {
    match line {
        Line::New => "new",
        Line::Reopened => "reopened",
        Line::Over => "over",
        Line::Missed => "missed",
        Line::Firing => "firing",
    }
}

fn tone(state: State, severity: Option<&str>) -> &'static str {
    match (state, severity.map_or(1, rank)) {
        (State::Test | State::Missed | State::Resolved, _) => "ok",
        (State::Firing, 0) => "info",
        (State::Firing, 1) => "warning",
        (State::Firing, _) => "critical",
    }
}

/// How loud a severity is. Names that nobody knows count as a warning.
fn rank(severity: &str) -> u8 {
    match severity.to_ascii_lowercase().as_str() {
        "critical" | "page" | "emergency" | "disaster" | "fatal" | "p0" => 3,
        "error" | "high" | "major" | "p1" => 2,
        "info" | "information" | "notice" | "none" | "low" | "debug" | "p3" | "p4" => 0,
        _ => 1,
    }
}

fn worst<'a>(severities: impl Iterator<Item = &'a str>) -> Option<String> {
    severities
        .max_by_key(|severity| rank(severity))
        .map(str::to_owned)
}

/// The worst severity of what fires; if nothing does, of what is over.
fn severity_of(news: &GroupNews) -> Option<String> {
    let of = |firing: bool| {
        let alerts = news
            .alerts
            .iter()
            .filter(move |alert| alert.ends_at.is_none() == firing);
        alerts
            .filter_map(|alert| value(&alert.labels, "severity"))
            .max_by_key(|s| rank(s))
    };
    of(true)
        .or_else(|| of(false))
        .or_else(|| value(&news.common_labels, "severity"))
}

/// `DiskFull · host-1 · prod`: the alert's name first, then the other group labels.
fn title(group: &Labels) -> String {
    let name = group.get("alertname");
    let others = group
        .iter()
        .filter(|(name, _)| *name != "alertname")
        .map(|(_, value)| value);
    let words: Vec<_> = name
        .into_iter()
        .chain(others)
        .map(clean)
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" · ")
}

fn summary(annotations: &Labels) -> Option<String> {
    ["summary", "message", "title"]
        .iter()
        .find_map(|name| value(annotations, name))
}

fn value(labels: &Labels, name: &str) -> Option<String> {
    labels
        .get(name)
        .map(clean)
        .filter(|value| !value.is_empty())
}

fn pairs(labels: &Labels, wanted: impl Fn(&str) -> bool) -> Vec<Pair> {
    let wanted = labels.iter().filter(|(name, _)| wanted(name));
    wanted
        .map(|(name, value)| Pair {
            name: clean(name),
            value: clean(value),
        })
        .collect()
}

fn counted(counted: &crate::message::Counted) -> CountedView {
    CountedView {
        name: clean(&counted.name),
        firing: counted.firing,
        over: counted.over,
    }
}
