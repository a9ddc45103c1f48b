//! Builds the view of a message for readers of one language and time zone.

use alert_engine::{Labels, Timestamp};
use minijinja::value::Value;

use super::clean::{clean, clean_lines};
use super::view::{
    AlertView, CountedView, Counts, GroupView, Kind, Links, Pair, State, View, Zone,
};
use super::words::{INSTANT, duration, instant};
use super::{Language, Locale, links};
use crate::message::{AlertLine, Counted, GroupNews, Line, Message, Reason, Says};

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
}

impl Counts {
    fn of(news: &GroupNews) -> Self {
        let count = |line| {
            news.alerts
                .iter()
                .filter(|alert| alert.line == line)
                .count()
        };
        let hidden =
            |part: fn(&Counted) -> usize| -> usize { news.uncounted.iter().map(part).sum() };
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
        let (state, severity) = (state(news), severity_of(news));
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
    let fires = state(news) == State::Firing;
    Links {
        source: links::safe(&news.external_url),
        dashboard: links::dashboard(&news.common_annotations),
        runbook: links::runbook(&news.common_annotations),
        traces: links::traces(&news.common_annotations),
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
        traces: links::traces(&alert.annotations).filter(|l| Some(l) != group.traces.as_ref()),
        silence: links::silence(&news.external_url, &alert.labels).filter(|_| fires),
    }
}

/// Annotations that have a place of their own in the view.
const SHOWN: [&str; 13] = [
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
    "trace_url",
    "traceURL",
];

fn state(news: &GroupNews) -> State {
    match news.reason {
        // What still fires is told elsewhere.
        Reason::SomeResolved if Counts::of(news).firing + news.muted == 0 => State::Resolved,
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

fn counted(counted: &Counted) -> CountedView {
    CountedView {
        name: clean(&counted.name),
        firing: counted.firing,
        over: counted.over,
    }
}
