//! What is put in order without anybody waiting for it, a bounded piece at a time: groups of an
//! older config, sources that fell silent, texts that nobody needs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{
    AlertKey, BodyHash, Fingerprint, GroupId, LaneKey, SourceName, Text, Timestamp,
};
use bytes::Bytes;

use super::groups::{Changes, Groups, Held, Touched, group_id, home_groups, home_key};
use super::identity::{identity_labels, second_fingerprint};
use super::moves::Moves;
use super::routing::{self, RoutedGroup};
use super::sources::source_key;
use super::world::World;
use super::{Step, bodies};
use crate::dead_letter;
use crate::history::Event;
use crate::plan::Plan;
use crate::store::{Committed, Doc, Keep, Kind, Scan, StoreError, Unit, Write};
use crate::trouble::Trouble;
use crate::webhook::payload::AlertText;

/// Groups that one step looks at after a config change.
const PAGE: usize = 50;
/// Rows of history that one step removes.
const ROWS: usize = 10_000;
/// A text that is still needed is looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A walk over all groups: those of an older config move, those that wait for the wrong instant are
/// woken.
pub(crate) struct Walk {
    /// The last group that was visited; `None`: all were.
    after: Option<Bytes>,
    wakes: Wakes,
    /// Destinations for which lanes wait no longer.
    hurries: BTreeSet<LaneKey>,
}

/// Which groups the walk wakes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    /// Those with a delivery under way: its owner may be the process that ran before.
    InFlight,
    /// All: the clock went back, so what they wait for lies too far ahead.
    All,
}

impl Walk {
    /// From the first group on: after a start, and after each reload.
    pub(crate) fn begin() -> Self {
        Self {
            after: Some(Bytes::new()),
            wakes: Wakes::InFlight,
            hurries: BTreeSet::new(),
        }
    }

    /// The lanes of these destinations wait no longer. Begins anew.
    pub(crate) fn hurry(&mut self, destinations: BTreeSet<LaneKey>) {
        if !destinations.is_empty() {
            self.after = Some(Bytes::new());
            self.hurries.extend(destinations);
        }
    }

    /// Whether a group waited for one of those destinations; now it does not.
    fn hurries(&self, held: &mut Held) -> bool {
        let lanes = held.group.state().lanes.keys();
        let hurry: Vec<LaneKey> = lanes
            .filter(|lane| self.hurries.contains(*lane))
            .copied()
            .collect();
        for lane in &hurry {
            held.group.hurry(*lane);
        }
        !hurry.is_empty()
    }

    /// The clock went back.
    pub(crate) fn clock_went_back() -> Self {
        Self {
            after: Some(Bytes::new()),
            wakes: Wakes::All,
            hurries: BTreeSet::new(),
        }
    }
}

impl Step {
    /// Moves alerts of one page of groups to where the config routes them now. Says whether there
    /// is more to do.
    pub(super) async fn walk(&mut self) -> Result<bool, StoreError> {
        let Some(after) = self.walk.after.clone() else {
            return Ok(false);
        };
        let scan = Scan {
            kind: Kind::Group,
            after,
            limit: PAGE,
        };
        let docs: Vec<Doc> = self
            .store
            .scan(scan)
            .await?
            .docs
            .into_iter()
            .flatten()
            .collect();
        let last = docs.last().map(|doc| doc.key.id.clone());
        let plan = self.plan.borrow().clone();
        let ids: BTreeSet<GroupId> = docs.iter().filter_map(|doc| group_id(&doc.key)).collect();
        let taken = self.groups.take(&ids).await?;
        let mut old = BTreeMap::new();
        let mut woken = Changes::at(taken.now);
        for (id, mut held) in taken.groups {
            let hurries = self.walk.hurries(&mut held);
            let state = held.group.state();
            let in_flight = state.lanes.values().any(|lane| lane.flight.is_some());
            if state.config != plan.hash() {
                old.insert(id, held);
            } else if in_flight || hurries || self.walk.wakes == Wakes::All {
                woken.groups.insert(id, Touched::new(held, Some(taken.now)));
            } else {
                self.groups.meet(id, held, &plan);
            }
        }
        let mut lost = BTreeSet::new();
        if !woken.groups.is_empty() {
            lost.extend(self.groups.commit(woken, &plan).await?);
        }
        if !old.is_empty() {
            lost.extend(self.rehome_groups(&plan, old, taken.now).await?);
        }
        // Where another replica was faster, the same page is looked at once more.
        if lost.is_empty() {
            self.walk.after = last;
        }
        let more = self.walk.after.is_some();
        if !more {
            self.walk.hurries.clear();
        }
        Ok(more)
    }

