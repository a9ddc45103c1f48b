//! What the page shows, gathered from the store: plain values, ready to be rendered.

#[cfg(test)]
pub(super) mod samples;
mod sources;

pub(super) use sources::{SourceCard, sources};

use std::collections::BTreeMap;

use alert_engine::{
    AlertKey, BodyHash, EpisodeId, GroupState, Heard, Labels, Lane, LaneKey, Phase, Text, Timestamp,
};
use bytes::Bytes;
use jiff::tz::TimeZone;
use prometheus::IntGaugeVec;
use prometheus::core::Collector;
use serde::Serialize;

use super::Web;
use super::refusal::Refusal;
use crate::dead_letter::DeadLetter;
use crate::listing::{self, Page};
use crate::plan::Plan;
use crate::quarantine::Quarantined;
use crate::receiver;
use crate::render::{Language, Locale};
use crate::step::bodies;
use crate::store::{Kind, Scan, Store, StoreError, codec};
use crate::webhook::payload::AlertText;

/// Groups that one page shows.
const GROUPS: usize = 100;
/// Alerts of one group that it shows.
const ALERTS: usize = 50;
/// Messages of the inbox that it shows.
const MESSAGES: usize = 50;
/// Dead letters, and bodies in quarantine, that it shows.
const KEPT: usize = 20;

/// Everything on the page.
#[derive(Serialize)]
pub(super) struct View {
    version: &'static str,
    /// For HTML's `lang`.
    lang: &'static str,
    /// The template with what the page itself says: `{% import words as say %}`.
    words: &'static str,
    troubles: Vec<Trouble>,
    /// Those that are new, or should be set otherwise.
    sources: Vec<SourceCard>,
    groups: Vec<GroupCard>,
    /// Open groups that are not among them.
    more_groups: u64,
    messages: Vec<MessageCard>,
    dead_letters: Kept<LetterCard>,
    quarantine: Kept<BodyCard>,
    /// Those that have a destination.
    receivers: Vec<String>,
    url: String,
    port: String,
    curl: String,
}

/// What an operator should know now.
#[derive(Serialize)]
#[serde(tag = "about", rename_all = "snake_case")]
enum Trouble {
    /// The old config is in effect.
    ReloadRefused { why: String },
    /// There was no space left.
    StoreFull,
    /// A destination takes nothing until somebody mends its settings.
    Blocked {
        receiver: String,
        destination: String,
    },
    /// A source says nothing any more.
    Silent { source: String },
}

/// What waits for a person: the newest few, and how many there are.
#[derive(Serialize)]
struct Kept<T> {
    count: u64,
    cards: Vec<T>,
}

/// An open group.
#[derive(Serialize)]
pub(super) struct GroupCard {
    id: String,
    labels: Vec<(String, String)>,
    source: String,
    firing: usize,
    over: usize,
    alerts: Vec<AlertRow>,
    more: usize,
    lanes: Vec<LaneRow>,
}

#[derive(Serialize)]
struct AlertRow {
    name: String,
    labels: Vec<(String, String)>,
    summary: String,
    since: String,
    state: &'static str,
    /// How often it was posted since this process started.
    seen: u64,
}

#[derive(Serialize)]
struct LaneRow {
    /// `None` if the config does not know it any more.
    receiver: Option<String>,
    destination: String,
    /// How many alerts its people have surely heard of as firing.
    firing: usize,
    /// When they got the last message.
    told_at: Option<String>,
    /// The attempt that is under way.
    attempt: Option<u32>,
    /// The last message was given up; the same is tried again then.
    given_up_until: Option<String>,
    /// Missed occurrences that they are still to hear of.
    owed: usize,
    /// Nothing goes there before.
    waits_until: Option<String>,
}

#[derive(Serialize)]
struct MessageCard {
    title: String,
    at: String,
    receiver: String,
    text: String,
    firing: bool,
}

