//! What an observation, or a voice that changes with time, does to the episodes of its alert.

use std::collections::BTreeMap;

use crate::alert::{Alert, Observation, Says, Text};
use crate::context::Context;
use crate::episode::{End, EndReason, Episode, EpisodeId, Phase};
use crate::group::{Change, Group, Observed, TooMany};
use crate::id::AlertKey;
use crate::lane::Lane;
use crate::limits::{ALERTS_PER_GROUP, ALERTS_WITH_TEXT, EPISODES_PER_GROUP};
use crate::policy::Opens;
use crate::time::Timestamp;
use crate::voice::{Moved, Standing, Voice};

/// What made the voices of an alert change.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    /// An upstream said that it fires since then.
    Fired { start: Timestamp },
    /// An upstream said that it ended.
    Resolved,
    /// A doubt was over at this instant.
    DoubtOver { at: Timestamp },
    /// Nobody mentioned it for too long.
    GaveUp(EndReason),
}

impl Group {
    pub(crate) fn hear(&mut self, seen: &Observation, ctx: &Context<'_>) -> Observed {
        let Some(alert) = self.state.alerts.get_mut(&seen.key) else {
            return self.meet(seen, ctx);
        };
        let source = ctx.sources.get(&seen.key.source);
        let Some(moved) = alert.hear(seen.voice, seen.says, &source, ctx.now) else {
            return Observed::Refused(TooMany::Voices);
        };
        let episode = alert.episode;
        let retold = alert.retell(seen);
        match moved {
            Moved::State => {
                let change = self.follow_voices(&seen.key, cause_of(seen.says), ctx);
                let episode = self
                    .state
                    .alerts
                    .get(&seen.key)
                    .map_or(episode, |a| a.episode);
                Observed::Changed { episode, change }
            }
            Moved::Nothing | Moved::Seen if retold => Observed::Changed {
                episode,
                change: Change::Detail,
            },
            Moved::Seen => Observed::SeenOnly,
            Moved::Nothing => Observed::Unchanged,
        }
    }

    /// Takes in an alert that the group does not hold.
    fn meet(&mut self, seen: &Observation, ctx: &Context<'_>) -> Observed {
        let Says::Firing { start, .. } = seen.says else {
            return Observed::NeverFired;
        };
        let state = &mut self.state;
        if state.alerts.len() >= ALERTS_PER_GROUP || state.episodes.len() >= EPISODES_PER_GROUP {
            return Observed::Refused(TooMany::Alerts);
        }
        let text = match has_room_for_text(&state.alerts, seen.priority) {
            true => Text::Body(seen.body),
            false => Text::Name(seen.name.clone()),
        };
        let episode = self.begin_episode(&seen.key, start, ctx);
        let alert = Alert {
            voices: vec![Voice::begin(seen.voice, seen.says, ctx.now)],
            episode,
            text,
            priority: seen.priority,
            departed: false,
        };
        self.state.alerts.insert(seen.key.clone(), alert);
        Observed::Changed {
            episode,
            change: Change::Began,
        }
    }

    fn begin_episode(&mut self, key: &AlertKey, start: Timestamp, ctx: &Context<'_>) -> EpisodeId {
        self.begin_life_if_at_rest(start, ctx);
        let mut id = EpisodeId::of(key, start, ctx.now);
        while self.state.episodes.contains_key(&id) {
            id.0 = id.0.wrapping_add(1);
        }
        let mut episode = Episode::begin(key.clone(), start, ctx.now);
        episode.muted = ctx.mutes.muted(key, ctx.now);
        self.state.episodes.insert(id, episode);
        id
    }

    /// A group in which everything is told as over starts a new life with the next episode.
    fn begin_life_if_at_rest(&mut self, start: Timestamp, ctx: &Context<'_>) {
        let state = &mut self.state;
        if state.lanes.values().any(|lane| !lane.is_at_rest()) {
            return;
        }
        let mut episodes = state.episodes.values();
        if episodes.any(|episode| episode.ended().is_none()) {
            return;
        }
        state.birth = ctx.now;
        let wait = ctx.policy.group_wait;
        // Alertmanager flushes at once when the alert that opens a group has waited already.
        state.first_tick = match start + wait < ctx.now {
            true => ctx.now,
            false => ctx.now + wait,
        };
        for (key, lane) in &mut self.state.lanes {
            let policy = ctx.policy.lanes.get(key);
            let hears = policy.is_some_and(|lane| lane.opens == Opens::AtOnce);
            *lane = Lane {
                serial: lane.serial,
                opened: hears.then_some(ctx.now),
                ..Lane::default()
            };
        }
    }