    async fn rehome_groups(
        &mut self,
        plan: &Plan,
        old: BTreeMap<GroupId, Held>,
        now: Timestamp,
    ) -> Result<BTreeSet<GroupId>, StoreError> {
        let texts = self.texts(old.values()).await?;
        let routed = routed(plan, old.values(), &texts);
        let homes = self.homes(routed.keys()).await?;
        let targets = routed.values().flatten().map(|to| to.id);
        let others = targets.chain(homes.iter().flatten().copied());
        let ids = others.filter(|id| !old.contains_key(id)).collect();
        let taken = self.groups.take(&ids).await?;
        let mut sweep = Sweep {
            world: World {
                plan,
                sources: self.sources.known(),
                owners: &self.owners,
                now,
            },
            changed: old.keys().copied().collect(),
            old: old.keys().copied().collect(),
            groups: taken.groups,
            moves: Moves::default(),
        };
        sweep.groups.extend(old);
        for ((alert, routed), homes) in routed.iter().zip(homes) {
            sweep.alert(alert, &homes, routed);
        }
        let changes = sweep.finish(&mut self.groups);
        self.groups.commit(changes, plan).await
    }

    /// The groups that hold each of these alerts.
    async fn homes(
        &self,
        alerts: impl Iterator<Item = &AlertKey>,
    ) -> Result<Vec<Vec<GroupId>>, StoreError> {
        let docs = self.store.load(alerts.map(home_key).collect()).await?.docs;
        let homes = docs.iter().map(|doc| match doc {
            Some(doc) => home_groups(&doc.bytes).collect(),
            None => Vec::new(),
        });
        Ok(homes.collect())
    }

    async fn texts(
        &self,
        groups: impl Iterator<Item = &Held>,
    ) -> Result<BTreeMap<BodyHash, AlertText>, StoreError> {
        let alerts = groups.flat_map(|held| held.group.state().alerts.values());
        let hashes = alerts.filter_map(|alert| match &alert.text {
            Text::Body(hash) => Some(*hash),
            Text::Name(_) => None,
        });
        bodies::load(&*self.store, hashes.collect()).await
    }

    /// Ends the cool-down of lanes. Says whether any of them has something to tell now.
    pub(super) async fn replay(
        &mut self,
        lanes: &[(GroupId, LaneKey)],
    ) -> Result<bool, StoreError> {
        let ids = lanes.iter().map(|(group, _)| *group).collect();
        let taken = self.groups.take(&ids).await?;
        let plan = self.plan.borrow().clone();
        let world = World {
            plan: &plan,
            sources: self.sources.known(),
            owners: &self.owners,
            now: taken.now,
        };
        let mut changes = Changes::at(taken.now);
        let mut tells = false;
        for (id, mut held) in taken.groups {
            for (_, lane) in lanes.iter().filter(|(group, _)| *group == id) {
                held.group.replay(*lane);
                let ctx = world.context(held.group.state().route);
                tells |= held.group.is_about_to_speak(*lane, &ctx);
            }
            let wake_at = world.wake(&held.group).map(|_| taken.now);
            changes.groups.insert(id, Touched::new(held, wake_at));
        }
        self.groups.commit(changes, &plan).await?;
        Ok(tells)
    }

