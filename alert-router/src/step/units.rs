//! Which changes must happen together: a group with the homes of the alerts that entered or left
//! it, and all groups that share a write.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{AlertKey, GroupId, Timestamp};

use super::groups::{Changes, Held, Touched, group_key, home_bytes, home_groups, home_key};
use crate::history;
use crate::store::{Doc, Revision, Unit, Write, codec};

/// A unit, and the groups that are in it.
pub(super) struct Draft {
    pub(super) unit: Unit,
    pub(super) groups: Vec<Drafted>,
    /// Writes that go behind those of the groups.
    others: Vec<Write>,
}

/// A group within a unit.
pub(super) struct Drafted {
    pub(super) id: GroupId,
    /// Which write of the unit is its own.
    pub(super) write: usize,
    /// `None` if it is deleted.
    pub(super) held: Option<Held>,
}

/// Groups that enter and leave the home of one alert.
#[derive(Default)]
pub(super) struct Edit {
    enter: BTreeSet<GroupId>,
    leave: BTreeSet<GroupId>,
}

/// What changes in the homes of alerts.
pub(super) fn home_edits(changes: &Changes) -> BTreeMap<AlertKey, Edit> {
    let mut edits: BTreeMap<AlertKey, Edit> = BTreeMap::new();
    for (id, touched) in &changes.groups {
        let alerts = &touched.held.group.state().alerts;
        for alert in alerts
            .keys()
            .filter(|alert| !touched.homes().contains(*alert))
        {
            edits.entry(alert.clone()).or_default().enter.insert(*id);
        }
        for alert in touched
            .homes()
            .iter()
            .filter(|alert| !alerts.contains_key(*alert))
        {
            edits.entry(alert.clone()).or_default().leave.insert(*id);
        }
    }
    edits
}

/// Puts changes into as many units as possible. `homes` are the stored homes of the edited alerts,
/// in their order.
pub(super) fn draft(
    changes: Changes,
    edits: &BTreeMap<AlertKey, Edit>,
    homes: Vec<Option<Doc>>,
) -> Vec<Draft> {
    let mut clusters = Clusters::of(changes.groups.keys().copied());
    for edit in edits.values() {
        clusters.join(edit.enter.iter().chain(&edit.leave));
    }
    for shared in &changes.shared {
        clusters.join(&shared.groups);
    }
    for between in &changes.moves {
        clusters.join(between);
    }
    let mut drafts: BTreeMap<usize, Draft> = BTreeMap::new();
    for (id, touched) in changes.groups {
        let cluster = clusters.find(id);
        drafts
            .entry(cluster)
            .or_insert_with(Draft::empty)
            .add(id, touched, changes.now);
    }
    for ((alert, edit), home) in edits.iter().zip(homes) {
        let Some(anchor) = edit.enter.iter().chain(&edit.leave).next() else {
            continue;
        };
        if let Some(draft) = drafts.get_mut(&clusters.find(*anchor)) {
            draft.others.extend(edit.write(alert, home));
        }
    }
    for shared in changes.shared {
        // Some of its groups may be gone meanwhile.
        let places = shared.groups.iter().map(|group| clusters.find(*group));
        let place = places.into_iter().find(|place| drafts.contains_key(place));
        if let Some(draft) = place.and_then(|place| drafts.get_mut(&place)) {
            draft.others.push(shared.write);
        }
    }
    drafts.into_values().map(Draft::finish).collect()
}

impl Draft {
    fn empty() -> Self {
        Self {
            unit: Unit::default(),
            groups: Vec::new(),
            others: Vec::new(),
        }
    }

    fn add(&mut self, id: GroupId, touched: Touched, now: Timestamp) {
        let (key, expected) = (group_key(id), touched.revision());
        let over = touched.held.group.is_over();
        let write = self.unit.writes.len();
        if over && expected != Revision::NONE {
            self.unit.writes.push(Write::Delete { key, expected });
        } else if !over {
            let held = &touched.held;
            let bytes = codec::encode(held.group.state(), &held.origins).into();
            self.unit.writes.push(Write::Put {
                key,
                expected,
                wake_at: touched.wake_at,
                bytes,
            });
        }
        self.groups.push(Drafted {
            id,
            write,
            held: (!over).then_some(touched.held),
        });
        self.others.extend(touched.writes);
        self.unit
            .history
            .extend(history::record(now, group_key(id), touched.events));
    }

    /// Puts the other writes behind those of the groups. Two groups may bring the same body, but a
    /// document stands in a unit once.
    fn finish(mut self) -> Self {
        let mut kept = BTreeSet::new();
        self.others.retain(|write| match write {
            Write::Keep { key, .. } => kept.insert(key.clone()),
            Write::Put { .. } | Write::Delete { .. } | Write::Expect { .. } => true,
        });
        self.unit.writes.append(&mut self.others);
        self
    }
}

impl Edit {
    fn write(&self, alert: &AlertKey, home: Option<Doc>) -> Option<Write> {
        let key = home_key(alert);
        let expected = home.as_ref().map_or(Revision::NONE, |doc| doc.revision);
        let mut groups: BTreeSet<GroupId> = home
            .iter()
            .flat_map(|doc| home_groups(&doc.bytes))
            .collect();
        groups.extend(&self.enter);
        groups.retain(|group| !self.leave.contains(group));
        if groups.is_empty() {
            return (expected != Revision::NONE).then_some(Write::Delete { key, expected });
        }
        Some(Write::Put {
            key,
            expected,
            wake_at: None,
            bytes: home_bytes(&groups),
        })
    }
}

/// Groups that must be written together, as a union-find over their places.
struct Clusters {
    places: BTreeMap<GroupId, usize>,
    parents: Vec<usize>,
}

impl Clusters {
    fn of(groups: impl Iterator<Item = GroupId>) -> Self {
        let places: BTreeMap<_, _> = groups.enumerate().map(|(place, id)| (id, place)).collect();
        let parents = (0..places.len()).collect();
        Self { places, parents }
    }

    fn find(&self, id: GroupId) -> usize {
        let mut place = self.places.get(&id).copied().unwrap_or(usize::MAX);
        while place != usize::MAX && self.parents[place] != place {
            place = self.parents[place];
        }
        place
    }

    fn join<'a>(&mut self, groups: impl IntoIterator<Item = &'a GroupId>) {
        let mut roots = groups
            .into_iter()
            .map(|id| self.find(*id))
            .filter(|at| *at != usize::MAX);
        let roots: BTreeSet<usize> = roots.by_ref().collect();
        if let Some(first) = roots.first() {
            for root in &roots {
                self.parents[*root] = *first;
            }
        }
    }
}
