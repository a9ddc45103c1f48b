//! Which groups an alert belongs to, remembered by its text: the same text goes the same way as
//! long as the config is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_engine::{BodyHash, ConfigHash, Fingerprint, GroupId, Labels, RouteId, SourceName};

use super::identity::{identity_labels, second_fingerprint};
use crate::plan::Plan;
use crate::webhook::payload::SeenAlert;

/// At most so many texts are remembered; then all are forgotten, which costs routing them again.
const REMEMBERED: usize = 200_000;

/// Where an alert goes.
pub(super) struct Routed {
    /// Its `alertname`.
    pub(super) name: Arc<str>,
    /// Its identity, should another alert have its fingerprint.
    pub(super) second: Fingerprint,
    /// Whether it matches the `priority` matchers.
    pub(super) priority: bool,
    /// The groups that it is routed to.
    pub(super) groups: Vec<RoutedGroup>,
}

/// A group that an alert is routed to.
pub(super) struct RoutedGroup {
    pub(super) id: GroupId,
    pub(super) route: RouteId,
    pub(super) labels: Labels,
}

/// Remembers where texts go.
pub(super) struct Routing {
    config: ConfigHash,
    known: BTreeMap<(BodyHash, SourceName), Arc<Routed>>,
}

impl Routing {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            config: plan.hash(),
            known: BTreeMap::new(),
        }
    }

    pub(super) fn route(
        &mut self,
        plan: &Plan,
        source: &SourceName,
        alert: &SeenAlert,
    ) -> Arc<Routed> {
        if self.config != plan.hash() || self.known.len() >= REMEMBERED {
            *self = Self::new(plan);
        }
        let known = self.known.entry((alert.body, source.clone()));
        Arc::clone(known.or_insert_with(|| Arc::new(find(plan, source, &alert.text().labels))))
    }
}

/// The groups that an alert with these labels is routed to.
pub(super) fn groups(plan: &Plan, source: &SourceName, labels: &Labels) -> Vec<RoutedGroup> {
    let group = |route: &alert_engine::Route| {
        let labels = route.group_labels(labels);
        RoutedGroup {
            id: alert_engine::group_id(route.id, &labels),
            route: route.id,
            labels,
        }
    };
    plan.find(source, labels).into_iter().map(group).collect()
}

fn find(plan: &Plan, source: &SourceName, labels: &Labels) -> Routed {
    Routed {
        name: labels.get("alertname").unwrap_or("(no alertname)").into(),
        second: second_fingerprint(identity_labels(plan, source, labels)),
        priority: plan.is_priority(labels),
        groups: groups(plan, source, labels),
    }
}
