//! Moving an alert to another group after the config changed, with all that people have heard of
//! it, so that nobody is told twice and the end finds those who were told.

use std::collections::BTreeSet;

use crate::alert::Alert;
use crate::episode::{Episode, EpisodeId};
use crate::group::Group;
use crate::id::{AlertKey, LaneKey};
use crate::lane::Lane;

/// What became of the old group's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rehomed {
    /// It is gone: all that was heard of it moved.
    Gone,
    /// It stays to be closed, for destinations that the new group does not have.
    Departed,
    /// The old group did not hold it: nothing happened.
    NotHere,
}

/// A delivery that may speak of the alert is under way. Observe the alert in its old group, and
/// try again once that delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delivery of the old group is under way; try again when it is settled")]
pub struct StillInFlight;

/// Moves `alert` from its old group to the one that it is routed to now.
///
/// `lanes` are the destinations of the new group's route. What the old group's lane of an equal key
/// knows of the alert moves to the new group's lane. Doing it twice changes nothing.
///
/// # Errors
/// While a delivery is under way from which something would have to move; nothing changed.
pub fn rehome(
    alert: &AlertKey,
    from: &mut Group,
    to: &mut Group,
    lanes: &BTreeSet<LaneKey>,
) -> Result<Rehomed, StillInFlight> {
    let Some(left) = from.state.alerts.get(alert) else {
        return Ok(Rehomed::NotHere);
    };
    if left.departed {
        return Ok(Rehomed::Departed);
    }
    let episodes = episodes_of(alert, from);
    let moving = |key: &&LaneKey| lanes.contains(*key);
    let mut old_lanes = from.state.lanes.iter();
    if old_lanes.any(|(key, lane)| moving(&key) && lane.flight.is_some()) {
        return Err(StillInFlight);
    }
    let left = left.clone();
    let joined = join(left, &episodes, to);
    for key in lanes {
        let new = to.state.lanes.entry(*key).or_default();
        let Some(old) = from.state.lanes.get_mut(key) else {
            continue;
        };
        for (id, _) in &episodes {
            let target = if Some(*id) == joined.merged {
                joined.current
            } else {
                *id
            };
            move_knowledge(*id, old, target, new);
        }
    }
    from.quiet_until = None;
    to.quiet_until = None;
    Ok(depart(alert, &episodes, from))
}

/// How the alert stands in its new group.
struct Joined {
    /// Its current episode there.
    current: EpisodeId,
    /// The episode of the old group that `current` is another name for.
    merged: Option<EpisodeId>,
}

fn episodes_of(alert: &AlertKey, group: &Group) -> Vec<(EpisodeId, Episode)> {
    let all = group.state.episodes.iter();
    let own = all.filter(|(_, episode)| episode.alert == *alert);
    own.map(|(id, episode)| (*id, episode.clone())).collect()
}

/// Puts the alert and its episodes into the new group. If it is known there already, because it
/// was observed there before it moved, two open episodes are one.
fn join(left: Alert, episodes: &[(EpisodeId, Episode)], to: &mut Group) -> Joined {
    let moved = left.episode;
    let Some((_, last)) = episodes.iter().find(|(id, _)| *id == moved) else {
        // Without a current episode there is nothing to merge; only earlier ones move.
        to.state.episodes.extend(episodes.iter().cloned());
        return Joined {
            current: moved,
            merged: None,
        };
    };
    let Some(present) = to.state.alerts.get_mut(&last.alert) else {
        to.state.alerts.insert(last.alert.clone(), left);
        to.state.episodes.extend(episodes.iter().cloned());
        return Joined {
            current: moved,
            merged: None,
        };
    };
    present.departed = false;
    let current = present.episode;
    let here = to.state.episodes.get_mut(&current);
    let merged = match here {
        Some(here) if current != moved && (last.fires() || here.start <= last.start) => {
            here.start = here.start.min(last.start);
            here.reopened = here.reopened.max(last.reopened);
            Some(moved)
        }
        Some(_) | None => None,
    };
    let others = episodes.iter().filter(|(id, _)| Some(*id) != merged);
    for (id, episode) in others {
        to.state
            .episodes
            .entry(*id)
            .or_insert_with(|| episode.clone());
    }
    Joined { current, merged }
}

fn move_knowledge(from: EpisodeId, old: &mut Lane, to: EpisodeId, new: &mut Lane) {
    let heard = old.heard.remove(&from);
    let owed = old.owed.remove(&from);
    if heard.is_none() && owed.is_none() {
        return;
    }
    if let Some(heard) = heard {
        new.heard.entry(to).or_insert(heard);
    }
    if let Some(since) = owed {
        new.owed.entry(to).or_insert(since);
    }
    new.last = new.last.max(old.last);
    if new.memory.is_none() {
        new.memory.clone_from(&old.memory);
    }
}

/// Leaves behind what lanes without an equal one must still close, and nothing else.
fn depart(alert: &AlertKey, episodes: &[(EpisodeId, Episode)], from: &mut Group) -> Rehomed {
    for lane in from.state.lanes.values_mut() {
        let heard = &lane.heard;
        let own = |id: &EpisodeId| episodes.iter().any(|(own, _)| own == id);
        lane.owed.retain(|id, _| !own(id) || heard.contains_key(id));
    }
    let kept = |id: &EpisodeId| from.state.lanes.values().any(|lane| lane.refers_to(*id));
    if episodes.iter().any(|(id, _)| kept(id)) {
        if let Some(left) = from.state.alerts.get_mut(alert) {
            left.departed = true;
        }
        return Rehomed::Departed;
    }
    from.state.alerts.remove(alert);
    from.state
        .episodes
        .retain(|_, episode| episode.alert != *alert);
    Rehomed::Gone
}
