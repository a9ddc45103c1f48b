//! A group as plain data: what a codec stores and restores, nothing left out, nothing derived.

use std::collections::BTreeMap;

use crate::alert::Alert;
use crate::episode::{Episode, EpisodeId};
use crate::id::{AlertKey, ConfigHash, GroupId, LaneKey, RouteId};
use crate::label::Labels;
use crate::lane::Lane;
use crate::time::Timestamp;

/// A group as plain data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupState {
    /// The route that made it.
    pub route: RouteId,
    /// The labels that its alerts share.
    pub labels: Labels,
    /// The config that its alerts were routed with.
    pub config: ConfigHash,
    /// Who opened it.
    pub intake: Intake,
    /// When its present life began: part of every id that is derived from it.
    pub birth: Timestamp,
    /// The first tick, where it ticks.
    pub first_tick: Timestamp,
    /// When time last passed in it.
    pub looked: Timestamp,
    /// Its alerts.
    pub alerts: BTreeMap<AlertKey, Alert>,
    /// The occurrences of its alerts that somebody may still have to be told about.
    pub episodes: BTreeMap<EpisodeId, Episode>,
    /// Its lanes.
    pub lanes: BTreeMap<LaneKey, Lane>,
}

/// How alerts reach us, which decides the rhythm of the group that they open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Intake {
    /// From an Alertmanager or a Grafana, which have grouped and waited already.
    Webhook,
    /// From a Prometheus, by `/api/v2/alerts`.
    Api,
}

impl GroupState {
    /// The id of the group.
    #[must_use]
    pub fn id(&self) -> GroupId {
        group_id(self.route, &self.labels)
    }
}

/// The id of the group of a route with these labels.
#[must_use]
pub fn group_id(route: RouteId, labels: &Labels) -> GroupId {
    let mut parts: Vec<&[u8]> = vec![&route.0];
    for (name, value) in labels.iter() {
        parts.push(name.as_bytes());
        parts.push(value.as_bytes());
    }
    GroupId::of(&parts)
}
