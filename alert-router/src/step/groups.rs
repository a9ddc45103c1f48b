//! Groups as this process holds them: decoded once, trusted as long as the store says that their
//! revision is the same, and forgotten whenever a write did not surely succeed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alert_engine::{AlertKey, Group, GroupId, GroupState, Timestamp};
use bytes::Bytes;

use super::lost::{self, Lost, Names};
use super::units;
use super::waiting::WaitingBook;
use crate::dead_letter::GivenUp;
use crate::history::Event;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::codec;
use crate::store::{Committed, Doc, DocKey, Kind, Revision, Store, StoreError, Write};
use crate::trace::Origins;

/// At most so many groups stay decoded in memory; more are read again when they are needed.
const CACHED: usize = 50_000;

/// A group with what this process knows beside it.
pub(crate) struct Held {
    pub(crate) group: Group,
    /// How often each alert was seen unchanged since this process started.
    pub(crate) seen: BTreeMap<AlertKey, u64>,
    pub(crate) origins: Origins,
    revision: Revision,
    /// The alerts whose `Home` names this group, as stored.
    homes: BTreeSet<AlertKey>,
}

/// A group that is to be written.
pub(crate) struct Touched {
    pub(crate) held: Held,
    /// When it wants to be looked at next.
    pub(crate) wake_at: Option<Timestamp>,
    /// What belongs to it and is written with it.
    pub(crate) writes: Vec<Write>,
    /// What happened to it.
    pub(crate) events: Vec<Event>,
    /// What was given up with nobody there to say so.
    pub(crate) lost: Vec<Lost>,
}

/// A write that belongs to several groups: all of them and it happen together.
pub(crate) struct Shared {
    pub(crate) groups: Vec<GroupId>,
    pub(crate) write: Write,
}

/// What is to be written together.
pub(crate) struct Changes {
    /// The instant of all of it.
    pub(crate) now: Timestamp,
    pub(crate) groups: BTreeMap<GroupId, Touched>,
    pub(crate) shared: Vec<Shared>,
    /// Groups between which an alert moved: without the one that took it in, the other must not
    /// let it go.
    pub(crate) moves: Vec<[GroupId; 2]>,
}

/// Groups that were taken out of the cache, with the instant at which they were read.
pub(crate) struct Taken {
    pub(crate) now: Timestamp,
    pub(crate) groups: BTreeMap<GroupId, Held>,
}

/// The cache over the store.
pub(crate) struct Groups {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    cached: BTreeMap<GroupId, Held>,
    waiting: WaitingBook,
    names: Names,
    /// Given up in what was written, and not told yet.
    given_up: Vec<GivenUp>,
}

impl Held {
    pub(crate) fn new(group: Group) -> Self {
        Self {
            group,
            seen: BTreeMap::new(),
            origins: Origins::default(),
            revision: Revision::NONE,
            homes: BTreeSet::new(),
        }
    }

    fn from_doc(doc: &Doc) -> Result<Self, StoreError> {
        let (state, origins) = read_whole(doc)?;
        let homes = state.alerts.keys().cloned().collect();
        let group = Group::from_state(state);
        Ok(Self {
            group,
            seen: BTreeMap::new(),
            origins,
            revision: doc.revision,
            homes,
        })
    }
}

impl Held {
    /// The homes of its alerts are stored. Most changes let nobody enter or leave.
    fn homes_are_written(&mut self) {
        let alerts = self.group.state().alerts.keys();
        if !alerts.clone().eq(&self.homes) {
            self.homes = alerts.cloned().collect();
        }
    }
}

