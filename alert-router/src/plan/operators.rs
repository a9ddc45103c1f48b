//! Who hears of our own troubles: the receiver that the config names, and never through the
//! destination that a trouble is about.

use std::collections::BTreeMap;

use alert_engine::{
    GroupBy, Labels, LaneKey, MatchOp, Matcher, Opens, RouteId, RouteSpec, RouteTree, Timing,
};

use super::{PolicyBuilder, RoutePlan};
use crate::trouble::{DESTINATION_ID, destination_id};

/// The routes of our own troubles.
pub(super) struct Operators {
    pub(super) tree: RouteTree,
    /// Routes for troubles about a destination that operators are told through.
    about: BTreeMap<RouteId, LaneKey>,
}

impl Operators {
    pub(super) fn new(receiver: &str, policies: &PolicyBuilder<'_>) -> Self {
        let names = ["alertname", "destination"].map(str::to_owned);
        let mut root = RouteSpec {
            receiver: Some(receiver.to_owned()),
            group_by: Some(GroupBy::Labels(names.into())),
            timing: Some(Timing::Settled),
            ..RouteSpec::default()
        };
        let destinations = policies.reach(receiver);
        root.routes = destinations.keys().map(|key| route_about(*key)).collect();
        let tree = RouteTree::new(&root).expect("the root has a receiver and takes everything");
        let about = destinations.keys().flat_map(|destination| {
            let labels = Labels::from_iter([(DESTINATION_ID, destination_id(*destination))]);
            let routes = tree.find(&labels).into_iter();
            routes.map(|route| (route.id, *destination))
        });
        Self {
            about: about.collect(),
            tree,
        }
    }

    pub(super) fn plans(&self, policies: &PolicyBuilder<'_>) -> BTreeMap<RouteId, RoutePlan> {
        let plan = |route: &alert_engine::Route| {
            let mut plan = policies.route(route);
            if let Some(destination) = self.about.get(&route.id) {
                plan.avoid(*destination);
            }
            (route.id, plan)
        };
        self.tree.routes().map(plan).collect()
    }
}

impl RoutePlan {
    /// Takes a destination out; who stands in for it hears at once.
    fn avoid(&mut self, avoided: LaneKey) {
        self.outlets.remove(&avoided);
        self.policy.lanes.remove(&avoided);
        for policy in self.policy.lanes.values_mut() {
            match policy.opens {
                Opens::WhenFailing { lane, .. } if lane == avoided => policy.opens = Opens::AtOnce,
                Opens::WhenFailing { .. } | Opens::AtOnce | Opens::Unacknowledged { .. } => {}
            }
        }
    }
}

fn route_about(destination: LaneKey) -> RouteSpec {
    let id = destination_id(destination);
    let about = Matcher::new(DESTINATION_ID, MatchOp::Equal, &id);
    RouteSpec {
        matchers: about.into_iter().collect(),
        ..RouteSpec::default()
    }
}
