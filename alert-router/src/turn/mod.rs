//! One turn: what is due is ordered per destination, fitted into its budget, rendered, claimed and
//! written down, and only then sent.

pub(crate) mod account;
mod circuits;
pub(crate) mod compose;
pub(crate) mod deliver;
pub(crate) mod lanes;
pub(crate) mod parts;
pub(crate) mod places;
mod prepare;
mod settle;
pub(crate) mod slots;
pub(crate) mod span;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{
    Candidate, Claim, Due, GroupId, LaneKey, Passage, Slots, Timestamp, digest_id, plan,
};

use crate::plan::Outlet;
use crate::receiver::Delivery;
use crate::step::groups::{Changes, Held, Shared, Touched};
use crate::step::world::World;
use crate::step::{Step, words};
use crate::store::{Doc, Kind, Revision, StoreError, Write};
use account::{Accounts, More};
use deliver::Outgoing;
use lanes::Lanes;
use places::Places;
use prepare::{Desk, Prepared};
use span::About;

/// Documents that one turn looks at; what is left is due again at once.
const TURN: usize = 500;
/// How long the bytes of a delivery are kept for a retry; after that it is rendered anew.
const PARTS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// What a claim allows beyond the deadline of its channel, for our own work around it.
const GRACE: Duration = Duration::from_secs(5);
/// When what found no place looks again. Each look writes its group, so not sooner; not later,
/// because a place is free for so long at most while somebody waits.
const PLACE_AGAIN: Duration = Duration::from_millis(250);

/// A lane that wants to speak, and through what.
struct Want {
    due: Due,
    outlet: Arc<Outlet>,
}

/// The groups of one turn while they change.
struct Turn<'a> {
    world: World<'a>,
    owner: alert_engine::Incarnation,
    groups: BTreeMap<GroupId, Held>,
    accounts: Accounts,
    /// Free when the turn began.
    places: Places,
    writes: BTreeMap<GroupId, Vec<Write>>,
    shared: Vec<Shared>,
    outgoing: Vec<Outgoing>,
}

impl Step {
    /// Does what is due, and says when something is due again.
    pub(crate) async fn turn(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let due = self.store.due(TURN).await?;
        let next = if due.docs.len() >= TURN {
            Some(due.now)
        } else {
            due.next
        };
        if due.docs.is_empty() {
            return Ok(next);
        }
        let (docs, others): (Vec<Doc>, Vec<Doc>) = due
            .docs
            .into_iter()
            .partition(|doc| doc.key.kind == Kind::Group);
        self.clear(others, due.now).await?;
        let mut groups = self.groups.adopt(docs.into_iter())?;
        let config = self.plan.borrow().clone();
        let sources = self.sources.known().clone();
        let world = World {
            plan: &config,
            sources: &sources,
            owners: &self.owners,
            now: due.now,
        };
        let wants = wants(&world, &mut groups);
        self.sources.look_at_ends(&config, groups.values(), due.now);
        let failures = config.render_failures();
        let desk = Desk::open(self, &world, &wants, &groups).await?;
        let accounts = self
            .accounts(wants.iter().map(|want| &*want.outlet))
            .await?;
        let mut turn = Turn {
            world,
            owner: self.incarnation,
            groups,
            accounts,
            places: self.places.without(self.deliveries.len()),
            writes: BTreeMap::new(),
            shared: Vec::new(),
            outgoing: Vec::new(),
        };
        for wants in by_destination(wants) {
            turn.serve(wants, &desk).await?;
        }
        let (changes, outgoing) = turn.finish();
        let failed = config.render_failures().saturating_sub(failures);
        self.metrics.render_errors.inc_by(failed);
        let wake = changes
            .groups
            .values()
            .filter_map(|touched| touched.wake_at)
            .min();
        let conflicts = self.groups.commit(changes, &config).await?;
        for outgoing in outgoing {
            if !outgoing.lanes.meet(&conflicts) {
                self.send(outgoing);
            }
        }
        Ok([next, wake].into_iter().flatten().min())
    }

    /// The accounts of all destinations that want to speak.
    async fn accounts(
        &self,
        outlets: impl Iterator<Item = &Outlet>,
    ) -> Result<Accounts, StoreError> {
        let mut keys = BTreeSet::new();
        for outlet in outlets {
            keys.extend(account::keys_of(&*outlet.receiver));
        }
        self.accounts_of(keys).await
    }