impl Groups {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            waiting: WaitingBook::new(Arc::clone(&metrics)),
            metrics,
            cached: BTreeMap::new(),
            names: Names::default(),
            given_up: Vec::new(),
        }
    }

    /// Takes groups out of the cache, as fresh as the store has them. Those that do not exist are
    /// missing in the answer. What is not written must be given back.
    pub(crate) async fn take(&mut self, ids: &BTreeSet<GroupId>) -> Result<Taken, StoreError> {
        let loaded = self
            .store
            .load(ids.iter().map(|id| group_key(*id)).collect())
            .await?;
        let groups = self.adopt(loaded.docs.into_iter().flatten())?;
        for id in ids {
            // Not in the store any more: whatever we remember of it is over.
            self.cached.remove(id);
        }
        Ok(Taken {
            now: loaded.now,
            groups,
        })
    }

    /// Takes groups that the store has just handed out.
    pub(crate) fn adopt(
        &mut self,
        docs: impl Iterator<Item = Doc>,
    ) -> Result<BTreeMap<GroupId, Held>, StoreError> {
        let mut groups = BTreeMap::new();
        for doc in docs {
            let Some(id) = group_id(&doc.key) else {
                continue;
            };
            let held = match self.cached.remove(&id) {
                Some(held) if held.revision == doc.revision => held,
                Some(stale) => Held {
                    seen: stale.seen,
                    ..Held::from_doc(&doc)?
                },
                None => Held::from_doc(&doc)?,
            };
            groups.insert(id, held);
        }
        Ok(groups)
    }

    /// Puts back a group that was not changed.
    pub(crate) fn give_back(&mut self, id: GroupId, held: Held) {
        if self.cached.len() >= CACHED {
            self.cached.pop_first();
        }
        self.cached.insert(id, held);
        self.metrics
            .groups_cached
            .set(i64::try_from(self.cached.len()).unwrap_or(i64::MAX));
    }

    /// Puts back a group that was read for the first time, so that what it owes is counted.
    pub(crate) fn meet(&mut self, id: GroupId, held: Held, plan: &Plan) {
        self.waiting.note(id, &held.group, plan);
        self.give_back(id, held);
    }

    /// How often alerts of a group were seen unchanged.
    pub(crate) fn seen(&self, id: GroupId) -> BTreeMap<AlertKey, u64> {
        self.cached
            .get(&id)
            .map(|held| held.seen.clone())
            .unwrap_or_default()
    }

    /// Writes groups with all that belongs to them. Returns those that somebody else changed
    /// meanwhile: nothing of them was written, and they are to be taken and changed again.
    pub(crate) async fn commit(
        &mut self,
        mut changes: Changes,
        plan: &Plan,
    ) -> Result<BTreeSet<GroupId>, StoreError> {
        let given_up = lost::write_down(&mut changes, &self.names, &*self.store).await?;
        let edits = units::home_edits(&changes);
        let keys: Vec<DocKey> = edits.keys().map(home_key).collect();
        let homes = if keys.is_empty() {
            Vec::new()
        } else {
            self.store.load(keys).await?.docs
        };
        let drafts = units::draft(changes, &edits, homes);
        let (units, held): (Vec<_>, Vec<_>) = drafts
            .into_iter()
            .map(|draft| (draft.unit, draft.groups))
            .unzip();
        let outcomes = match self.store.commit(units).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // It may have happened all the same. Told twice it is still one trouble.
                self.given_up.extend(given_up);
                return Err(error);
            }
        };
        let mut conflicts = BTreeSet::new();
        for (outcome, groups) in outcomes.into_iter().zip(held) {
            match outcome {
                Committed::Done(revisions) => {
                    self.metrics.commits.with_label_values(&["done"]).inc();
                    for drafted in groups {
                        let Some(mut held) = drafted.held else {
                            self.waiting.forget(drafted.id);
                            continue;
                        };
                        self.waiting.note(drafted.id, &held.group, plan);
                        held.revision = revisions[drafted.write];
                        held.homes_are_written();
                        self.give_back(drafted.id, held);
                    }
                }
                Committed::Conflict(_) => {
                    self.metrics.commits.with_label_values(&["conflict"]).inc();
                    conflicts.extend(groups.into_iter().map(|drafted| drafted.id));
                }
            }
        }
        let written = given_up.into_iter();
        self.given_up
            .extend(written.filter(|one| !one.lanes.meet(&conflicts)));
        Ok(conflicts)
    }

    /// Learns how people know the destinations of a config, for when they have left it.
    pub(crate) fn learn(&mut self, plan: &Plan) {
        self.names.learn(plan);
    }

    /// What was given up since the last call.
    pub(crate) fn take_given_up(&mut self) -> Vec<GivenUp> {
        std::mem::take(&mut self.given_up)
    }
}

impl Changes {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            now,
            groups: BTreeMap::new(),
            shared: Vec::new(),
            moves: Vec::new(),
        }
    }
}

impl Touched {
    pub(crate) fn new(held: Held, wake_at: Option<Timestamp>) -> Self {
        Self {
            held,
            wake_at,
            writes: Vec::new(),
            events: Vec::new(),
            lost: Vec::new(),
        }
    }

    pub(super) fn homes(&self) -> &BTreeSet<AlertKey> {
        &self.held.homes
    }

    pub(super) fn revision(&self) -> Revision {
        self.held.revision
    }
}

/// A group as it is stored.
pub(crate) fn read_group(doc: &Doc) -> Result<GroupState, StoreError> {
    read_whole(doc).map(|(group, _origins)| group)
}

fn read_whole(doc: &Doc) -> Result<(GroupState, Origins), StoreError> {
    codec::decode(&doc.bytes).map_err(|error| StoreError::Corrupt {
        place: "a group".to_owned(),
        what: format!("{error}; restore the folder from a backup, or move it away to start anew"),
    })
}

pub(crate) fn group_key(id: GroupId) -> DocKey {
    DocKey {
        kind: Kind::Group,
        id: Bytes::copy_from_slice(&id.0),
    }
}

pub(crate) fn group_id(key: &DocKey) -> Option<GroupId> {
    (key.kind == Kind::Group)
        .then(|| key.id.as_ref().try_into().ok().map(GroupId))
        .flatten()
}

/// Source and fingerprint: the source is text, so the last eight bytes are the fingerprint.
pub(crate) fn home_key(alert: &AlertKey) -> DocKey {
    let mut id = Vec::with_capacity(alert.source.as_str().len() + 8);
    id.extend_from_slice(alert.source.as_str().as_bytes());
    id.extend_from_slice(&alert.fingerprint.0.to_be_bytes());
    DocKey {
        kind: Kind::Home,
        id: id.into(),
    }
}

/// A `Home` that names these groups.
pub(crate) fn home_bytes(groups: &BTreeSet<GroupId>) -> Bytes {
    let ids = groups.iter().flat_map(|group| group.0);
    Bytes::from_iter(ids)
}

/// The groups that a `Home` names.
pub(crate) fn home_groups(bytes: &[u8]) -> impl Iterator<Item = GroupId> {
    bytes
        .chunks_exact(16)
        .filter_map(|id| id.try_into().ok().map(GroupId))
}
