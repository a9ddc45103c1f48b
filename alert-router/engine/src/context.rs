//! Everything that a verb of a group may look at besides the group: all of it arguments.

use std::collections::BTreeSet;

use crate::mute::Mutes;
use crate::policy::Policy;
use crate::source::Sources;
use crate::time::Timestamp;

/// The instant of a call, and the world as it is then.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The instant that came with the data.
    pub now: Timestamp,
    /// The config of the group's route.
    pub policy: &'a Policy,
    /// The sources: their rules and when they spoke last.
    pub sources: &'a Sources,
    /// What is muted.
    pub mutes: &'a dyn Mutes,
    /// Which processes are known dead.
    pub owners: &'a Owners,
}

/// One run of one process: a new number at each start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Incarnation(pub u64);

/// What is known about the owners of deliveries in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// The store is locked by this process: every other incarnation is dead.
    Only(Incarnation),
    /// The store is shared: these are dead, the others may live.
    Dead(BTreeSet<Incarnation>),
}

impl Owners {
    /// Whether `owner` surely runs no more.
    #[must_use]
    pub fn is_dead(&self, owner: Incarnation) -> bool {
        match self {
            Self::Only(alive) => owner != *alive,
            Self::Dead(dead) => dead.contains(&owner),
        }
    }
}
