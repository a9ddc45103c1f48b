//! Moving an alert to another group after the config changed, with all that people have heard of
//! it, so that nobody is told twice and the end finds those who were told.

use crate::alert::Alert;
use crate::context::Context;
use crate::episode::{Episode, EpisodeId};
use crate::group::{Group, Quiet};
use crate::id::{AlertKey, LaneKey};
use crate::lane::{Heard, Lane};
use crate::limits::VOICES_PER_ALERT;
use crate::observe::Cause;
use crate::outcome::Unsaid;
use crate::policy::Policy;
use crate::voice::Voice;

/// What became of the old group's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rehomed {
    /// It is gone: all that was heard of it moved.
    Gone,
    /// It stays to be closed, for destinations that the new group does not have.
    Departed,
    /// The old group did not hold it, or holds nothing of it that could move: nothing happened.
    Nothing,
}

/// A delivery that may speak of the alert is under way. Observe the alert in its old group, and
/// try again once that delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delivery of the old group is under way; try again when it is settled")]
pub struct StillInFlight;

/// Moves `alert` from its old group to the one that it is routed to now. Each group comes with the
/// context of its own route.
///
/// First lets time pass in both. What the old group's lanes know of the alert moves to the new
/// group's lanes of equal keys, also of an alert that departed from there earlier. What came due in
/// the old group, and nobody there has surely heard, is owed to all who hear of it now. Doing it
/// twice changes nothing.
///
/// # Errors
/// While a delivery is under way from which, or to which, something would have to move: only time
/// has passed.
pub fn rehome(
    alert: &AlertKey,
    (from, was): (&mut Group, &Context<'_>),
    (to, is): (&mut Group, &Context<'_>),
) -> Result<Rehomed, StillInFlight> {
    if !from.has_to_give(alert, is.policy) {
        return Ok(Rehomed::Nothing);
    }
    from.let_time_pass_once(was);
    to.let_time_pass_once(is);
    to.keep_lanes(is.policy, is.now);
    let Some(left) = from.state.alerts.get(alert).cloned() else {
        return Ok(Rehomed::Nothing);
    };
    let mut lanes = is.policy.lanes.keys();
    if lanes.any(|lane| from.is_in_flight(lane) || to.is_in_flight(lane)) {
        return Err(StillInFlight);
    }
    let episodes = from.episodes_of(alert);
    let departed = left.departed;
    let orphans = match departed {
        true => Vec::new(),
        false => from.state.orphans(&episodes, is.policy),
    };
    let same = join(alert, left, &episodes, to);
    let name = |id| match same {
        Some(same) if same.there == id => same.here,
        Some(_) | None => id,
    };
    for key in is.policy.lanes.keys() {
        let lanes = (from.state.lanes.get_mut(key), to.state.lanes.get_mut(key));
        let (Some(old), Some(new)) = lanes else {
            continue;
        };
        for (id, _) in &episodes {
            move_knowledge(*id, old, name(*id), new);
        }
    }
    let orphans = orphans.into_iter().map(|(id, since)| (name(id), since));
    to.state.bequeath(orphans, is.policy);
    if !departed {
        from.note_lost(&episodes, name, to, is.policy);
    }
    from.quiet = Quiet::Unknown;
    to.quiet = Quiet::Unknown;
    Ok(depart(alert, &episodes, from))
}

impl Group {
    /// The alert is routed here. If it departed from here earlier, it lives here again: it is news
    /// when it fires. Says whether it had.
    pub(crate) fn welcome(&mut self, alert: &AlertKey, ctx: &Context<'_>) -> bool {
        let held = self.state.alerts.get_mut(alert);
        let Some(back) = held.filter(|held| held.departed) else {
            return false;
        };
        back.departed = false;
        let starts = back.voices.iter().filter_map(Voice::fires_since);
        if let Some(start) = starts.min() {
            self.follow_voices(alert, Cause::Fired { start }, ctx);
        }
        true
    }
}

/// Two names of one episode, because both groups saw it begin.
#[derive(Clone, Copy)]
struct Same {
    /// In the old group.
    there: EpisodeId,
    /// In the new group.
    here: EpisodeId,
}

impl Group {
    /// Whether the alert lives here, or left something that lanes of this policy could take.
    fn has_to_give(&self, alert: &AlertKey, policy: &Policy) -> bool {
        let Some(held) = self.state.alerts.get(alert) else {
            return false;
        };
        let lanes = self.state.lanes.iter();
        let mut lanes = lanes.filter(|(key, _)| policy.lanes.contains_key(key));
        let own = |id: &EpisodeId| {
            let episode = self.state.episodes.get(id);
            episode.is_some_and(|episode| episode.alert == *alert)
        };
        !held.departed || lanes.any(|(_, lane)| lane.heard.keys().chain(lane.owed.keys()).any(own))
    }

    /// Notes what lanes that left the config were owed of these, unless somebody in `to`, where the
    /// episodes have other names, hears of it in their place.
    fn note_lost(
        &mut self,
        episodes: &[(EpisodeId, Episode)],
        name: impl Fn(EpisodeId) -> EpisodeId,
        to: &Group,
        policy: &Policy,
    ) {
        let lanes = self.state.lanes.iter();
        let left = lanes.filter(|(key, lane)| !policy.knows(key) && lane.flight.is_none());
        let lost = left.map(|(key, lane)| {
            let owed = episodes.iter().map(|(id, _)| *id);
            let owed = owed.filter(|id| lane.owed.contains_key(id));
            let lost = owed.filter(|id| !to.state.passes_on(name(*id), policy));
            (*key, lost.filter_map(|id| self.state.unsaid(id)).collect())
        });
        let lost: Vec<(LaneKey, Vec<Unsaid>)> = lost.collect();
        for (key, lost) in lost {
            self.note_unsaid(key, lost);
        }
    }

    fn let_time_pass_once(&mut self, ctx: &Context<'_>) {
        if self.passed != Some(ctx.now) {
            self.let_time_pass(ctx);
        }
    }

    fn is_in_flight(&self, lane: &LaneKey) -> bool {
        let lane = self.state.lanes.get(lane);
        lane.is_some_and(|lane| lane.flight.is_some())
    }

    fn episodes_of(&self, alert: &AlertKey) -> Vec<(EpisodeId, Episode)> {
        let all = self.state.episodes.iter();
        let own = all.filter(|(_, episode)| episode.alert == *alert);
        own.map(|(id, episode)| (*id, episode.clone())).collect()
    }
}

/// Puts the alert and its episodes into the new group, where it may be known already: it was
/// observed there before it moved, or it departed from there earlier. What departed from the old
/// group lives again in the one that it is routed to.
fn join(
    alert: &AlertKey,
    left: Alert,
    episodes: &[(EpisodeId, Episode)],
    to: &mut Group,
) -> Option<Same> {
    let last = episodes.iter().find(|(id, _)| *id == left.episode);
    let present = to.state.alerts.get_mut(alert);
    let same = present
        .as_ref()
        .zip(last)
        .and_then(|(present, (there, last))| {
            let here = to.state.episodes.get(&present.episode)?;
            let both_go_on = here.ended().is_none() && last.ended().is_none();
            let names = Same {
                there: *there,
                here: present.episode,
            };
            (both_go_on || here.start == last.start).then_some(names)
        });
    let others = episodes
        .iter()
        .filter(|(id, _)| same.is_none_or(|same| same.there != *id));
    match (present, same, last) {
        (Some(present), _, _) if left.departed => present.departed = false,
        (Some(present), Some(same), Some((_, last))) => {
            present.departed = false;
            present.hear_of(left.voices);
            if let Some(here) = to.state.episodes.get_mut(&same.here) {
                here.start = here.start.min(last.start);
                here.reopened = here.reopened.max(last.reopened);
            }
        }
        // What the new group knows goes on; the old group's episodes are earlier ones.
        (Some(present), _, Some((_, last))) if last.ended().is_some() => present.departed = false,
        (Some(_) | None, _, _) => {
            let left = Alert {
                departed: false,
                ..left
            };
            to.state.alerts.insert(alert.clone(), left);
        }
    }
    for (id, episode) in others {
        to.state
            .episodes
            .entry(*id)
            .or_insert_with(|| episode.clone());
    }
    same
}

impl Alert {
    /// Adds the voices that it does not know yet, as far as there is room.
    fn hear_of(&mut self, voices: Vec<Voice>) {
        for voice in voices {
            let at = self.voices.partition_point(|known| known.key < voice.key);
            let known = self
                .voices
                .get(at)
                .is_some_and(|known| known.key == voice.key);
            if !known && self.voices.len() < VOICES_PER_ALERT {
                self.voices.insert(at, voice);
            }
        }
    }
}

fn move_knowledge(from: EpisodeId, old: &mut Lane, to: EpisodeId, new: &mut Lane) {
    let heard = old.heard.remove(&from);
    let owed = old.owed.remove(&from);
    if heard.is_none() && owed.is_none() {
        return;
    }
    match (new.heard.get(&to), heard) {
        (None | Some(Heard::Maybe), Some(heard)) => _ = new.heard.insert(to, heard),
        (Some(Heard::Sure | Heard::MaybeOver), _) | (_, None) => {}
    }
    if let Some(since) = owed {
        new.owed.entry(to).or_insert(since);
    }
    if new.heard.get(&to) == Some(&Heard::Sure) {
        new.owed.remove(&to);
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
    let lanes = &from.state.lanes;
    let kept = |id: &EpisodeId| lanes.values().any(|lane| lane.refers_to(*id));
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
