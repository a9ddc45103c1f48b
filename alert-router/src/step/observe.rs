//! Observations in: route, load, observe, write, and only then answer. Everything here may be done
//! twice: an observation that is known already changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alert_engine::limits::ALERTS_PER_GROUP;
use alert_engine::{
    AlertKey, Change, GroupId, Observation, Observed, Says, SourceName, Text, Timestamp,
};
use tokio::sync::oneshot;

use super::groups::{Changes, Groups, Held, home_groups, home_key};
use super::moves::{Moves, open};
use super::routing::{Routed, RoutedGroup};
use super::upstream::Post;
use super::world::World;
use super::{Busy, Step, Taken, bodies};
use crate::history::Event;
use crate::plan::Plan;
use crate::store::{StoreError, Write};
use crate::trace::Sampled;
use crate::trouble::Trouble;
use crate::webhook::payload::{Batch, SeenAlert};

/// A batch that waits for its answer.
pub(super) struct Request {
    pub(super) source: SourceName,
    pub(super) batch: Batch,
    /// The span of the request.
    pub(super) origin: Option<Sampled>,
    pub(super) answer: oneshot::Sender<Result<Taken, Busy>>,
}

/// One alert of a request on its way into groups.
pub(super) struct Seen<'a> {
    pub(super) observation: Observation,
    alert: &'a SeenAlert,
    /// Why upstream spoke, if it says so.
    reason: &'a str,
    origin: Option<Sampled>,
    pub(super) routed: Arc<Routed>,
    pub(super) homes: Vec<GroupId>,
}

/// What a round did.
struct Round {
    now: Timestamp,
    /// Per request.
    taken: Vec<Taken>,
    /// Per request, the groups that its answer rests on: those that it changed, and those that know
    /// already what it says, perhaps only since another request of this round.
    rests_on: Vec<BTreeSet<GroupId>>,
    /// Groups that somebody else changed meanwhile.
    conflicts: BTreeSet<GroupId>,
}

/// Other replicas may win a group from under us so often; then the sender is asked to come again.
const ROUNDS: usize = 5;

impl Step {
    /// Takes in all that waits, with one write, and answers everybody.
    pub(super) async fn observe(&mut self, mut waiting: Vec<Request>) {
        let plan = self.plan.borrow().clone();
        for request in &mut waiting {
            request.source = plan.config().identity(&request.source).clone();
        }
        for _ in 0..ROUNDS {
            if waiting.is_empty() {
                return;
            }
            match self.round(&waiting).await {
                Ok(round) => {
                    self.learn_of_sources(&plan, &waiting, &round);
                    waiting = answer(waiting, round);
                }
                Err(error) => {
                    self.count_store_error(&error);
                    return refuse(waiting, &error.into());
                }
            }
        }
        refuse(waiting, &Busy::Contended);
    }

    async fn round(&mut self, waiting: &[Request]) -> Result<Round, StoreError> {
        let plan = self.plan.borrow().clone();
        let mut seen = self.route(&plan, waiting);
        self.find_homes(&mut seen).await?;
        let ids: BTreeSet<GroupId> = seen.iter().flatten().flat_map(Seen::groups).collect();
        let mut taken = self.groups.take(&ids).await?;
        if self.tell_apart(&plan, &mut seen, &taken.groups).await? {
            self.find_homes(&mut seen).await?;
            let more = seen.iter().flatten().flat_map(Seen::groups);
            let more = more.filter(|id| !ids.contains(id)).collect();
            taken.groups.extend(self.groups.take(&more).await?.groups);
        }
        let spoke = waiting.iter().map(|r| (&r.source, &r.batch.envelope));
        let back = self.sources.spoke(&plan, taken.now, spoke);
        if !back.is_empty() {
            self.sources.show(&self.metrics);
            self.report(
                back.iter()
                    .map(|source| Trouble::silent(plan.config().shown(source), false)),
            );
        }
        let world = World {
            plan: &plan,
            sources: self.sources.known(),
            owners: &self.owners,
            now: taken.now,
        };
        let mut work = Work {
            world,
            groups: taken.groups,
            changed: BTreeMap::new(),
            moves: Moves::default(),
        };
        let mut round = Round {
            now: taken.now,
            taken: Vec::new(),
            rests_on: Vec::new(),
            conflicts: BTreeSet::new(),
        };
        for seen in &seen {
            let mut counts = Taken::default();
            let mut rests_on = BTreeSet::new();
            for alert in seen {
                let effect = work.observe(alert, &mut rests_on);
                match effect {
                    Effect::Changed => counts.changed += 1,
                    Effect::Unchanged => counts.unchanged += 1,
                    Effect::Refused => {
                        self.metrics.group_full.inc();
                        counts.refused.push(alert.alert.refused(&no_room()));
                    }
                }
            }
            let effects = &self.metrics.alerts_observed;
            effects
                .with_label_values(&["changed"])
                .inc_by(counts.changed as u64);
            effects
                .with_label_values(&["seen"])
                .inc_by(counts.unchanged as u64);
            round.taken.push(counts);
            round.rests_on.push(rests_on);
        }
        let changes = work.finish(&mut self.groups);
        if !changes.groups.is_empty() {
            round.conflicts = self.groups.commit(changes, &plan).await?;
        }
        Ok(round)
    }

