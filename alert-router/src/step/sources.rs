//! Who posts to us: when each source spoke last, and where its Alertmanager is.

use std::collections::BTreeMap;

use alert_engine::{Liveness, LivenessChange, Source, SourceName, Sources, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::{Doc, DocKey, Kind, Revision, Scan, Store, StoreError, Unit, Write};
use crate::webhook::payload::Envelope;

/// A stored value may be older than the truth by this fraction of its limit.
const WORTH_A_WRITE: u32 = 8;

/// Sources beyond this many are not taken: their names come from outside.
pub(crate) const SOURCES: usize = 256;

/// All sources that ever spoke.
#[derive(Default)]
pub(crate) struct SourceBook {
    known: Sources,
    details: BTreeMap<SourceName, Details>,
}

#[derive(Default)]
struct Details {
    external_url: String,
    revision: Revision,
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
}

impl Stored {
    fn life(&self) -> Liveness {
        Liveness {
            last: Timestamp::from_millis(self.last_ms),
            alive_since: Timestamp::from_millis(self.alive_since_ms),
            repeats_every: std::time::Duration::from_millis(self.repeats_every_ms),
            silent: self.silent,
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
                revision: doc.revision,
                written: Some(life.last),
                dirty: false,
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
            if !envelope.external_url.is_empty() && details.external_url != envelope.external_url {
                details.external_url.clone_from(&envelope.external_url);
                details.dirty = true;
            }
        }
        back
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
                external_url: details.external_url.clone(),
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
        let Some(theirs) = stored.as_ref().map(Stored::life) else {
            return;
        };
        if source.life.is_none_or(|ours| ours.last <= theirs.last) {
            source.life = Some(theirs);
            details.written = Some(theirs.last);
            details.dirty = false;
        }
    }
}

/// Whom the alerts of the page's button come from.
pub(crate) fn test_button() -> SourceName {
    SourceName::new("test-button")
}

/// We speak when there is trouble, people test when they like: saying nothing is no silence.
fn keeps_no_time(name: &SourceName) -> bool {
    *name == SourceName::ours() || *name == test_button()
}

pub(crate) fn source_key(name: &SourceName) -> DocKey {
    DocKey {
        kind: Kind::Source,
        id: Bytes::copy_from_slice(name.as_str().as_bytes()),
    }
}
