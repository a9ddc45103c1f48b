//! Letting time pass: what came due since the last look happens now, in the order in which it
//! would have happened.

use std::collections::BTreeSet;

use crate::alert::VoiceState;
use crate::content::LineKind;
use crate::context::Context;
use crate::episode::{EpisodeId, Phase};
use crate::group::Group;
use crate::id::{AlertKey, LaneKey};
use crate::lane::{Folded, Lane};
use crate::limits::MISSED_APART;
use crate::news::{Ear, News};
use crate::observe::Cause;
use crate::outcome::{Note, Outcome};
use crate::policy::{Opens, Policy};
use crate::rhythm::Rhythm;
use crate::state::GroupState;
use crate::time::Timestamp;

impl Group {
    /// Lets time pass unless that would find nothing new.
    pub(crate) fn let_time_pass_if_due(&mut self, ctx: &Context<'_>) {
        let quiet = self.quiet_until.is_some_and(|until| ctx.now < until);
        let stepped_back = ctx.now < self.latest;
        if stepped_back || (self.passed != Some(ctx.now) && !quiet) {
            self.let_time_pass(ctx);
        }
        self.latest = ctx.now;
    }

    /// Lets time pass. Lanes come first, with what was known at the last look: what came due then
    /// is owed, whatever has become of it since.
    pub(crate) fn let_time_pass(&mut self, ctx: &Context<'_>) {
        self.state.not_after(ctx.now, ctx.policy);
        self.asked = self.asked.map(|asked| asked.min(ctx.now));
        self.keep_lanes(ctx.policy, ctx.now);
        self.lapse(ctx);
        self.owe(ctx);
        self.let_voices_pass(ctx);
        self.ask_mutes(ctx);
        self.open_lanes(ctx);
        self.owe(ctx);
        self.fold(ctx);
        self.forget(ctx);
        self.state.looked = ctx.now;
        self.latest = ctx.now;
        self.passed = Some(ctx.now);
        self.quiet_until = Some(self.next_wake(ctx).map_or(Timestamp::MAX, |wake| wake.at));
    }

