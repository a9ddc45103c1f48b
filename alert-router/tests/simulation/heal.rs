//! The end of every world: nothing fails any more, everybody says what is so, and then the world
//! must come to rest, with everybody knowing what is so and nothing left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{GroupState, Lane, LaneKey, Policy};
use alert_router::clock::Clock;
use alert_router::store::{DocKey, Kind, Revision, Scan, Store};
use alert_router::testing;

use crate::dice::Dice;
use crate::gate::{Dial, at_once};
use crate::people::Held;
use crate::plans::{VARIANTS, destinations, hears};
use crate::router::Router;
use crate::upstream::PEERS;
use crate::world::World;

/// Moves after which a world that does not rest never will.
const PATIENCE: usize = 60_000;
/// Longer than a doubt, and than the longest back-off.
const A_WHILE: Duration = Duration::from_secs(6 * 60);
/// Longer than the longest cool-down, which is the operators', a step of the clock and the pause of a
/// blocked destination together.
const LONG: Duration = Duration::from_secs(5 * 3_600 + 40 * 60);

impl World<'_> {
    pub(crate) async fn heal(&mut self) -> Held {
        self.healed = true;
        let variant = match self.faults_reloaded() {
            true => self.dice.below(VARIANTS),
            false => 0,
        };
        self.say(format!("healed, with config {variant}"));
        for number in 0..self.routers.len() {
            self.routers[number].dial.set(0);
            if self.routers[number].variant != variant {
                self.reload(number, variant);
            }
            if self.routers[number].is_dead() {
                self.come_back(number).await?;
            }
        }
        self.rest(Duration::ZERO).await?;
        for _ in 0..2 {
            self.tell_the_truth().await?;
            self.rest(A_WHILE).await?;
        }
        self.rest(LONG).await?;
        self.tell_the_truth().await?;
        self.rest(A_WHILE).await?;
        self.everybody_knows(variant)?;
        self.all_due_was_heard(variant)?;
        self.operators_know(variant)?;
        self.nothing_is_left()?;
        self.nothing_is_written().await?;
        self.another_router_finds_nothing(variant).await
    }

    fn faults_reloaded(&self) -> bool {
        self.routers.iter().any(|router| router.variant != 0)
    }

    /// Every Alertmanager posts everything, until a router says yes.
    async fn tell_the_truth(&mut self) -> Held {
        self.later.clear();
        for source in ["default", "prod"] {
            for peer in 0..PEERS {
                if let Some(post) = self.upstream.truth(peer, source) {
                    self.post(post).await?;
                    self.rest(Duration::ZERO).await?;
                    if !self.later.is_empty() {
                        return Err("answers: a healthy router did not take a post".to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// `progress`: everything that can move moves, and after `length` nothing can any more.
    async fn rest(&mut self, length: Duration) -> Held {
        let end = self.now + length;
        for _ in 0..PATIENCE {
            self.deliver_all().await?;
            let able = (0..self.routers.len()).find(|n| self.routers[*n].can_move(self.now));
            if let Some(router) = able {
                self.go_on(router).await?;
                continue;
            }
            let wakes = self.routers.iter().filter_map(|router| router.wakes_at());
            match wakes.min().filter(|wake| *wake <= end) {
                Some(wake) => self.pass(wake).await?,
                None if self.now < end => self.pass(end).await?,
                None if self.routers.iter().any(Router::is_asked) => {
                    return Err("answers: somebody waits for an answer for ever".to_owned());
                }
                None => return Ok(()),
            }
        }
        Err("progress: the world does not come to rest".to_owned())
    }

    /// `heard-truth`: who is to hear of an alert believes what is so; nobody else takes for firing
    /// what is over.
    fn everybody_knows(&self, variant: usize) -> Held {
        for (number, alert) in self.upstream.alerts.iter().enumerate() {
            let fires = self.upstream.fires(number);
            for to in destinations(variant) {
                let routed = hears(variant, alert.service) == *to;
                if !self.people.knows(to, alert.name, fires, routed) {
                    let beliefs = self.people.beliefs();
                    let name = alert.name;
                    return Err(format!(
                        "heard-truth: {name} fires: {fires}, {to} routed: {routed}\n{beliefs}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// `heard-truth`: every occurrence that came due was read of by whom it was routed to. Which
    /// config that was is not known of a world with reloads: there, somebody must have read of it.
    fn all_due_was_heard(&self, variant: usize) -> Held {
        let variants = match self.reloaded {
            true => 0..VARIANTS,
            false => variant..variant + 1,
        };
        for due in &self.facts.due {
            let alert = &self.upstream.alerts[due.alert];
            let to: BTreeSet<&str> = variants
                .clone()
                .map(|variant| hears(variant, alert.service))
                .collect();
            let mut readers = to.iter();
            if !readers.any(|to| self.people.read_of(to, alert.name, &due.starts)) {
                return Err(format!(
                    "heard-truth: {to:?} never read of {} {:?}, due by {:?}",
                    alert.name, due.starts, due.until
                ));
            }
        }
        Ok(())
    }

    /// `troubles-end`: operators take for blocked what the store says is blocked, and nothing else.
    /// Nobody tells them that they themselves are.
    fn operators_know(&self, variant: usize) -> Held {
        let plan = self.plans.get(variant);
        let others = testing::accounts(&plan).filter(|(label, _)| !label.contains("ops"));
        for (label, account) in others {
            let stored = at_once(self.common.store.load(vec![account])).expect("it never fails");
            let blocked = stored.docs.iter().flatten().any(testing::is_blocked);
            let trouble = format!("DestinationBlocked/{label}");
            if !self.people.knows("ops", &trouble, blocked, true) {
                let beliefs = self.people.beliefs();
                return Err(format!(
                    "troubles-end: {trouble}, blocked: {blocked}\n{beliefs}"
                ));
            }
        }
        Ok(())
    }

    /// `at-rest`: a step that has nothing to do writes nothing.
    async fn nothing_is_written(&mut self) -> Held {
        for router in &mut self.routers {
            router.dial.take_commits();
            router.poke();
        }
        self.rest(Duration::ZERO).await?;
        for (number, router) in self.routers.iter().enumerate() {
            let commits = router.dial.take_commits();
            if commits > 0 {
                return Err(format!("at-rest: router {number} wrote {commits} times"));
            }
        }
        Ok(())
    }

    /// `progress`: nothing is owed, nothing is under way, nothing is due.
    fn nothing_is_left(&self) -> Held {
        if self.under_way() > 0 {
            return Err(format!("progress: under way are {:?}", self.calls));
        }
        let due = at_once(self.common.store.due(10)).expect("it never fails");
        if let Some(doc) = due.docs.first() {
            return Err(format!("progress: {:?} is due", doc.key));
        }
        let now = self.common.clock.now();
        let plan = self.plans.get(self.routers[0].variant);
        for doc in self.docs(Kind::Group) {
            let group = testing::group(&doc).ok_or("bounded: a group cannot be read")?;
            for (key, lane) in &group.lanes {
                if lane.flight.is_some() || owes(&group, key, lane, plan.policy(group.route)) {
                    return Err(format!("progress: lane {key} of {group:#?} at {now:?}"));
                }
            }
        }
        for router in &self.routers {
            if router.metrics.panics.get() > 0 {
                return Err("panics: a receiver or a request panicked".to_owned());
            }
        }
        Ok(())
    }

    fn docs(&self, kind: Kind) -> Vec<alert_router::store::Doc> {
        let scan = Scan {
            kind,
            after: Default::default(),
            limit: 10_000,
        };
        let found = at_once(self.common.store.scan(scan)).expect("it never fails");
        found.docs.into_iter().flatten().collect()
    }

    fn revisions(&self) -> BTreeMap<DocKey, Revision> {
        let kinds = [Kind::Group, Kind::Home, Kind::Parts, Kind::Budget];
        let docs = kinds.into_iter().flat_map(|kind| self.docs(kind));
        docs.map(|doc| (doc.key, doc.revision)).collect()
    }

    /// `replicas-agree`: a router that opens the same store sees the same, so it finds nothing to do.
    async fn another_router_finds_nothing(&mut self, variant: usize) -> Held {
        let before = self.revisions();
        let dial = Dial::new(Dice::of(0));
        let mut router = Router::new(dial, variant, self.plans.get(variant));
        router.start(&mut self.common);
        self.routers.push(router);
        self.rest(Duration::ZERO).await?;
        if self.under_way() > 0 || self.revisions() != before {
            return Err("replicas-agree: a new router finds something to do".to_owned());
        }
        Ok(())
    }
}

/// Whether a lane that hears news still owes something of alerts that live in its group.
fn owes(group: &GroupState, key: &LaneKey, lane: &Lane, policy: &Policy) -> bool {
    if !policy.lanes.contains_key(key) || lane.opened.is_none() {
        return false;
    }
    let at_home = |alert| group.alerts.get(alert).is_some_and(|alert| !alert.departed);
    let mut owed = lane.owed.keys().filter_map(|id| group.episodes.get(id));
    lane.folded.count > 0 || owed.any(|episode| at_home(&episode.alert))
}
