//! Moves of alerts to where the config routes them now, and which alerts went from which group to
//! which other one, for the history of both.

use std::collections::BTreeMap;

use alert_engine::{AlertKey, Group, GroupId, Intake, Rehomed, StillInFlight, rehome};

use super::groups::Held;
use super::routing::RoutedGroup;
use super::world::World;
use crate::history::Event;

/// What moved of one alert.
#[derive(Default)]
pub(super) struct Moved {
    /// From which group to which other one.
    pub(super) between: Vec<(GroupId, GroupId)>,
    /// The rest waits for a delivery under way.
    pub(super) held_up: bool,
}

/// To which group it moved, if anything did.
fn move_from(
    alert: &AlertKey,
    old: &mut Group,
    routed: &[RoutedGroup],
    groups: &mut BTreeMap<GroupId, Held>,
    world: &World<'_>,
) -> Result<Option<(Rehomed, GroupId)>, StillInFlight> {
    let lanes = |to: &RoutedGroup| &world.plan.policy(to.route).lanes;
    let known = &old.state().lanes;
    let shared = |to: &&RoutedGroup| {
        lanes(to)
            .keys()
            .filter(|lane| known.contains_key(*lane))
            .count()
    };
    let Some(to) = routed.iter().max_by_key(shared) else {
        return Ok(None);
    };
    let was = world.context(old.state().route);
    let is = world.context(to.route);
    let new = open(to, groups, world);
    let rehomed = rehome(alert, (old, &was), (&mut new.group, &is))?;
    Ok((rehomed != Rehomed::Nothing).then_some((rehomed, to.id)))
}

/// Whether a group holds an alert that has not departed from it.
fn lives_in(held: &Held, alert: &AlertKey) -> bool {
    let known = held.group.state().alerts.get(alert);
    known.is_some_and(|known| !known.departed)
}

/// The group that alerts are routed to, which may be the first that hears of it.
pub(super) fn open<'a>(
    routed: &RoutedGroup,
    groups: &'a mut BTreeMap<GroupId, Held>,
    world: &World<'_>,
) -> &'a mut Held {
    groups.entry(routed.id).or_insert_with(|| {
        let ctx = world.context(routed.route);
        let labels = routed.labels.clone();
        let config = world.plan.hash();
        Held::new(Group::new(
            routed.route,
            labels,
            config,
            Intake::Webhook,
            &ctx,
        ))
    })
}

/// The moves of one commit.
#[derive(Default)]
pub(super) struct Moves(BTreeMap<GroupId, Traffic>);

/// What left and entered one group.
#[derive(Default)]
struct Traffic {
    left: BTreeMap<GroupId, Vec<AlertKey>>,
    departed: Vec<AlertKey>,
    came: BTreeMap<GroupId, Vec<AlertKey>>,
}

impl Moves {
    /// Moves an alert from those of its homes to which it is not routed, with all that people heard
    /// of it: what it left behind earlier goes first, so that nobody is told anew in between.
    pub(super) fn move_home(
        &mut self,
        alert: &AlertKey,
        homes: &[GroupId],
        routed: &[RoutedGroup],
        groups: &mut BTreeMap<GroupId, Held>,
        world: &World<'_>,
    ) -> Moved {
        let is_old = |home: &&GroupId| routed.iter().all(|to| to.id != **home);
        let mut old: Vec<GroupId> = homes.iter().filter(is_old).copied().collect();
        old.sort_by_key(|home| groups.get(home).is_some_and(|held| lives_in(held, alert)));
        let mut moved = Moved::default();
        for from in old {
            let Some(mut held) = groups.remove(&from) else {
                continue;
            };
            let rehomed = move_from(alert, &mut held.group, routed, groups, world);
            groups.insert(from, held);
            match rehomed {
                Ok(Some((rehomed, to))) => {
                    self.note(rehomed, alert, from, to);
                    moved.between.push((from, to));
                }
                Ok(None) => {}
                Err(StillInFlight) => {
                    moved.held_up = true;
                    break;
                }
            }
        }
        moved
    }

    fn note(&mut self, rehomed: Rehomed, alert: &AlertKey, from: GroupId, to: GroupId) {
        let old = self.0.entry(from).or_default();
        match rehomed {
            Rehomed::Gone => old.left.entry(to).or_default().push(alert.clone()),
            Rehomed::Departed => old.departed.push(alert.clone()),
            Rehomed::Nothing => return,
        }
        let new = self.0.entry(to).or_default();
        new.came.entry(from).or_default().push(alert.clone());
    }

    /// Between which groups something moved.
    pub(super) fn between(&self) -> Vec<[GroupId; 2]> {
        let traffic = self.0.iter();
        let pairs = traffic.flat_map(|(to, traffic)| traffic.came.keys().map(|from| [*from, *to]));
        pairs.collect()
    }

    /// What happened to one group: one event for each other group.
    pub(super) fn take(&mut self, group: GroupId) -> Vec<Event> {
        let traffic = self.0.remove(&group).unwrap_or_default();
        let departed = (!traffic.departed.is_empty()).then(|| Event::Departed {
            alerts: traffic.departed.iter().collect(),
        });
        let left = traffic
            .left
            .iter()
            .map(|(to, alerts)| Event::moved(alerts, *to));
        let came = traffic
            .came
            .iter()
            .map(|(from, alerts)| Event::joined(alerts, *from));
        came.chain(left).chain(departed).collect()
    }
}
