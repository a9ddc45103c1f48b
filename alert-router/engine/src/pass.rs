//! Letting time pass: what came due since the last look happens now, in the order in which it
//! would have happened.

use std::collections::BTreeSet;

use crate::alert::Alert;
use crate::context::Context;
use crate::episode::{EpisodeId, Phase};
use crate::group::{Group, Quiet};
use crate::id::AlertKey;
use crate::lane::Lane;
use crate::observe::Cause;
use crate::outcome::{Note, Outcome, count};
use crate::policy::{Opens, Policy};
use crate::state::GroupState;
use crate::time::Timestamp;
use crate::voice::VoiceState;

impl Group {
    /// Lets time pass unless that would find nothing new.
    pub(crate) fn let_time_pass_if_due(&mut self, ctx: &Context<'_>) {
        let stepped_back = ctx.now < self.latest;
        let quiet = self.passed == Some(ctx.now) || self.is_quiet(ctx);
        if stepped_back || !quiet || self.has_other_lanes_than(ctx.policy) {
            self.let_time_pass(ctx);
        }
        self.latest = ctx.now;
    }

    /// Lets time pass. Lanes come first, with what was known at the last look: what came due then
    /// is owed, whatever has become of it since.
    pub(crate) fn let_time_pass(&mut self, ctx: &Context<'_>) {
        self.state.not_after(ctx.now, ctx.policy);
        self.asked = self.asked.map(|asked| asked.min(ctx.now));
        self.lapse(ctx);
        self.owe(ctx);
        self.keep_lanes(ctx.policy, ctx.now);
        self.let_voices_pass(ctx);
        self.ask_mutes(ctx);
        self.open_lanes(ctx);
        self.owe(ctx);
        self.fold(ctx);
        self.forget(ctx);
        self.state.looked = ctx.now;
        self.latest = ctx.now;
        self.passed = Some(ctx.now);
        self.quiet = Quiet::Unasked;
    }

    /// Whether a look would find nothing new.
    fn is_quiet(&mut self, ctx: &Context<'_>) -> bool {
        let until = match self.quiet {
            Quiet::Unknown => return false,
            Quiet::Until(until) => until,
            Quiet::Unasked => self.first_wake(ctx).map_or(Timestamp::MAX, |wake| wake.at),
        };
        self.quiet = Quiet::Until(until);
        ctx.now < until
    }

    /// Whether the config changed the route since time last passed.
    fn has_other_lanes_than(&self, policy: &Policy) -> bool {
        let lanes = &self.state.lanes;
        let mut routed = policy.lanes.keys();
        routed.any(|key| !lanes.contains_key(key)) || self.retired(policy).next().is_some()
    }

    /// One lane per destination of the route; lanes whose destination left the config are closed.
    pub(crate) fn keep_lanes(&mut self, policy: &Policy, now: Timestamp) {
        for (key, lane_policy) in &policy.lanes {
            let lane = self.state.lanes.entry(*key).or_default();
            if lane_policy.opens == Opens::AtOnce {
                lane.opened.get_or_insert(now);
            }
        }
        self.retire_lanes(policy);
        let (alerts, episodes) = (&self.state.alerts, &self.state.episodes);
        // What such a lane would tell, or owes, has yet to move with its alerts.
        let waits = |lane: &Lane| {
            let mut episodes = episodes.iter();
            let to_move = episodes.any(|(id, episode)| {
                let alert = alerts.get(&episode.alert).filter(|alert| !alert.departed);
                let fires = |alert: &Alert| alert.episode == *id && episode.ended().is_none();
                alert.is_some_and(|alert| fires(alert) || lane.owed.contains_key(id))
            });
            policy.is_closing() && lane.opened.is_some() && to_move
        };
        let notes = &mut self.notes;
        self.state.lanes.retain(|key, lane| {
            if lane.flight.is_some() || waits(lane) {
                return true;
            }
            let knows = policy.knows(key);
            if !knows && lane.folded.count > 0 {
                notes.push(Note::Unsaid {
                    lane: *key,
                    alerts: Vec::new(),
                    counted: lane.folded.count,
                });
            }
            if !knows {
                notes.push(Note::LaneClosed {
                    lane: *key,
                    unfinished: count(lane.heard.len() + lane.owed.len()),
                });
            }
            knows && (policy.lanes.contains_key(key) || !lane.is_at_rest())
        });
    }

