//! Who posts to us: when each source spoke last, where its Alertmanager is, and what its posts show
//! of how that is set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{
    Alert, EndReason, Liveness, LivenessChange, Source, SourceName, Sources, Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::groups::Held;
use super::upstream::{Advice, Finding, First, Post, Upstream};
use crate::config::{built_in, test_button};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::{Doc, DocKey, Kind, Revision, Scan, Store, StoreError, Unit, Write};
use crate::webhook::payload::Envelope;

/// A stored value may be older than the truth by this fraction of its limit.
const WORTH_A_WRITE: u32 = 8;

/// Sources beyond this many are not taken: their names come from outside.
pub(crate) const SOURCES: usize = 256;

/// Bytes of a URL that is kept; a longer one is nobody's address.
const URL: usize = 2_048;

/// All sources that ever spoke.
#[derive(Default)]
pub(crate) struct SourceBook {
    known: Sources,
    details: BTreeMap<SourceName, Details>,
}

#[derive(Default)]
struct Details {
    external_url: String,
    /// Written when the rest is due to be: a post that is no news costs no write of its own.
    upstream: Upstream,
    revision: Revision,
    /// What was odd in its posts, and said so.
    odd: BTreeSet<&'static str>,
    /// `last` as stored.
    written: Option<Timestamp>,
    dirty: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    last_ms: i64,
    alive_since_ms: i64,
    repeats_every_ms: u64,
    silent: bool,
    external_url: String,
    #[serde(default)]
    repeats_shown_ms: Option<i64>,
    #[serde(default)]
    upstream: Upstream,
}

/// A source as people see it.
#[derive(Clone, Debug)]
pub struct Known {
    pub(crate) name: SourceName,
    pub(crate) life: Liveness,
    /// How long it may say nothing.
    pub(crate) silent_after: Duration,
    pub(crate) external_url: String,
    pub(crate) upstream: Upstream,
    pub(crate) advice: Vec<Advice>,
}

/// What one post, or the passing of time, showed for the first time.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) first: Option<First>,
    pub(crate) advice: Vec<Advice>,
    /// Fields of its posts that make no sense.
    pub(crate) odd: Vec<&'static str>,
}

impl Stored {
    fn life(&self) -> Liveness {
        Liveness {
            last: Timestamp::from_millis(self.last_ms),
            alive_since: Timestamp::from_millis(self.alive_since_ms),
            repeats_every: Duration::from_millis(self.repeats_every_ms),
            // An earlier version measured nothing.
            repeats_shown: Timestamp::from_millis(self.repeats_shown_ms.unwrap_or(self.last_ms)),
            silent: self.silent,
        }
    }
}

impl Learned {
    /// Says it in the log.
    pub(crate) fn tell(&self, plan: &Plan, source: &SourceName) {
        let source = plan.config().shown(source).as_str();
        if let Some(First { alerts, groups, .. }) = self.first {
            tracing::info!(
                source,
                alerts,
                groups,
                "a source was heard for the first time"
            );
        }
        if !self.odd.is_empty() {
            let fields = self.odd.join(", ");
            tracing::warn!(
                source,
                fields,
                "its posts have fields that are not what Alertmanager writes; they count as missing"
            );
        }
        for advice in &self.advice {
            let Advice {
                under,
                key,
                value,
                why,
            } = advice;
            tracing::warn!(source, %why, "its Alertmanager does not suit a router: set {key}: {value} under {under} in its alertmanager.yml");
        }
    }
}

impl SourceBook {
    /// The sources as they were stored, with the rules of the config.
    pub(crate) async fn load(store: &dyn Store, plan: &Plan) -> Result<Self, StoreError> {
        let scan = Scan {
            kind: Kind::Source,
            after: Bytes::new(),
            limit: SOURCES,
        };
        let docs = store.scan(scan).await?.docs.into_iter().flatten();
        Ok(Self::read(plan, docs))
    }

    fn read(plan: &Plan, docs: impl Iterator<Item = Doc>) -> Self {
        let mut book = Self::default();
        for name in [SourceName::ours(), test_button()] {
            let (rules, life) = (plan.source_rules(&name), None);
            book.known.0.insert(name, Source { rules, life });
        }
        for doc in docs {
            let Ok(stored) = serde_json::from_slice::<Stored>(&doc.bytes) else {
                continue;
            };
            let name = SourceName::new(&stored.name);
            if keeps_no_time(&name) {
                continue;
            }
            let life = stored.life();
            book.known.0.insert(
                name.clone(),
                Source {
                    rules: plan.source_rules(&name),
                    life: Some(life),
                },
            );
            let details = Details {
                external_url: stored.external_url,
                upstream: stored.upstream,
                revision: doc.revision,
                written: Some(life.last),
                ..Details::default()
            };
            book.details.insert(name, details);
        }
        book
    }