    /// One lane per destination of the route; lanes whose destination left the config are closed.
    pub(crate) fn keep_lanes(&mut self, policy: &Policy, now: Timestamp) {
        for (key, lane) in &policy.lanes {
            let lanes = self.state.lanes.entry(*key);
            lanes.or_insert_with(|| match lane.opens {
                Opens::AtOnce => Lane::open(now),
                Opens::WhenFailing { .. } | Opens::Unacknowledged { .. } => Lane::default(),
            });
        }
        let known =
            |key: &LaneKey| policy.lanes.contains_key(key) || policy.destinations.contains(key);
        let notes = &mut self.notes;
        self.state.lanes.retain(|key, lane| {
            let knows = known(key);
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

    /// What a lane would have told by now, had it been able to, it owes. While a delivery is under
    /// way nobody knows yet what will be left to tell.
    fn owe(&mut self, ctx: &Context<'_>) {
        let state = &self.state;
        let idle = state.lanes.iter().filter(|(_, lane)| lane.flight.is_none());
        let debts = idle.map(|(key, lane)| (*key, Debts::of(state, *key, lane, ctx)));
        let debts: Vec<_> = debts.collect();
        for (key, debts) in debts {
            if let Some(lane) = self.state.lanes.get_mut(&key) {
                debts.book(lane);
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

    fn open_lanes(&mut self, ctx: &Context<'_>) {
        for (key, lane_policy) in &ctx.policy.lanes {
            if lane_policy.opens == Opens::AtOnce {
                continue;
            }
            let opens = self.state.opens_at(lane_policy.opens);
            let opens = opens.filter(|at| *at <= ctx.now);
            let inherited = match (lane_policy.opens, opens) {
                (Opens::WhenFailing { lane, .. }, Some(_)) => self.state.missed_by(lane),
                (Opens::WhenFailing { .. }, None)
                | (Opens::AtOnce | Opens::Unacknowledged { .. }, _) => Vec::new(),
            };
            let Some(lane) = self.state.lanes.get_mut(key) else {
                continue;
            };
            match (lane.opened, opens) {
                (None, Some(at)) => {
                    lane.opened = Some(at);
                    lane.owed.extend(inherited.into_iter().map(|id| (id, at)));
                    self.notes.push(Note::LaneOpened { lane: *key });
                }
                (Some(_), None) if lane.flight.is_none() => {
                    lane.opened = None;
                    let heard = &lane.heard;
                    lane.owed.retain(|id, _| heard.contains_key(id));
                }
                (Some(_) | None, _) => {}
            }
        }
    }

    /// Missed episodes that are too old, or too many, are told as a number.
    fn fold(&mut self, ctx: &Context<'_>) {
        let episodes = &self.state.episodes;
        for (key, lane) in &mut self.state.lanes {
            if lane.flight.is_some() {
                continue;
            }
            let ended = |id: &EpisodeId| episodes.get(id).is_none_or(|e| e.ended().is_some());
            let owed = lane.owed.iter();
            let missed = owed.filter(|(id, _)| !lane.heard.contains_key(id) && ended(id));
            let mut missed: Vec<_> = missed.map(|(id, since)| (*since, *id)).collect();
            missed.sort_unstable();
            let too_many = missed.len().saturating_sub(MISSED_APART);
            let too_old = missed.partition_point(|(since, _)| *since + ctx.policy.ttl <= ctx.now);
            missed.truncate(too_many.max(too_old));
            let Some((oldest, _)) = missed.first().copied() else {
                continue;
            };
            for (_, id) in &missed {
                lane.owed.remove(id);
            }
            lane.folded = Folded {
                count: lane.folded.count.saturating_add(count(missed.len())),
                since: lane.folded.since.or(Some(oldest)),
            };
            self.notes.push(Note::Folded {
                lane: *key,
                count: count(missed.len()),
            });
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

/// What letting time pass adds to, and takes from, what a lane owes.
#[derive(Default)]
struct Debts {
    new: Vec<(EpisodeId, Timestamp)>,
    /// Ends that leave without a word.
    silent: Vec<EpisodeId>,
    silent_folded: bool,
}

impl Debts {
    fn of(state: &GroupState, key: LaneKey, lane: &Lane, ctx: &Context<'_>) -> Self {
        let ear = Ear::of(&key, lane, ctx.policy);
        let news = News::gather(state, lane, ear, ctx.policy);
        let mut debts = Self {
            silent: news.silent.clone(),
            ..Self::default()
        };
        let rhythm = Rhythm::of(state, ctx.policy);
        let opened = news.opens_at(lane, ear, &rhythm);
        let Some(opened) = opened.filter(|at| *at <= ctx.now) else {
            return debts;
        };
        let tells_ends = ctx
            .policy
            .lanes
            .get(&key)
            .is_none_or(|lane| lane.send_resolved);
        debts.silent_folded = !tells_ends;
        for line in &news.lines {
            match line.kind {
                LineKind::New | LineKind::Reopened => {
                    let episode = &state.episodes[&line.episode];
                    let since = opened.max(episode.since);
                    // A mute may have begun after the last look and before this came due.
                    if ctx.mutes.muted(&episode.alert, since).is_none() {
                        debts.new.push((line.episode, since));
                    }
                }
                LineKind::Over | LineKind::Missed if !tells_ends => debts.silent.push(line.episode),
                LineKind::Over | LineKind::Missed | LineKind::Firing => {}
            }
        }
        debts
    }

    fn book(self, lane: &mut Lane) {
        for (id, since) in self.new {
            lane.owed.entry(id).or_insert(since);
        }
        for id in self.silent {
            lane.heard.remove(&id);
            lane.owed.remove(&id);
        }
        if self.silent_folded {
            lane.folded = Folded::default();
        }
    }
}

impl GroupState {
    /// When the condition of a lane is met, as things stand; `None`: never, or it has none.
    pub(crate) fn opens_at(&self, opens: Opens) -> Option<Timestamp> {
        match opens {
            Opens::AtOnce => None,
            Opens::WhenFailing { lane, after } => {
                let lane = self.lanes.get(&lane)?;
                let oldest = lane.owed.values().chain(&lane.folded.since).min()?;
                Some(*oldest + after)
            }
            Opens::Unacknowledged { after } => {
                let open = self.episodes.iter().filter(|(id, episode)| {
                    let alert = self.alerts.get(&episode.alert);
                    let current = alert.is_some_and(|a| !a.departed && a.episode == **id);
                    current && episode.fires() && episode.muted.is_none()
                });
                let oldest = open.map(|(_, episode)| episode.since).min()?;
                Some(oldest + after)
            }
        }
    }

    /// Episodes that `lane` is owed, has not heard at all, and that are over.
    fn missed_by(&self, lane: LaneKey) -> Vec<EpisodeId> {
        let Some(lane) = self.lanes.get(&lane) else {
            return Vec::new();
        };
        let over = |id: &EpisodeId| self.episodes.get(id).is_some_and(|e| e.ended().is_some());
        let owed = lane
            .owed
            .keys()
            .filter(|id| !lane.heard.contains_key(id) && over(id));
        owed.copied().collect()
    }

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

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
