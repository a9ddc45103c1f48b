//! Which alerts went from which group to which other one, for the history of both.

use std::collections::BTreeMap;

use alert_engine::{AlertKey, GroupId, Rehomed};

use crate::history::Event;

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
    pub(super) fn note(&mut self, rehomed: Rehomed, alert: &AlertKey, from: GroupId, to: GroupId) {
        let old = self.0.entry(from).or_default();
        match rehomed {
            Rehomed::Gone => old.left.entry(to).or_default().push(alert.clone()),
            Rehomed::Departed => old.departed.push(alert.clone()),
            Rehomed::NotHere => return,
        }
        let new = self.0.entry(to).or_default();
        new.came.entry(from).or_default().push(alert.clone());
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