    fn lapse(&mut self, ctx: &Context<'_>) {
        for (key, lane) in &mut self.state.lanes {
            let lapsed = lane.flight.take_if(|flight| {
                flight.deadline.over(ctx.now) || ctx.owners.is_dead(flight.owner)
            });
            if let Some(flight) = lapsed {
                let record = lane.land(*key, flight, Outcome::Lapsed, ctx);
                self.notes.push(Note::Lapsed(Box::new(record)));
            }
        }
    }

    fn let_voices_pass(&mut self, ctx: &Context<'_>) {
        let mut moved: Vec<(AlertKey, Cause)> = Vec::new();
        for (key, alert) in &mut self.state.alerts {
            let source = ctx.sources.get(&key.source);
            for voice in &mut alert.voices {
                if let Some(at) = voice.doubt_over(&source).filter(|at| *at <= ctx.now) {
                    voice.state = VoiceState::Firing {
                        start: voice.start().unwrap_or(at),
                    };
                    moved.push((key.clone(), Cause::DoubtOver { at }));
                }
                let gives_up = voice.gives_up(&source);
                if let Some((at, why)) = gives_up.filter(|(at, _)| *at <= source.clock(ctx.now)) {
                    voice.end(at);
                    moved.push((key.clone(), Cause::GaveUp(why)));
                }
            }
        }
        for (key, cause) in moved {
            self.follow_voices(&key, cause, ctx);
        }
    }

    fn ask_mutes(&mut self, ctx: &Context<'_>) {
        let lanes = &self.state.lanes;
        for (id, episode) in &mut self.state.episodes {
            let matters = episode.ended().is_none() || lanes.values().any(|l| l.refers_to(*id));
            let mute = matters
                .then(|| ctx.mutes.muted(&episode.alert, ctx.now))
                .flatten();
            episode.mute(mute, ctx.now);
        }
    }

    /// Forgets what nobody has to be told about any more, after the time in which a lagging peer
    /// may still speak of it.
    fn forget(&mut self, ctx: &Context<'_>) {
        let state = &mut self.state;
        let lanes = &state.lanes;
        let spoken_of = |id: &EpisodeId| lanes.values().any(|lane| lane.refers_to(*id));
        let mut kept: BTreeSet<AlertKey> = BTreeSet::new();
        let mut gone: Vec<EpisodeId> = Vec::new();
        for (id, episode) in &state.episodes {
            let alert = state.alerts.get(&episode.alert);
            let current = alert.is_some_and(|a| a.episode == *id && !a.departed);
            let remembered = current
                && match episode.phase {
                    Phase::Firing | Phase::Doubted(_) => true,
                    Phase::Ended(end) => {
                        let source = ctx.sources.get(&episode.alert.source);
                        let memory = source.rules.doubt.max(ctx.policy.group_wait);
                        ctx.now < end.seen + memory
                    }
                };
            if remembered || spoken_of(id) {
                kept.insert(episode.alert.clone());
            } else {
                gone.push(*id);
            }
        }
        // The latest episode of an alert stays as long as an earlier one does.
        gone.retain(|id| {
            let key = &state.episodes[id].alert;
            !(kept.contains(key) && state.alerts.get(key).is_some_and(|a| a.episode == *id))
        });
        for id in gone {
            state.episodes.remove(&id);
        }
        state.alerts.retain(|key, _| kept.contains(key));
    }
}

impl GroupState {
    /// Pulls what a clock that stepped back left in the future back to within its own period.
    fn not_after(&mut self, now: Timestamp, policy: &Policy) {
        self.looked = self.looked.min(now);
        self.first_tick = self.first_tick.min(now + policy.group_wait);
        for alert in self.alerts.values_mut() {
            alert
                .voices
                .iter_mut()
                .for_each(|voice| voice.not_after(now));
        }
        for episode in self.episodes.values_mut() {
            episode.not_after(now);
        }
        for lane in self.lanes.values_mut() {
            lane.not_after(now);
        }
    }
}

impl Lane {
    fn not_after(&mut self, now: Timestamp) {
        self.last = self.last.map(|last| last.min(now));
        self.opened = self.opened.map(|opened| opened.min(now));
        self.folded.since = self.folded.since.map(|since| since.min(now));
        self.owed
            .values_mut()
            .for_each(|since| *since = (*since).min(now));
        let parked = self.parked.as_mut().map(|parked| &mut parked.pause);
        let deadline = self.flight.as_mut().map(|flight| &mut flight.deadline);
        let pauses = [self.pause.as_mut(), parked, deadline]
            .into_iter()
            .flatten();
        pauses.for_each(|pause| pause.within_reach(now));
    }
}