    /// Reports sources that fell silent, writes down when each spoke, and says when to look again.
    pub(super) async fn look_at_sources(
        &mut self,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let silent = self.sources.look(now);
        if !silent.is_empty() {
            self.sources.show(&self.metrics);
            let plan = self.plan.borrow().clone();
            let shown = silent.iter().map(|source| plan.config().shown(source));
            self.report(shown.map(|source| Trouble::silent(source, true)));
        }
        self.write_sources().await?;
        Ok(self.sources.next_wake())
    }

    /// Writes down when each source spoke, as far as what is stored of it is too old.
    async fn write_sources(&mut self) -> Result<(), StoreError> {
        let (names, units): (Vec<SourceName>, Vec<Unit>) =
            self.sources.write_back().into_iter().unzip();
        if units.is_empty() {
            return Ok(());
        }
        let outcomes = match self.store.commit(units).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                names.iter().for_each(|name| self.sources.unwritten(name));
                return Err(error);
            }
        };
        let mut lost = Vec::new();
        for (name, outcome) in names.into_iter().zip(outcomes) {
            match outcome {
                Committed::Done(revisions) => self.sources.wrote(&name, &revisions),
                Committed::Conflict(_) => {
                    self.sources.unwritten(&name);
                    lost.push(name);
                }
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        // Another replica wrote it, or we did and never learned: go on from what is stored.
        let docs = self
            .store
            .load(lost.iter().map(source_key).collect())
            .await?
            .docs;
        for (name, doc) in lost.iter().zip(docs) {
            self.sources.take_over(name, doc.as_ref());
        }
        Ok(())
    }

    /// Removes due documents that nobody needs: old dead letters and parts, and texts that no group
    /// names.
    pub(crate) async fn clear(&mut self, docs: Vec<Doc>, now: Timestamp) -> Result<(), StoreError> {
        if docs.is_empty() {
            return Ok(());
        }
        let limits = self.plan.borrow().config().limits.clone();
        let (letters, docs): (Vec<Doc>, Vec<Doc>) = docs
            .into_iter()
            .partition(|doc| doc.key.kind == Kind::DeadLetter);
        self.clear_letters(letters, limits.dead_letters, now)
            .await?;
        let mut units = Vec::new();
        for doc in docs {
            let needed = doc.key.kind == Kind::Body && self.is_needed(&doc).await?;
            let write = if needed {
                Write::Keep {
                    key: doc.key,
                    wake_at: Some(now + LOOK_AGAIN),
                    bytes: doc.bytes,
                }
            } else {
                doc.removal()
            };
            units.push(write.into());
        }
        // A conflict means that somebody needs it after all.
        self.store.commit(units).await?;
        self.store
            .sweep(Keep {
                history_from: now - limits.history,
                limit: ROWS,
            })
            .await
            .map(drop)
    }

    /// Removes dead letters that are too old, and says so: nobody cared for them.
    async fn clear_letters(
        &self,
        docs: Vec<Doc>,
        keep: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if docs.is_empty() {
            return Ok(());
        }
        let looked = docs
            .into_iter()
            .map(|doc| dead_letter::look(doc, keep, now));
        let (units, letters): (Vec<Unit>, Vec<_>) = looked.unzip();
        let outcomes = self.store.commit(units).await?;
        for (letter, outcome) in letters.into_iter().zip(outcomes) {
            let (Some(letter), Committed::Done(_)) = (letter, outcome) else {
                continue;
            };
            self.metrics.dead_letters_swept.inc();
            let (id, receiver) = (letter.id, letter.receiver);
            tracing::warn!(id, receiver, reason = %letter.reason, "a dead letter is gone: nobody cared for it within limits.dead_letters");
        }
        Ok(())
    }

    /// Whether a group of any source still names this text.
    async fn is_needed(&self, doc: &Doc) -> Result<bool, StoreError> {
        let Some(text) = bodies::read(&doc.bytes) else {
            return Ok(false);
        };
        let Ok(hash) = <[u8; 16]>::try_from(&doc.key.id[..]).map(BodyHash) else {
            return Ok(false);
        };
        let plan = self.plan.borrow().clone();
        let keys: Vec<AlertKey> = self
            .sources
            .names()
            .flat_map(|source| identities(&plan, source, &text))
            .collect();
        let homes = self
            .store
            .load(keys.iter().map(home_key).collect())
            .await?
            .docs;
        let homes: Vec<Doc> = homes.into_iter().flatten().collect();
        let ids = homes
            .iter()
            .flat_map(|doc| home_groups(&doc.bytes))
            .map(super::groups::group_key);
        let groups = self.store.load(ids.collect()).await?.docs;
        Ok(groups.into_iter().flatten().any(|doc| {
            crate::store::codec::decode(&doc.bytes).is_ok_and(|(state, _)| {
                state
                    .alerts
                    .values()
                    .any(|alert| alert.text == Text::Body(hash))
            })
        }))
    }
}