    /// Notes what the posts that are taken in now show of their sources.
    fn learn_of_sources(&mut self, plan: &Plan, waiting: &[Request], round: &Round) {
        for (request, rests_on) in waiting.iter().zip(&round.rests_on) {
            if !rests_on.is_disjoint(&round.conflicts) {
                continue;
            }
            let batch = &request.batch;
            let post = Post {
                envelope: &batch.envelope,
                alerts: batch.alerts.len() + batch.refused.len(),
                resolved: batch.alerts.iter().any(|alert| alert.ends_at.is_some()),
                groups: rests_on.len(),
                says: says(&batch.alerts),
            };
            let learned = self.sources.learn(&request.source, &post, round.now);
            learned.tell(plan, &request.source);
        }
    }

    fn route<'a>(&mut self, plan: &Plan, waiting: &'a [Request]) -> Vec<Vec<Seen<'a>>> {
        let routing = &mut self.routing;
        let mut one = |request: &'a Request, alert: &'a SeenAlert| {
            let source = &request.source;
            let routed = routing.route(plan, source, alert);
            let says = match alert.ends_at {
                None => Says::Firing {
                    start: alert.starts_at,
                    expires: alert.expires,
                },
                Some(end) => Says::Resolved { end },
            };
            let observation = Observation {
                key: AlertKey {
                    source: source.clone(),
                    fingerprint: alert.identity,
                },
                voice: alert.voice,
                says,
                body: alert.body,
                name: Arc::clone(&routed.name),
                priority: routed.priority,
            };
            Seen {
                observation,
                alert,
                reason: &request.batch.envelope.notification_reason,
                origin: request.origin,
                routed,
                homes: Vec::new(),
            }
        };
        waiting
            .iter()
            .map(|r| r.batch.alerts.iter().map(|alert| one(r, alert)).collect())
            .collect()
    }

    /// Reads where each alert lives now, which after a config change is not where it is routed.
    async fn find_homes(&self, seen: &mut [Vec<Seen<'_>>]) -> Result<(), StoreError> {
        let keys = seen.iter().flatten();
        let keys = keys.map(|seen| home_key(&seen.observation.key)).collect();
        let docs = self.store.load(keys).await?.docs;
        for (seen, doc) in seen.iter_mut().flatten().zip(docs) {
            seen.homes.clear();
            if let Some(doc) = doc {
                seen.homes.extend(home_groups(&doc.bytes));
            }
        }
        Ok(())
    }
}

/// What an observation did to all groups together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Unchanged,
    Changed,
    Refused,
}

/// The groups of one round while they change.
struct Work<'a> {
    world: World<'a>,
    groups: BTreeMap<GroupId, Held>,
    changed: BTreeMap<GroupId, Changed<'a>>,
    moves: Moves,
}

/// What is to be written with a changed group.
#[derive(Default)]
struct Changed<'a> {
    writes: Vec<Write>,
    alerts: BTreeMap<AlertKey, Change>,
    /// Why upstream spoke.
    reasons: BTreeSet<&'a str>,
}

impl<'a> Work<'a> {
    fn observe(&mut self, seen: &Seen<'a>, rests_on: &mut BTreeSet<GroupId>) -> Effect {
        let mut effect = Effect::Unchanged;
        let held_up = self.move_home(seen, rests_on);
        let routed = seen.routed.groups.iter().filter(|_| !held_up);
        for target in routed {
            effect = effect.max(self.observe_in(target.id, Some(target), seen, rests_on));
        }
        for home in &seen.homes {
            let routed_there = seen.routed.groups.iter().any(|routed| routed.id == *home);
            if (held_up || !routed_there) && self.lives_in(*home, &seen.observation.key) {
                effect = effect.max(self.observe_in(*home, None, seen, rests_on));
            }
        }
        effect
    }

    /// Whether a group holds an alert, which may just have moved away from there.
    fn lives_in(&self, group: GroupId, alert: &AlertKey) -> bool {
        let held = self.groups.get(&group);
        held.is_some_and(|held| held.group.state().alerts.contains_key(alert))
    }