#[derive(Serialize)]
struct LetterCard {
    id: String,
    receiver: String,
    destination: String,
    at: String,
    reason: String,
}

#[derive(Serialize)]
struct BodyCard {
    id: String,
    source: String,
    at: String,
    why: String,
    bytes: usize,
}

impl View {
    pub(super) async fn gather(web: &Web, language: Option<Language>) -> Result<Self, Refusal> {
        let plan = web.intake.plan.borrow().clone();
        let Locale {
            zone,
            language: usual,
        } = &plan.config().locale;
        let (lang, words) = words(language.unwrap_or(*usual));
        let entries = receiver::newest(&*web.store, MESSAGES).await?;
        let messages = entries
            .into_iter()
            .map(|entry| MessageCard::of(entry, zone))
            .collect();
        let letters: Page<DeadLetter> = listing::page(&*web.store, None).await?;
        let bodies: Page<Quarantined> = listing::page(&*web.store, None).await?;
        let depth = web.store.depth().await?;
        let count = |kind: Kind| {
            let found = depth.docs.iter().find(|(found, _)| *found == kind);
            found.map_or(0, |(_, count)| *count)
        };
        let language = language.unwrap_or(*usual);
        let letter = |letter| LetterCard::of(letter, zone, language);
        let body = |body| BodyCard::of(body, zone);
        let port = web.url.rsplit(':').next().unwrap_or_default().to_owned();
        let groups = groups(web, &plan).await?;
        let mut sources = sources(web, &plan, language).await?;
        sources.retain(SourceCard::is_worth_a_card);
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            lang,
            words,
            troubles: troubles(web),
            sources,
            more_groups: more_groups(web, groups.len()).await?,
            groups,
            messages,
            dead_letters: Kept {
                count: count(Kind::DeadLetter),
                cards: newest(letters.records, |letter| letter.at_ms)
                    .map(letter)
                    .collect(),
            },
            quarantine: Kept {
                count: count(Kind::Quarantine),
                cards: newest(bodies.records, |body| body.at_ms)
                    .map(body)
                    .collect(),
            },
            receivers: plan.receivers().map(str::to_owned).collect(),
            url: web.url.to_string(),
            port,
            curl: curl(&web.url, web.intake.clock.now()),
        })
    }
}

/// The language's name in HTML, and its words.
fn words(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => ("en", "words.en.html"),
        Language::Chinese => ("zh-CN", "words.zh.html"),
    }
}

/// What an operator should know now, whether or not the config says who hears of it.
fn troubles(web: &Web) -> Vec<Trouble> {
    let refused = web.reloader.refused();
    let refused = refused.map(|why| Trouble::ReloadRefused { why });
    let full = (web.metrics.store_full.get() > 0).then_some(Trouble::StoreFull);
    let blocked = raised(&web.metrics.blocked).into_iter();
    let blocked = blocked.map(|labels| Trouble::Blocked {
        receiver: labels["receiver"].clone(),
        destination: labels["destination"].clone(),
    });
    let silent = raised(&web.metrics.source_silent).into_iter();
    let silent = silent.map(|labels| Trouble::Silent {
        source: labels["source"].clone(),
    });
    let all = refused.into_iter().chain(full).chain(blocked);
    all.chain(silent).collect()
}

/// The labels of the series that are not zero.
fn raised(gauge: &IntGaugeVec) -> Vec<BTreeMap<String, String>> {
    let families = gauge.collect();
    let series = families.iter().flat_map(|family| family.get_metric());
    let raised = series.filter(|metric| metric.get_gauge().get_value() > 0.0);
    let labels = |metric: &prometheus::proto::Metric| {
        let pairs = metric.get_label().iter();
        pairs
            .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
            .collect()
    };
    raised.map(labels).collect()
}

