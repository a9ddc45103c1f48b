//! Who waits for what, as gauges. A group counts as this process wrote or read it last; after a
//! start the walk over all groups brings in those that were stored before.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_engine::{Group, GroupId, Timestamp, Waiting, WaitsFor};

use super::words;
use crate::metrics::Metrics;
use crate::plan::Plan;

/// The lanes that owe something, of all groups.
pub(super) struct WaitingBook {
    metrics: Arc<Metrics>,
    groups: BTreeMap<GroupId, Vec<Entry>>,
    receivers: BTreeMap<Arc<str>, Receiver>,
}

/// A lane that owes its people something.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    receiver: Arc<str>,
    waiting: Waiting,
}

/// What all groups owe one receiver: how many lanes since when, and for what they wait.
#[derive(Default)]
struct Receiver {
    since: BTreeMap<Timestamp, u64>,
    what: BTreeMap<WaitsFor, i64>,
}

impl WaitingBook {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            groups: BTreeMap::new(),
            receivers: BTreeMap::new(),
        }
    }

    /// A group is as it is now.
    pub(super) fn note(&mut self, id: GroupId, group: &Group, plan: &Plan) {
        let state = group.state();
        let entry = |(key, lane): (_, &alert_engine::Lane)| {
            let waiting = lane.waiting()?;
            let outlet = plan.outlet(state.route, key)?;
            Some(Entry {
                receiver: Arc::clone(&outlet.name),
                waiting,
            })
        };
        let lanes = state.lanes.iter().map(|(key, lane)| (*key, lane));
        self.replace(id, lanes.filter_map(entry).collect());
    }

    /// A group is gone.
    pub(super) fn forget(&mut self, id: GroupId) {
        self.replace(id, Vec::new());
    }

    fn replace(&mut self, id: GroupId, entries: Vec<Entry>) {
        let before = self.groups.remove(&id).unwrap_or_default();
        if before != entries {
            for entry in &before {
                self.count(entry, -1);
            }
            for entry in &entries {
                self.count(entry, 1);
            }
            before
                .iter()
                .chain(&entries)
                .for_each(|entry| self.show(entry));
        }
        if !entries.is_empty() {
            self.groups.insert(id, entries);
        }
    }

    fn count(&mut self, entry: &Entry, by: i64) {
        let receiver = Arc::clone(&entry.receiver);
        let receiver = self.receivers.entry(receiver).or_default();
        *receiver.what.entry(entry.waiting.what).or_default() += by;
        let lanes = receiver.since.entry(entry.waiting.since).or_default();
        *lanes = lanes.saturating_add_signed(by);
        if *lanes == 0 {
            receiver.since.remove(&entry.waiting.since);
        }
    }

    fn show(&self, entry: &Entry) {
        let Some(receiver) = self.receivers.get(&entry.receiver) else {
            return;
        };
        let what = entry.waiting.what;
        let count = receiver.what.get(&what).copied().unwrap_or(0);
        self.metrics
            .lanes_waiting
            .with_label_values(&[&entry.receiver, words::waits_for(what)])
            .set(count);
        let oldest = receiver.since.keys().next();
        // Zero is no instant: rules ask for `> 0`.
        let seconds = oldest.map_or(0.0, |at| at.as_millis() as f64 / 1000.0);
        self.metrics
            .oldest_waiting
            .with_label_values(&[&entry.receiver])
            .set(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(receiver: &str, what: WaitsFor, since: i64) -> Entry {
        Entry {
            receiver: receiver.into(),
            waiting: Waiting {
                what,
                since: Timestamp::from_millis(since * 1000),
            },
        }
    }

    #[test]
    fn gauges_follow_what_groups_owe() {
        let metrics = Arc::new(Metrics::new());
        let mut book = WaitingBook::new(Arc::clone(&metrics));
        let check = |lines: [&str; 3]| {
            let text = metrics.render();
            for line in lines {
                assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
            }
        };
        let (a, b) = (GroupId([1; 16]), GroupId([2; 16]));
        book.replace(a, vec![entry("dba", WaitsFor::Slot, 50)]);
        book.replace(b, vec![entry("dba", WaitsFor::Retry, 40)]);
        check([
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"slot\"} 1",
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"retry\"} 1",
            "alert_router_oldest_waiting_timestamp_seconds{receiver=\"dba\"} 40",
        ]);
        book.replace(b, vec![entry("dba", WaitsFor::Slot, 50)]);
        check([
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"slot\"} 2",
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"retry\"} 0",
            "alert_router_oldest_waiting_timestamp_seconds{receiver=\"dba\"} 50",
        ]);
        book.forget(a);
        book.forget(b);
        check([
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"slot\"} 0",
            "alert_router_lanes_waiting{receiver=\"dba\",why=\"retry\"} 0",
            "alert_router_oldest_waiting_timestamp_seconds{receiver=\"dba\"} 0",
        ]);
    }
}