    async fn accounts_of(&self, keys: BTreeSet<LaneKey>) -> Result<Accounts, StoreError> {
        let docs = keys.iter().map(|key| account::account_key(*key)).collect();
        let docs = self.store.load(docs).await?.docs;
        Ok(Accounts::read(keys.into_iter(), docs))
    }
}

/// Asks every group which of its lanes want to speak. A lane whose destination left the config is
/// the engine's to close.
fn wants(world: &World<'_>, groups: &mut BTreeMap<GroupId, Held>) -> Vec<Want> {
    let mut wants = Vec::new();
    for held in groups.values_mut() {
        let route = held.group.state().route;
        for due in held.group.due(&world.context(route)) {
            if let Some(outlet) = world.plan.outlet(route, due.lane) {
                wants.push(Want { due, outlet });
            }
        }
    }
    wants
}

/// The wants of each destination. They compete for places, and for an account that they share:
/// prioritised ones first, then the oldest.
fn by_destination(wants: Vec<Want>) -> Vec<Vec<Want>> {
    let mut by: BTreeMap<LaneKey, Vec<Want>> = BTreeMap::new();
    for want in wants {
        by.entry(want.due.lane).or_default().push(want);
    }
    let mut all: Vec<_> = by.into_values().collect();
    let first = |want: &Want| (!want.due.priority, want.due.since);
    all.sort_by_key(|wants| wants.iter().map(first).min());
    all
}