/// The open groups, those with something firing first.
pub(super) async fn groups(web: &Web, plan: &Plan) -> Result<Vec<GroupCard>, Refusal> {
    let scan = Scan {
        kind: Kind::Group,
        after: Bytes::new(),
        limit: GROUPS,
    };
    let loaded = web.store.scan(scan).await?;
    let states: Vec<GroupState> = loaded
        .docs
        .into_iter()
        .flatten()
        .filter_map(|doc| Some(codec::decode(&doc.bytes).ok()?.0))
        .collect();
    let texts = texts(&*web.store, &states).await?;
    // One question for all: each is answered between two turns.
    let seen = web.step.seen(states.iter().map(GroupState::id).collect());
    let seen = seen.await?;
    let states = states.iter().zip(&seen);
    let cards = states.map(|(state, seen)| GroupCard::of(state, &texts, seen, plan));
    let mut cards: Vec<GroupCard> = cards.collect();
    cards.sort_by_key(|card| std::cmp::Reverse(card.firing > 0));
    Ok(cards)
}

/// How many open groups there are beside the shown ones.
async fn more_groups(web: &Web, shown: usize) -> Result<u64, StoreError> {
    if shown < GROUPS {
        return Ok(0);
    }
    let docs = web.store.depth().await?.docs;
    let groups = docs.iter().find(|(kind, _)| *kind == Kind::Group);
    Ok(groups.map_or(0, |(_, count)| count.saturating_sub(shown as u64)))
}

async fn texts(
    store: &dyn Store,
    states: &[GroupState],
) -> Result<BTreeMap<BodyHash, AlertText>, StoreError> {
    let shown = states
        .iter()
        .flat_map(|state| state.alerts.values().take(ALERTS));
    let hashes = shown
        .filter_map(|alert| match &alert.text {
            Text::Body(hash) => Some(*hash),
            Text::Name(_) => None,
        })
        .collect();
    bodies::load(store, hashes).await
}

impl GroupCard {
    fn of(
        state: &GroupState,
        texts: &BTreeMap<BodyHash, AlertText>,
        seen: &BTreeMap<AlertKey, u64>,
        plan: &Plan,
    ) -> Self {
        let zone = &plan.config().locale.zone;
        let fires = |episode: &EpisodeId| {
            state
                .episodes
                .get(episode)
                .is_some_and(|episode| episode.phase == Phase::Firing)
        };
        let firing = state
            .alerts
            .values()
            .filter(|alert| fires(&alert.episode))
            .count();
        let row = |(key, alert): (&AlertKey, &alert_engine::Alert)| {
            let (name, text) = match &alert.text {
                Text::Body(hash) => (None, texts.get(hash).cloned().unwrap_or_default()),
                Text::Name(name) => (Some(name.to_string()), AlertText::default()),
            };
            let episode = state.episodes.get(&alert.episode);
            AlertRow {
                name: name
                    .or_else(|| text.labels.get("alertname").map(str::to_owned))
                    .unwrap_or_else(|| key.fingerprint.to_string()),
                labels: pairs_without(&text.labels, &state.labels),
                summary: text
                    .annotations
                    .get("summary")
                    .unwrap_or_default()
                    .to_owned(),
                since: episode.map_or_else(String::new, |episode| show(episode.start, zone)),
                state: match episode.map(|episode| episode.phase) {
                    Some(Phase::Firing) => "firing",
                    Some(Phase::Doubted(_)) => "in_doubt",
                    Some(Phase::Ended(_)) | None => "over",
                },
                seen: seen.get(key).copied().unwrap_or(0) + 1,
            }
        };
        let lane = |(key, lane): (&LaneKey, &Lane)| LaneRow::of(state, *key, lane, plan);
        Self {
            id: state.id().to_string(),
            labels: pairs_without(&state.labels, &Labels::default()),
            source: plan.config().shown_all(state.alerts.keys()),
            firing,
            over: state.alerts.len() - firing,
            alerts: state.alerts.iter().take(ALERTS).map(row).collect(),
            more: state.alerts.len().saturating_sub(ALERTS),
            lanes: state.lanes.iter().map(lane).collect(),
        }
    }
}

