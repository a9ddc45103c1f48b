//! `route`: Alertmanager's routing tree, read into the engine's.

use std::collections::BTreeSet;

use alert_engine::{GroupBy, MatchOp, Matcher, Matchers, RouteSpec, Timing};

use super::fields::Fields;
use super::names::Names;
use super::problem::Complaint;
use super::read::Node;

const TIMINGS: &[(&str, Timing)] = &[("settled", Timing::Settled), ("ticking", Timing::Ticking)];

/// Reads a route and those below it.
pub(super) fn read(node: &Node<'_>, names: &Names) -> Option<RouteSpec> {
    node.fields(|f| {
        let receiver = f.read("receiver", |n| names.reference(n));
        let matchers = matchers_of(f);
        let continues = f.read("continue", Node::flag).unwrap_or(false);
        let group_by = f.read("group_by", group_by);
        let group_wait = f.read("group_wait", Node::duration);
        let group_interval = f.read("group_interval", Node::interval);
        let repeat_interval = f.read("repeat_interval", Node::interval);
        let repeat_interval_max = f.read("repeat_interval_max", Node::interval);
        let timing = f.read("timing", |n| n.choice(TIMINGS));
        let fix = "remove it: time intervals come with a later version";
        f.refuse(&["mute_time_intervals", "active_time_intervals"], fix);
        let below = f.get("routes").map(|n| n.list()).unwrap_or_default();
        if let (Some(repeat), Some(interval)) = (repeat_interval, group_interval)
            && repeat < interval
        {
            let what = "repeat_interval is shorter than group_interval";
            f.warn_at(
                "repeat_interval",
                (what, "messages stay group_interval apart: make it longer"),
            );
        }
        if let (Some(repeat), Some(most)) = (repeat_interval, repeat_interval_max)
            && most < repeat
        {
            let what = "repeat_interval_max is shorter than repeat_interval";
            let fix = "the interval grows from the one to the other: make it longer, or remove it";
            f.error_at("repeat_interval_max", (what, fix));
        }
        Some(RouteSpec {
            receiver,
            matchers,
            continues,
            group_by,
            group_wait,
            group_interval,
            repeat_interval,
            repeat_interval_max,
            timing,
            routes: below.iter().filter_map(|n| read(n, names)).collect(),
        })
    })
}

/// Reads a text of matchers.
pub(super) fn matchers(text: &str) -> Result<Matchers, Complaint> {
    Matchers::parse(text).map_err(|error| {
        let what = format!("{text:?} is no matcher, column {}", error.column);
        Complaint::new(what, error.problem.to_string())
    })
}

/// `matchers`, and the older `match` and `match_re`.
pub(super) fn matchers_of(f: &mut Fields<'_>) -> Matchers {
    let texts = f.get("matchers").map(|n| n.list()).unwrap_or_default();
    let modern = texts.iter().filter_map(|n| n.parse(matchers));
    let modern = modern.fold(Matchers::default(), Matchers::and);
    let equal = f
        .read("match", |n| Some(map(n, MatchOp::Equal)))
        .unwrap_or_default();
    let regexp = f
        .read("match_re", |n| Some(map(n, MatchOp::Regexp)))
        .unwrap_or_default();
    modern.and(equal).and(regexp)
}

fn map(node: &Node<'_>, op: MatchOp) -> Matchers {
    let read = |(name, value): &(String, Node<'_>)| {
        value.parse(|text| {
            Matcher::new(name, op, text)
                .map_err(|problem| Complaint::new("no matcher", problem.to_string()))
        })
    };
    node.entries().iter().filter_map(read).collect()
}

fn group_by(node: &Node<'_>) -> Option<GroupBy> {
    let mut names = BTreeSet::new();
    for element in node.list() {
        let name = element.text()?;
        if !names.insert(name.clone()) {
            let what = format!("{name:?} is there twice");
            element.error((what, "keep one"));
        }
    }
    if !names.remove("...") {
        return Some(GroupBy::Labels(names));
    }
    if !names.is_empty() {
        let what = "\"...\" stands for all labels, and there are others beside it";
        node.error((what, "keep \"...\", or the others"));
    }
    Some(GroupBy::All)
}