impl Turn<'_> {
    /// Gives the lanes of one destination what its circuit and budget allow.
    async fn serve(&mut self, mut wants: Vec<Want>, desk: &Desk) -> Result<(), StoreError> {
        let Some(first) = wants.first() else {
            return Ok(());
        };
        let (outlet, destination, now) =
            (Arc::clone(&first.outlet), first.due.lane, self.world.now);
        let limits = outlet.receiver.limits();
        if !wants.iter().any(|want| self.has_place(want)) {
            self.await_place(&wants);
            return Ok(());
        }
        match self.accounts.passage(destination, now) {
            Passage::Shut { until } => {
                self.postpone(&wants, until);
                return Ok(());
            }
            Passage::Probe => {
                wants.sort_by_key(|want| want.due.since);
                let others = wants.split_off(1);
                self.postpone(&others, now + limits.deadline);
            }
            Passage::Free => {}
        }
        let (slots, more) = self.accounts.slots(&*outlet.receiver, 1, now);
        if slots.all == 0 && (slots.priority == 0 || !wants.iter().any(|want| want.due.priority)) {
            self.await_slots(&wants, more);
            return Ok(());
        }
        let prepared: Vec<Prepared> = wants.iter().map(|want| desk.prepare(want)).collect();
        self.fill(wants, prepared, slots, more, desk).await
    }

    async fn fill(
        &mut self,
        wants: Vec<Want>,
        prepared: Vec<Prepared>,
        slots: Slots,
        more: More,
        desk: &Desk,
    ) -> Result<(), StoreError> {
        let candidate = |(want, prepared): (&Want, &Prepared)| Candidate {
            priority: want.due.priority,
            verdict: want.due.verdict,
            since: want.due.since,
            messages: prepared.messages(),
        };
        let candidates: Vec<Candidate> = wants.iter().zip(&prepared).map(candidate).collect();
        let plan = plan(&candidates, slots);
        let mut wants: Vec<Option<Want>> = wants.into_iter().map(Some).collect();
        let mut prepared: Vec<Option<Prepared>> = prepared.into_iter().map(Some).collect();
        for at in plan.single {
            if let (Some(want), Some(prepared)) = (wants[at].take(), prepared[at].take()) {
                match self.has_place(&want) {
                    true => self.claim(vec![want], prepared),
                    false => self.await_place(&[want]),
                }
            }
        }
        let digest: Vec<Want> = plan
            .digest
            .into_iter()
            .filter_map(|at| wants[at].take())
            .collect();
        if !digest.iter().any(|want| self.has_place(want)) {
            self.await_place(&digest);
        } else if let Some(first) = digest.first() {
            let carried: Vec<Due> = digest.iter().map(|want| want.due.clone()).collect();
            let id = digest_id(first.due.lane, &carried);
            let prepared = desk.prepare_digest(id, &digest).await?;
            self.claim(digest, prepared);
        }
        let waiting: Vec<Want> = plan
            .wait
            .into_iter()
            .filter_map(|at| wants[at].take())
            .collect();
        self.await_slots(&waiting, more);
        Ok(())
    }

    /// Lets lanes wait until there are slots for such as them again, and not less than a second.
    fn await_slots(&mut self, wants: &[Want], more: More) {
        let soonest = self.world.now + Duration::from_secs(1);
        for want in wants {
            let next = if want.due.priority {
                more.priority
            } else {
                more.all
            };
            self.postpone(std::slice::from_ref(want), next.max(soonest));
        }
    }

    /// Whether a delivery for this lane may be under way beside those that are.
    fn has_place(&self, want: &Want) -> bool {
        let left = self.places.without(self.outgoing.len());
        left.has(want.due.priority)
    }

    fn await_place(&mut self, wants: &[Want]) {
        self.postpone(wants, self.world.now + PLACE_AGAIN);
    }

    fn postpone(&mut self, wants: &[Want], until: Timestamp) {
        for want in wants {
            if let Some(held) = self.groups.get_mut(&want.due.group) {
                let ctx = self.world.context(held.group.state().route);
                held.group.postpone(want.due.lane, until, &ctx);
            }
        }
    }

    /// Marks the lanes as spoken for, and puts the delivery among those that leave after the
    /// commit. Without a lane that takes it nothing leaves, and nothing is taken from the budget.
    fn claim(&mut self, wants: Vec<Want>, prepared: Prepared) {
        let Some(first) = wants.first() else { return };
        let outlet = Arc::clone(&first.outlet);
        let (destination, now) = (first.due.lane, self.world.now);
        let within = outlet.receiver.limits().deadline * prepared.messages().max(1);
        let claim = Claim {
            id: prepared.id,
            owner: self.owner,
            deadline: now + within + GRACE,
        };
        let mut about = About::new(match &wants[..] {
            [only] => words::verdict(only.due.verdict),
            _ => "digest",
        });
        let mut lanes = Vec::new();
        for want in &wants {
            let Some(held) = self.groups.get_mut(&want.due.group) else {
                continue;
            };
            let ctx = self.world.context(held.group.state().route);
            if held.group.claim(&want.due, claim, &ctx).is_ok() {
                let failed = want.due.content.failed_over_from;
                let failed = failed.and_then(|lane| self.world.plan.outlet_to(lane));
                let failed = failed.map(|outlet| Arc::clone(&outlet.name));
                about.add(&want.due, &held.origins, failed);
                lanes.push((want.due.group, want.due.lane));
            }
        }
        let Some(lanes) = Lanes::of(lanes) else {
            return;
        };
        let groups: Vec<GroupId> = lanes.groups().collect();
        let messages = prepared.messages();
        self.accounts
            .take(&*outlet.receiver, messages, now, &groups);
        self.accounts
            .sent(destination, claim.deadline, now, &groups);
        if let Ok(delivery) = &prepared.delivery {
            let write = keep_parts(delivery, prepared.stored, now);
            self.shared.push(Shared {
                groups: groups.clone(),
                write,
            });
        }
        let Prepared { delivery, id, .. } = prepared;
        self.outgoing.push(Outgoing {
            outlet,
            delivery,
            id,
            number: 0,
            lanes,
            about,
            within,
        });
    }

    fn finish(mut self) -> (Changes, Vec<Outgoing>) {
        let mut changes = Changes {
            shared: self.shared,
            ..Changes::at(self.world.now)
        };
        for (id, held) in self.groups {
            let writes = self.writes.remove(&id).unwrap_or_default();
            let touched = Touched {
                writes,
                ..self.world.touch(held)
            };
            changes.groups.insert(id, touched);
        }
        changes.shared.extend(self.accounts.writes());
        (changes, self.outgoing)
    }
}

fn keep_parts(delivery: &Delivery, stored: Revision, now: Timestamp) -> Write {
    Write::Put {
        key: parts::parts_key(delivery.id),
        expected: stored,
        wake_at: Some(now + PARTS_KEPT),
        bytes: parts::write(delivery),
    }
}
