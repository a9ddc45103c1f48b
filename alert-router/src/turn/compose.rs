//! From what the engine says (ids) to what people read (texts): joins a content with its group and
//! the stored bodies. Pure.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{
    Alert, BodyHash, Content, Due, Episode, GroupState, Labels, LineKind, Phase, Text, Verdict,
};

use crate::message::{AlertLine, Counted, GroupNews, Line, Reason, shared};
use crate::webhook::payload::AlertText;

/// The bodies that a content speaks of: load them before composing.
pub(super) fn bodies_of<'a>(content: &Content, group: &'a GroupState) -> BTreeSet<BodyHash> {
    let alert = |line: &alert_engine::Line| -> Option<&'a Alert> {
        group.alerts.get(&group.episodes.get(&line.episode)?.alert)
    };
    let alerts = content.lines.iter().filter_map(alert);
    alerts.filter_map(body_of).collect()
}

/// What is known beside the group itself.
pub(super) struct Beside<'a> {
    pub(super) bodies: &'a BTreeMap<BodyHash, AlertText>,
    /// The names of the sources whose alerts the group holds, as people know them.
    pub(super) sources: &'a str,
    /// Base URL of the source's Alertmanager.
    pub(super) external_url: &'a str,
    /// The receiver that failed, if this one stands in for it.
    pub(super) failed_over_from: Option<&'a str>,
}

/// The alerts that a content speaks of: those with a text, and those that are only counted.
pub(super) fn alerts(
    content: &Content,
    group: &GroupState,
    bodies: &BTreeMap<BodyHash, AlertText>,
) -> (Vec<AlertLine>, Vec<Counted>) {
    let told = content.lines.iter().filter_map(|line| {
        let episode = group.episodes.get(&line.episode)?;
        let alert = group.alerts.get(&episode.alert);
        Some((line, episode, alert.map(|alert| &alert.text)))
    });
    lines(told, bodies)
}

/// What is said of each episode: those with a text, and those that are only counted.
pub(crate) fn lines<'a>(
    told: impl Iterator<Item = (&'a alert_engine::Line, &'a Episode, Option<&'a Text>)>,
    bodies: &BTreeMap<BodyHash, AlertText>,
) -> (Vec<AlertLine>, Vec<Counted>) {
    let mut alerts = Vec::new();
    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    for (line, episode, text) in told {
        match text {
            Some(Text::Name(name)) => count(&mut counted, name, line.kind),
            Some(Text::Body(hash)) => alerts.push(alert_line(line, episode, bodies.get(hash))),
            None => alerts.push(alert_line(line, episode, None)),
        }
    }
    (alerts, counted.into_values().collect())
}

/// What a due lane says, as people read it.
pub(super) fn news(due: &Due, group: &GroupState, beside: &Beside<'_>) -> GroupNews {
    let (alerts, uncounted) = alerts(&due.content, group, beside.bodies);
    GroupNews {
        group: group.id(),
        thread: thread(due),
        opens_thread: opens_thread(due, group),
        reason: reason(due.verdict),
        priority: due.priority,
        group_labels: group.labels.clone(),
        common_labels: match uncounted.is_empty() {
            true => shared(alerts.iter().map(|alert| &alert.labels))
                .into_iter()
                .collect(),
            // Nothing else is known of those that are only counted.
            false => group.labels.clone(),
        },
        common_annotations: match uncounted.is_empty() {
            true => shared(alerts.iter().map(|alert| &alert.annotations))
                .into_iter()
                .collect(),
            false => Labels::default(),
        },
        alerts,
        uncounted,
        muted: due.content.muted as usize,
        expired: due.content.expired as usize,
        delayed_by: due.content.delayed_by,
        failed_over_from: beside.failed_over_from.map(str::to_owned),
        external_url: beside.external_url.to_owned(),
        source: beside.sources.to_owned(),
    }
}

/// The engine's verdict as people read it.
pub(crate) fn reason(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::First => Reason::First,
        Verdict::NewAlerts => Reason::NewAlerts,
        Verdict::SomeResolved => Reason::SomeResolved,
        Verdict::AllResolved => Reason::AllResolved,
        Verdict::Missed => Reason::Missed,
        Verdict::Repeat => Reason::Repeat,
    }
}

/// One life of a group for one destination.
fn thread(due: &Due) -> String {
    let birth = due.birth.as_millis() / 1000;
    let parts = [
        b"thread",
        &due.group.0[..],
        &due.lane.0,
        &birth.to_le_bytes(),
    ];
    // The birth stands at the end, because mail readers sort threads by it.
    format!("{}.{birth}", alert_engine::DeliveryId::of(&parts))
}

/// A content that was tried, or given up to be sent again by hand, may still arrive.
fn opens_thread(due: &Due, group: &GroupState) -> bool {
    group
        .lanes
        .get(&due.lane)
        .is_some_and(|lane| !lane.holds_something() && lane.attempts == 0 && lane.parked.is_none())
}

fn body_of(alert: &Alert) -> Option<BodyHash> {
    match &alert.text {
        Text::Body(hash) => Some(*hash),
        Text::Name(_) => None,
    }
}

fn count(counted: &mut BTreeMap<String, Counted>, name: &str, kind: LineKind) {
    let entry = counted.entry(name.to_owned()).or_insert_with(|| Counted {
        name: name.to_owned(),
        firing: 0,
        over: 0,
    });
    match kind {
        LineKind::New | LineKind::Reopened | LineKind::Firing => entry.firing += 1,
        LineKind::Over | LineKind::Missed => entry.over += 1,
    }
}

fn alert_line(line: &alert_engine::Line, episode: &Episode, text: Option<&AlertText>) -> AlertLine {
    let text = text.cloned().unwrap_or_default();
    let end = match &episode.phase {
        Phase::Firing => None,
        Phase::Doubted(end) | Phase::Ended(end) => Some(end),
    };
    let over = match line.kind {
        LineKind::Over | LineKind::Missed => true,
        LineKind::New | LineKind::Reopened | LineKind::Firing => false,
    };
    AlertLine {
        line: match line.kind {
            LineKind::New => Line::New,
            LineKind::Reopened => Line::Reopened,
            LineKind::Over => Line::Over,
            LineKind::Missed => Line::Missed,
            LineKind::Firing => Line::Firing,
        },
        fingerprint: text.labels.fingerprint(),
        labels: text.labels,
        annotations: text.annotations,
        starts_at: episode.start,
        ends_at: end.filter(|_| over).map(|end| end.at),
        generator_url: text.generator_url,
        route_labels: text.route_labels,
        unknown: text.unknown,
        reopened: line.reopened,
        stale: end.is_some_and(|end| over && end.why == alert_engine::EndReason::Stale),
    }
}
