//! What a group is looked at with: the config, the sources, who lives, and the instant.

use alert_engine::{Context, Group, NoMutes, Owners, RouteId, Sources, Timestamp};

use crate::history::Event;
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

    /// What time alone did to a group since it was looked at last, for the history.
    pub(crate) fn notes(&self, group: &mut Group) -> Vec<Event> {
        let route = group.state().route;
        let name = |lane| match self.plan.outlet(route, lane) {
            Some(outlet) => outlet.name.to_string(),
            None => "(no longer in the config)".to_owned(),
        };
        group
            .take_notes()
            .iter()
            .map(|note| Event::noted(note, name))
            .collect()
    }

    /// When a group wants to be looked at next.
    pub(crate) fn wake(&self, group: &Group) -> Option<Timestamp> {
        group
            .next_wake(&self.context(group.state().route))
            .map(|wake| wake.at)
    }
}
