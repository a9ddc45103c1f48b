//! The lanes that a delivery speaks for.

use std::collections::BTreeSet;
use std::iter::once;

use alert_engine::{GroupId, LaneKey};

/// The lanes that a delivery speaks for: one, or those of a digest. Never none: what no lane has
/// claimed is written nowhere, so it must not be sent either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    first: (GroupId, LaneKey),
    others: Vec<(GroupId, LaneKey)>,
}

impl Lanes {
    /// `None` if there is none.
    pub(crate) fn of(lanes: impl IntoIterator<Item = (GroupId, LaneKey)>) -> Option<Self> {
        let mut lanes = lanes.into_iter();
        let first = lanes.next()?;
        let others = lanes.collect();
        Some(Self { first, others })
    }

    /// Where they all go.
    pub(crate) fn destination(&self) -> LaneKey {
        self.first.1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(GroupId, LaneKey)> {
        once(&self.first).chain(&self.others)
    }

    /// The group of each.
    pub(crate) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.iter().map(|(group, _)| *group)
    }

    /// Whether one of them is in a group of these.
    pub(crate) fn meet(&self, groups: &BTreeSet<GroupId>) -> bool {
        self.groups().any(|group| groups.contains(&group))
    }
}