    /// After a config change an alert moves from where it lives to where it is routed. Says whether
    /// that has to wait for a delivery under way.
    fn move_home(&mut self, seen: &Seen<'_>, rests_on: &mut BTreeSet<GroupId>) -> bool {
        let key = &seen.observation.key;
        let (groups, world) = (&mut self.groups, &self.world);
        let routed = &seen.routed.groups;
        let moved = self
            .moves
            .move_home(key, &seen.homes, routed, groups, world);
        for (from, to) in moved.between {
            self.touch(from, rests_on);
            let joined = self.touch(to, rests_on);
            joined.alerts.insert(key.clone(), Change::Detail);
        }
        moved.held_up
    }

    fn observe_in(
        &mut self,
        id: GroupId,
        routed: Option<&RoutedGroup>,
        seen: &Seen<'a>,
        rests_on: &mut BTreeSet<GroupId>,
    ) -> Effect {
        match routed {
            // The end of what we never saw firing opens no group.
            Some(routed) if seen.alert.ends_at.is_none() => {
                open(routed, &mut self.groups, &self.world);
            }
            Some(_) | None => {}
        }
        let Some(held) = self.groups.get_mut(&id) else {
            return Effect::Unchanged;
        };
        let ctx = self.world.context(held.group.state().route);
        let known = held.group.state().alerts.get(&seen.observation.key);
        let text_is_new = known.is_none_or(|alert| alert.text != Text::Body(seen.alert.body));
        rests_on.insert(id);
        let observed = match routed {
            Some(_) => held.group.observe(&seen.observation, &ctx),
            None => held.group.overhear(&seen.observation, &ctx),
        };
        match observed {
            Observed::Unchanged | Observed::NeverFired => {
                let count = held.seen.entry(seen.observation.key.clone()).or_default();
                *count += 1;
                Effect::Unchanged
            }
            Observed::SeenOnly => {
                self.touch(id, rests_on);
                Effect::Unchanged
            }
            Observed::Changed { change, .. } => {
                let now = self.world.now;
                if let Some(origin) = seen.origin {
                    held.origins.add(origin, now);
                }
                let changed = self.touch(id, rests_on);
                changed
                    .writes
                    .extend(text_is_new.then(|| bodies::keep(seen.alert, now)));
                changed.alerts.insert(seen.observation.key.clone(), change);
                changed
                    .reasons
                    .extend((!seen.reason.is_empty()).then_some(seen.reason));
                Effect::Changed
            }
            Observed::Refused(_) => Effect::Refused,
        }
    }

    fn touch(&mut self, id: GroupId, rests_on: &mut BTreeSet<GroupId>) -> &mut Changed<'a> {
        rests_on.insert(id);
        self.changed.entry(id).or_default()
    }

    fn finish(self, cache: &mut Groups) -> Changes {
        let Self {
            world,
            groups,
            mut changed,
            mut moves,
        } = self;
        let mut changes = Changes::at(world.now);
        changes.moves = moves.between();
        for (id, held) in groups {
            let Some(with) = changed.remove(&id) else {
                cache.give_back(id, held);
                continue;
            };
            let mut touched = world.touch(held);
            let observed = Event::observed(&with.alerts, &with.reasons);
            touched.events.splice(..0, observed);
            touched.events.splice(..0, moves.take(id));
            touched.writes = with.writes;
            changes.groups.insert(id, touched);
        }
        changes
    }
}

/// The same for the same alerts in the same state, whatever their order.
fn says(alerts: &[SeenAlert]) -> u64 {
    let one = |alert: &SeenAlert| {
        let voice = alert.voice.0;
        voice.rotate_left(u32::from(alert.ends_at.is_some()))
    };
    alerts.iter().map(one).fold(0, u64::wrapping_add)
}

/// Why an alert beyond the bound of its group is refused, and what to do.
fn no_room() -> String {
    format!(
        "its group holds {ALERTS_PER_GROUP} alerts already: give the route a finer `group_by`, \
         reload, and replay it"
    )
}

impl Seen<'_> {
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.routed
            .groups
            .iter()
            .map(|group| group.id)
            .chain(self.homes.iter().copied())
    }
}

/// Answers the requests of which nothing conflicted; returns the others.
fn answer(waiting: Vec<Request>, round: Round) -> Vec<Request> {
    let results = round.taken.into_iter().zip(round.rests_on);
    let mut again = Vec::new();
    for (request, (taken, rests_on)) in waiting.into_iter().zip(results) {
        if rests_on.is_disjoint(&round.conflicts) {
            // A caller that went away does not need its answer.
            let _gone = request.answer.send(Ok(taken));
        } else {
            again.push(request);
        }
    }
    again
}

fn refuse(waiting: Vec<Request>, busy: &Busy) {
    for request in waiting {
        let _gone = request.answer.send(Err(busy.clone()));
    }
}
