//! Who hears of our own troubles: the receiver that the config names, and never through the
//! destination that a trouble is about.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{
    GroupBy, Labels, LaneKey, MatchOp, Matcher, Matchers, Opens, RouteId, RouteSpec, RouteTree,
    Timing,
};

use super::{Outlet, PolicyBuilder, RoutePlan};

/// The routes of our own troubles.
pub(super) struct Operators {
    pub(super) tree: RouteTree,
    /// Routes for troubles about a destination that operators are told through.
    /// Two that look alike to people are both avoided.
    about: BTreeMap<RouteId, BTreeSet<LaneKey>>,
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
        let outlets = policies.reach(receiver);
        let destinations: BTreeSet<_> = outlets.values().map(|outlet| labels(outlet)).collect();
        root.routes = destinations.into_iter().map(route_about).collect();
        let tree = RouteTree::new(&root).expect("the root has a receiver and takes everything");
        let mut about: BTreeMap<RouteId, BTreeSet<LaneKey>> = BTreeMap::new();
        for (lane, outlet) in &outlets {
            for route in tree.find(&Labels::from_iter(labels(outlet))) {
                about.entry(route.id).or_default().insert(*lane);
            }
        }
        Self { tree, about }
    }

    pub(super) fn plans(&self, policies: &PolicyBuilder<'_>) -> BTreeMap<RouteId, RoutePlan> {
        let plan = |route: &alert_engine::Route| {
            let mut plan = policies.route(route);
            for lane in self.about.get(&route.id).into_iter().flatten() {
                plan.avoid(*lane);
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

/// The labels that a trouble about this destination has.
fn labels(outlet: &Outlet) -> [(&'static str, String); 2] {
    let destination = outlet.receiver.destination();
    [
        ("channel", destination.channel.to_owned()),
        ("destination", destination.label.clone()),
    ]
}

fn route_about(labels: [(&'static str, String); 2]) -> RouteSpec {
    let equals = |(name, value): (&str, String)| {
        Matcher::new(name, MatchOp::Equal, &value).expect("equality takes every text")
    };
    RouteSpec {
        matchers: labels.map(equals).into_iter().collect::<Matchers>(),
        ..RouteSpec::default()
    }
}