    /// Brings the current episode of `key` in line with what its voices say.
    pub(crate) fn follow_voices(
        &mut self,
        key: &AlertKey,
        cause: Cause,
        ctx: &Context<'_>,
    ) -> Change {
        let Some(alert) = self.state.alerts.get(key) else {
            return Change::Detail;
        };
        let (standing, known_end) = (alert.standing(), alert.known_end());
        let Some(episode) = self.state.episodes.get_mut(&alert.episode) else {
            return Change::Detail;
        };
        match (episode.phase, standing) {
            (Phase::Firing, Standing::Firing) => {
                if let Cause::Fired { start } = cause
                    && known_end.is_none_or(|end| start > end)
                {
                    episode.start = episode.start.min(start);
                }
                Change::Detail
            }
            (Phase::Firing, Standing::Doubted) => {
                episode.phase = Phase::Doubted(end_now(known_end, cause, ctx.now));
                Change::Doubted
            }
            (Phase::Firing, Standing::Ended) => {
                episode.phase = Phase::Ended(end_now(known_end, cause, ctx.now));
                Change::Ended
            }
            (Phase::Ended(end), Standing::Doubted) => {
                episode.phase = Phase::Doubted(end);
                Change::Doubted
            }
            (Phase::Doubted(_), Standing::Doubted) => Change::Detail,
            (Phase::Doubted(end) | Phase::Ended(end), Standing::Ended) => {
                let was_in_doubt = episode.ended().is_none();
                let at = end.at.max(known_end.unwrap_or(end.at));
                episode.phase = Phase::Ended(End { at, ..end });
                if was_in_doubt {
                    Change::Ended
                } else {
                    Change::Detail
                }
            }
            (Phase::Doubted(end) | Phase::Ended(end), Standing::Firing) => {
                self.fire_again(key, end, cause, ctx)
            }
        }
    }

    /// A voice of an alert that ended, or whose end is in doubt, fires.
    fn fire_again(&mut self, key: &AlertKey, end: End, cause: Cause, ctx: &Context<'_>) -> Change {
        let Some(alert) = self.state.alerts.get(key) else {
            return Change::Detail;
        };
        let (departed, current) = (alert.departed, alert.episode);
        let Some(episode) = self.state.episodes.get_mut(&current) else {
            return Change::Detail;
        };
        let start = match cause {
            // The firing voice is one that was passed over when it began.
            Cause::Resolved | Cause::GaveUp(_) => return Change::Detail,
            Cause::DoubtOver { at } => {
                episode.reopen(at);
                return Change::Reopened;
            }
            Cause::Fired { start } if start <= end.at => {
                episode.reopen(ctx.now);
                return Change::Reopened;
            }
            Cause::Fired { start } => start,
        };
        if !end.claimed && ctx.now.since(end.seen) <= ctx.policy.group_wait {
            episode.phase = Phase::Firing;
            return Change::Reopened;
        }
        episode.phase = Phase::Ended(end);
        if departed || self.state.episodes.len() >= EPISODES_PER_GROUP {
            return Change::Detail;
        }
        let next = self.begin_episode(key, start, ctx);
        if let Some(alert) = self.state.alerts.get_mut(key) {
            alert.episode = next;
        }
        Change::Began
    }
}

/// Whether a further alert is told in its own words. However many others came first, the first ones
/// with priority are. In a storm of those, looking for them ends early.
fn has_room_for_text(alerts: &BTreeMap<AlertKey, Alert>, priority: bool) -> bool {
    let urgent = || alerts.values().filter(|alert| alert.priority);
    alerts.len() < ALERTS_WITH_TEXT
        || priority && urgent().take(ALERTS_WITH_TEXT).count() < ALERTS_WITH_TEXT
}

impl Alert {
    /// Takes over text and priority as they are told now; says whether they moved.
    fn retell(&mut self, seen: &Observation) -> bool {
        let before = (self.text.clone(), self.priority);
        if let Text::Body(body) = &mut self.text {
            *body = seen.body;
        }
        self.priority = seen.priority;
        before != (self.text.clone(), self.priority)
    }
}

fn cause_of(says: Says) -> Cause {
    match says {
        Says::Firing { start, .. } => Cause::Fired { start },
        Says::Resolved { .. } => Cause::Resolved,
    }
}

fn end_now(known_end: Option<Timestamp>, cause: Cause, now: Timestamp) -> End {
    End {
        at: known_end.unwrap_or(now),
        seen: now,
        since: now,
        why: match cause {
            Cause::GaveUp(why) => why,
            Cause::Fired { .. } | Cause::Resolved | Cause::DoubtOver { .. } => EndReason::Resolved,
        },
        claimed: false,
    }
}
