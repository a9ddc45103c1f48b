//! What a group is looked at with: the config, the sources, who lives, and the instant.

use alert_engine::{
    Content, Context, Group, GroupState, NoMutes, Note, Owners, RouteId, Sources, Timestamp,
};

use super::groups::{Held, Touched};
use super::lost::{Lost, NAMELESS};
use crate::history::{Alerts, Carried, Event};
use crate::plan::Plan;

/// Everything outside a group that its rules depend on.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) sources: &'a Sources,
    pub(crate) owners: &'a Owners,
    pub(crate) now: Timestamp,
}

impl<'a> World<'a> {
    /// For groups of this route.
    pub(crate) fn context(&self, route: RouteId) -> Context<'a> {
        Context {
            now: self.now,
            policy: self.plan.policy(route),
            sources: self.sources,
            mutes: &NoMutes,
            owners: self.owners,
        }
    }

    /// A group that is to be written, with what time alone did to it.
    pub(crate) fn touch(&self, mut held: Held) -> Touched {
        let notes = held.group.take_notes();
        let state = held.group.state();
        let lost = notes
            .iter()
            .filter_map(|note| Lost::of(note, state, self.plan));
        let lost = lost.collect();
        let events = notes.iter().filter_map(|note| self.event(note, state));
        let events = events.collect();
        let wake_at = self.wake(&held.group);
        Touched {
            lost,
            events,
            ..Touched::new(held, wake_at)
        }
    }

    fn event(&self, note: &Note, group: &GroupState) -> Option<Event> {
        Event::noted(note, |lane, content| {
            let alerts = content.map(|content| alerts_of(content, group));
            let outlet = self.plan.outlet(group.route, lane);
            let (receiver, destination) = match &outlet {
                Some(outlet) => (&*outlet.name, Some(outlet.receiver.destination())),
                None => (NAMELESS, None),
            };
            Carried {
                receiver: receiver.to_owned(),
                channel: destination.map_or("", |to| to.channel).to_owned(),
                destination: destination.map_or("", |to| &to.label).to_owned(),
                alerts: alerts.unwrap_or_default(),
                ..Carried::default()
            }
        })
    }

    /// When a group wants to be looked at next.
    pub(crate) fn wake(&self, group: &Group) -> Option<Timestamp> {
        group
            .next_wake(&self.context(group.state().route))
            .map(|wake| wake.at)
    }
}

/// The alerts that a content speaks of.
pub(crate) fn alerts_of(content: &Content, group: &GroupState) -> Alerts {
    let episodes = content
        .lines
        .iter()
        .filter_map(|line| group.episodes.get(&line.episode));
    episodes.map(|episode| &episode.alert).collect()
}
