//! What lanes owe: news that came due and was not surely heard, whatever held it up.

use crate::content::LineKind;
use crate::context::Context;
use crate::episode::EpisodeId;
use crate::group::Group;
use crate::id::LaneKey;
use crate::lane::{Folded, Lane};
use crate::limits::MISSED_APART;
use crate::news::{Ear, News};
use crate::outcome::{Note, count};
use crate::rhythm::Rhythm;
use crate::state::GroupState;
use crate::time::Timestamp;

impl Group {
    /// What a lane would have told by now, had it been able to, it owes. While a delivery is under
    /// way nobody knows yet what will be left to tell.
    pub(crate) fn owe(&mut self, ctx: &Context<'_>) {
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

    /// Missed episodes that are too old, or too many, are told as a number.
    pub(crate) fn fold(&mut self, ctx: &Context<'_>) {
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