    /// Takes the rules of a new config.
    pub(crate) fn adopt(&mut self, plan: &Plan) {
        for (name, source) in &mut self.known.0 {
            source.rules = plan.source_rules(name);
        }
    }

    pub(crate) fn known(&self) -> &Sources {
        &self.known
    }

    /// The names of all sources.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.known.0.keys()
    }

    /// Base URL of the Alertmanager that posts as this source.
    pub(crate) fn external_url(&self, name: &SourceName) -> &str {
        self.details
            .get(name)
            .map_or("", |details| &details.external_url)
    }

    /// Sources spoke. Returns those that are back after a silence.
    pub(crate) fn spoke<'a>(
        &mut self,
        plan: &Plan,
        now: Timestamp,
        who: impl Iterator<Item = (&'a SourceName, &'a Envelope)>,
    ) -> Vec<SourceName> {
        let mut back = Vec::new();
        for (name, envelope) in who.filter(|(name, _)| !keeps_no_time(name)) {
            let source = self.known.0.entry(name.clone()).or_insert_with(|| Source {
                rules: plan.source_rules(name),
                life: None,
            });
            let details = self.details.entry(name.clone()).or_default();
            match &mut source.life {
                Some(life) => {
                    if life.spoke(&source.rules, now) == Some(LivenessChange::SpeaksAgain) {
                        back.push(name.clone());
                        details.dirty = true;
                    }
                }
                life @ None => *life = Some(Liveness::begin(now)),
            }
            let url = &envelope.external_url;
            if (1..=URL).contains(&url.len()) && details.external_url != *url {
                details.external_url.clone_from(url);
                details.dirty = true;
            }
        }
        back
    }

    /// A post of a source was taken in.
    pub(crate) fn learn(&mut self, name: &SourceName, post: &Post<'_>, now: Timestamp) -> Learned {
        let mut learned = self.learn_by(name, now, |details, source| {
            let repeats = details.upstream.hear(post, now);
            if let (Some(interval), Some(life)) = (repeats, &mut source.life) {
                let before = life.repeats_every;
                life.repeats(interval, now);
                details.dirty |= life.repeats_every != before;
            }
            let is_first = details.written.is_none() && details.upstream.first.is_none();
            is_first.then(|| details.upstream.begin(post, now))
        });
        if let Some(details) = self.details.get_mut(name) {
            let odd = post.envelope.odd.iter().copied();
            learned.odd = odd.filter(|field| details.odd.insert(field)).collect();
        }
        learned
    }

    /// Looks for alerts that were closed because their source mentioned them no more. Groups keep an
    /// end until everybody has heard it, so the same may be found again.
    pub(crate) fn look_at_ends<'a>(
        &mut self,
        plan: &Plan,
        groups: impl Iterator<Item = &'a Held>,
        now: Timestamp,
    ) {
        for state in groups.map(|held| held.group.state()) {
            for episode in state.episodes.values() {
                let Some(end) = episode.ended().filter(|end| end.why == EndReason::Stale) else {
                    continue;
                };
                let departed = |alert: &Alert| alert.departed;
                if state.alerts.get(&episode.alert).is_some_and(departed) {
                    continue;
                }
                let name = &episode.alert.source;
                let learned = self.learn_by(name, now, |details, source| {
                    details.upstream.closed_unmentioned(end.seen, &source.rules);
                    None
                });
                learned.tell(plan, name);
            }
        }
    }

    fn learn_by(
        &mut self,
        name: &SourceName,
        now: Timestamp,
        change: impl FnOnce(&mut Details, &mut Source) -> Option<First>,
    ) -> Learned {
        let (Some(details), Some(source)) =
            (self.details.get_mut(name), self.known.0.get_mut(name))
        else {
            return Learned::default();
        };
        let before: Vec<&str> = findings(details, source, now).map(|it| it.key()).collect();
        let first = change(details, source);
        let new = findings(details, source, now).filter(|it| !before.contains(&it.key()));
        Learned {
            first,
            advice: new.map(|it| it.advice()).collect(),
            odd: Vec::new(),
        }
    }

    /// All sources that speak by themselves.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Known> {
        let all = self.details.iter().filter_map(|(name, details)| {
            let source = self.known.0.get(name)?;
            let life = source.life?;
            Some(Known {
                name: name.clone(),
                life,
                external_url: details.external_url.clone(),
                upstream: details.upstream.clone(),
                advice: findings(details, source, now)
                    .map(|it| it.advice())
                    .collect(),
                silent_after: life.silent_after(&source.rules),
            })
        });
        all.collect()
    }

    /// Lets time pass. Returns those that fell silent.
    pub(crate) fn look(&mut self, now: Timestamp) -> Vec<SourceName> {
        let mut silent = Vec::new();
        for (name, source) in &mut self.known.0 {
            let Some(life) = &mut source.life else {
                continue;
            };
            if life.look(&source.rules, now) == Some(LivenessChange::FellSilent) {
                silent.push(name.clone());
                self.details.entry(name.clone()).or_default().dirty = true;
            }
        }
        silent
    }

    /// Shows which sources are silent.
    pub(crate) fn show(&self, metrics: &Metrics) {
        for (name, source) in &self.known.0 {
            let silent = source.life.is_some_and(|life| life.silent);
            metrics
                .source_silent
                .with_label_values(&[name.as_str()])
                .set(silent.into());
        }
    }

    /// When the next source would fall silent.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let lives = self
            .known
            .0
            .values()
            .filter_map(|s| Some((s.life?, s.rules)));
        lives
            .filter_map(|(life, rules)| life.next_wake(&rules))
            .min()
    }

    /// One unit for each source whose stored value is too old.
    pub(crate) fn write_back(&mut self) -> Vec<(SourceName, Unit)> {
        let mut units = Vec::new();
        for (name, source) in &self.known.0 {
            let Some(life) = source.life else { continue };
            let Some(details) = self.details.get_mut(name) else {
                continue;
            };
            let limit = life
                .next_wake(&source.rules)
                .map_or(life.repeats_every, |at| at.since(life.last));
            let stale = details
                .written
                .is_none_or(|at| life.last.since(at) > limit / WORTH_A_WRITE);
            if !stale && !details.dirty {
                continue;
            }
            let stored = Stored {
                name: name.as_str().to_owned(),
                last_ms: life.last.as_millis(),
                alive_since_ms: life.alive_since.as_millis(),
                repeats_every_ms: u64::try_from(life.repeats_every.as_millis()).unwrap_or(u64::MAX),
                silent: life.silent,
                repeats_shown_ms: Some(life.repeats_shown.as_millis()),
                external_url: details.external_url.clone(),
                upstream: details.upstream.clone(),
            };
            let key = source_key(name);
            let bytes = serde_json::to_vec(&stored).expect("strings and numbers always serialise");
            let write = Write::Put {
                key,
                expected: details.revision,
                wake_at: None,
                bytes: bytes.into(),
            };
            details.written = Some(life.last);
            details.dirty = false;
            units.push((name.clone(), write.into()));
        }
        units
    }

    /// A source's document was written.
    pub(crate) fn wrote(&mut self, name: &SourceName, revisions: &[Revision]) {
        if let (Some(details), Some(revision)) = (self.details.get_mut(name), revisions.first()) {
            details.revision = *revision;
        }
    }

    /// It may not have been written: the next step writes it.
    pub(crate) fn unwritten(&mut self, name: &SourceName) {
        if let Some(details) = self.details.get_mut(name) {
            details.dirty = true;
        }
    }

    /// Somebody else's document is stored: what it knows beyond ours holds here too.
    pub(crate) fn take_over(&mut self, name: &SourceName, doc: Option<&Doc>) {
        let (Some(details), Some(source)) =
            (self.details.get_mut(name), self.known.0.get_mut(name))
        else {
            return;
        };
        details.revision = doc.map_or(Revision::NONE, |doc| doc.revision);
        let stored = doc.and_then(|doc| serde_json::from_slice::<Stored>(&doc.bytes).ok());
        let Some(stored) = stored else {
            return;
        };
        let theirs = stored.life();
        if source.life.is_none_or(|ours| ours.last <= theirs.last) {
            source.life = Some(theirs);
            details.upstream = stored.upstream;
            details.written = Some(theirs.last);
            details.dirty = false;
        }
    }
}

fn findings<'a>(
    details: &'a Details,
    source: &Source,
    now: Timestamp,
) -> impl Iterator<Item = Finding<'a>> {
    let silent_after = source.life.map(|life| life.silent_after(&source.rules));
    let silent_after = silent_after.unwrap_or(Duration::MAX);
    details.upstream.findings(silent_after, now)
}

/// We speak when there is trouble, people test when they like: saying nothing is no silence.
fn keeps_no_time(name: &SourceName) -> bool {
    built_in(name).is_some()
}

pub(crate) fn source_key(name: &SourceName) -> DocKey {
    DocKey {
        kind: Kind::Source,
        id: Bytes::copy_from_slice(name.as_str().as_bytes()),
    }
}