impl LaneRow {
    fn of(state: &GroupState, key: LaneKey, lane: &Lane, plan: &Plan) -> Self {
        let outlet = plan.outlet(state.route, key);
        let destination = outlet.as_ref().map(|outlet| outlet.receiver.destination());
        let shown = |at: Timestamp| show(at, &plan.config().locale.zone);
        let heard = lane.heard.values();
        Self {
            receiver: outlet.as_ref().map(|outlet| outlet.name.to_string()),
            destination: destination.map_or_else(String::new, |d| d.label.clone()),
            firing: heard.filter(|heard| **heard == Heard::Sure).count(),
            told_at: lane.last.map(shown),
            attempt: lane.flight.as_ref().map(|flight| flight.attempt),
            given_up_until: lane.parked.as_ref().map(|parked| shown(parked.pause.until)),
            owed: lane.owed.len(),
            waits_until: lane.pause.as_ref().map(|pause| shown(pause.until)),
        }
    }
}

/// The newest of what is kept, as many as the page shows.
fn newest<T>(mut kept: Vec<T>, at: impl Fn(&T) -> i64) -> impl Iterator<Item = T> {
    kept.sort_by_key(|one| std::cmp::Reverse(at(one)));
    kept.into_iter().take(KEPT)
}

impl LetterCard {
    fn of(letter: DeadLetter, zone: &TimeZone, language: Language) -> Self {
        let fix = letter.fix_in(language);
        let fix = fix.map_or_else(String::new, |fix| format!("; {fix}"));
        Self {
            at: show(Timestamp::from_millis(letter.at_ms), zone),
            reason: letter.answer + &fix,
            receiver: letter.receiver,
            destination: letter.destination,
            id: letter.id,
        }
    }
}

impl BodyCard {
    fn of(body: Quarantined, zone: &TimeZone) -> Self {
        Self {
            at: show(Timestamp::from_millis(body.at_ms), zone),
            id: body.id,
            source: body.source,
            why: body.why,
            bytes: body.bytes,
        }
    }
}

impl MessageCard {
    fn of(entry: receiver::Entry, zone: &TimeZone) -> Self {
        let firing = entry
            .view
            .pointer("/counts/firing")
            .and_then(serde_json::Value::as_u64);
        Self {
            at: show(Timestamp::from_millis(entry.created_ms), zone),
            title: entry.title,
            receiver: entry.receiver,
            text: entry.text,
            firing: firing.unwrap_or(1) > 0,
        }
    }
}

fn pairs_without(labels: &Labels, known: &Labels) -> Vec<(String, String)> {
    let fresh = labels.iter().filter(|(name, value)| {
        *name != "alertname" && known.get(name) != Some(*value) || known.is_empty()
    });
    fresh
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn show(at: Timestamp, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    let local = instant.to_zoned_datetime(zone.clone());
    jiff::fmt::strtime::format("%Y-%m-%d %H:%M:%S %:z", &local)
        .unwrap_or_else(|_| instant.to_string())
}

/// A body as an Alertmanager would post it, ready to be pasted into a shell.
fn curl(url: &str, now: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(now.as_millis() / 1000 * 1000).unwrap_or_default();
    let alert = |instance: &str| {
        format!(
            r#"{{"status":"firing","labels":{{"alertname":"HighErrorRate","cluster":"prod-sh","service":"orders","severity":"critical","instance":"{instance}"}},"annotations":{{"summary":"orders error rate 7.1%"}},"startsAt":"{at}"}}"#
        )
    };
    format!(
        "curl -H 'Content-Type: application/json' {url}/webhook -d '{{\"version\":\"4\",\"alerts\":[{},{}]}}'",
        alert("10.0.0.1:8080"),
        alert("10.0.0.2:8080"),
    )
}