/// The keys that an alert with this text may have for a source.
fn identities(plan: &Plan, source: &SourceName, text: &AlertText) -> [AlertKey; 2] {
    let labels = || identity_labels(plan, source, &text.labels);
    let fingerprints = [
        Fingerprint::of_sorted(labels()),
        second_fingerprint(labels()),
    ];
    fingerprints.map(|fingerprint| AlertKey {
        source: source.clone(),
        fingerprint,
    })
}

/// Where the alerts that live in old groups belong now. One whose text is gone stays where it is.
fn routed<'a>(
    plan: &Plan,
    old: impl Iterator<Item = &'a Held>,
    texts: &BTreeMap<BodyHash, AlertText>,
) -> BTreeMap<AlertKey, Vec<RoutedGroup>> {
    let alerts = old.flat_map(|held| &held.group.state().alerts);
    let living = alerts.filter(|(_, alert)| !alert.departed);
    let routed = living.filter_map(|(key, alert)| {
        let Text::Body(hash) = &alert.text else {
            return None;
        };
        let text = texts.get(hash)?;
        Some((
            key.clone(),
            routing::groups(plan, &key.source, &text.labels),
        ))
    });
    routed.collect()
}

/// A page of old groups, and those to and from which their alerts move.
struct Sweep<'a> {
    world: World<'a>,
    /// The groups of an older config. The walk comes to the others by itself.
    old: BTreeSet<GroupId>,
    groups: BTreeMap<GroupId, Held>,
    changed: BTreeSet<GroupId>,
    moves: Moves,
}

impl Sweep<'_> {
    /// With a delivery under way the next observation of the alert moves it.
    fn alert(&mut self, alert: &AlertKey, homes: &[GroupId], routed: &[RoutedGroup]) {
        let (groups, world) = (&mut self.groups, &self.world);
        let moved = self.moves.move_home(alert, homes, routed, groups, world);
        for (from, to) in moved.between {
            self.changed.extend([from, to]);
        }
    }

    fn finish(mut self, cache: &mut Groups) -> Changes {
        let mut changes = Changes::at(self.world.now);
        changes.moves = self.moves.between();
        let config = self.world.plan.hash();
        for (id, mut held) in self.groups {
            if !self.changed.contains(&id) {
                cache.give_back(id, held);
                continue;
            }
            let mut events = self.moves.take(id);
            if self.old.contains(&id) {
                let ctx = self.world.context(held.group.state().route);
                held.group.routed_with(config, &ctx);
                events.insert(0, Event::config(config));
            }
            let mut touched = self.world.touch(held);
            touched.events.splice(..0, events);
            changes.groups.insert(id, touched);
        }
        changes
    }
}
