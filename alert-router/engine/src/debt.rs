//! What lanes owe: news that came due and was not surely heard, whatever held it up.

use crate::content::{Line, LineKind};
use crate::context::Context;
use crate::episode::{Episode, EpisodeId};
use crate::group::Group;
use crate::id::LaneKey;
use crate::lane::{Folded, Heard, Lane};
use crate::limits::MISSED_APART;
use crate::news::{Ear, News};
use crate::outcome::{Note, Unsaid, count};
use crate::policy::{Ends, Opens, Policy};
use crate::rhythm::Rhythm;
use crate::state::GroupState;
use crate::time::Timestamp;

impl Group {
    /// What a lane would have told by now, had it been able to, it owes. While a delivery is under
    /// way nobody knows yet what will be left to tell.
    pub(crate) fn owe(&mut self, ctx: &Context<'_>) {
        let state = &self.state;
        let idle = state.lanes.iter().filter(|(_, lane)| lane.flight.is_none());
        let debts = idle.map(|(key, lane)| {
            let ear = match ctx.policy.lanes.contains_key(key) {
                true => Ear::of(key, lane, ctx.policy),
                false => Ear::until_it_left(lane),
            };
            (*key, Debts::of(state, *key, lane, ear, ctx))
        });
        let debts: Vec<_> = debts.collect();
        for (key, debts) in debts {
            if let Some(lane) = self.state.lanes.get_mut(&key) {
                debts.book(lane);
            }
        }
    }

    /// Lanes that left the route hear no more news, and what they owed passes to those that do.
    pub(crate) fn retire_lanes(&mut self, policy: &Policy) {
        let retired: Vec<LaneKey> = self.retired(policy).collect();
        for key in retired {
            let leaves = !policy.knows(&key);
            let owed = self.state.lanes.get_mut(&key).map(|lane| {
                lane.opened = None;
                let heard = &lane.heard;
                // A lane of the config still tells the end of what may have arrived there.
                let goes = |id: &EpisodeId| leaves || !heard.contains_key(id);
                let owed = lane.owed.extract_if(.., |id, _| goes(id));
                owed.collect::<Vec<_>>()
            });
            let owed = owed.unwrap_or_default();
            let unheard = owed.iter().filter(|(id, _)| !self.state.is_heard(*id));
            let unheard: Vec<_> = unheard.copied().collect();
            self.state.bequeath(unheard, policy);
            if leaves {
                let owed = owed.into_iter().map(|(id, _)| id);
                let lost = owed.filter(|id| !self.state.passes_on(*id, policy));
                let lost: Vec<Unsaid> = lost.filter_map(|id| self.state.unsaid(id)).collect();
                self.note_unsaid(key, lost);
            }
        }
    }

    /// Says of what nobody hears in the place of a lane that left the config.
    pub(crate) fn note_unsaid(&mut self, lane: LaneKey, alerts: Vec<Unsaid>) {
        if !alerts.is_empty() {
            self.notes.push(Note::Unsaid {
                lane,
                alerts,
                counted: 0,
            });
        }
    }

    /// Lanes that left the route since time last passed. A route that left the config keeps its
    /// lanes as they are until its alerts have moved.
    pub(crate) fn retired(&self, policy: &Policy) -> impl Iterator<Item = LaneKey> {
        let lanes = self.state.lanes.iter().filter(|_| !policy.is_closing());
        let retired = lanes.filter(|(key, lane)| {
            let hears = lane.opened.is_some() && lane.flight.is_none();
            hears && !policy.lanes.contains_key(key)
        });
        retired.map(|(key, _)| *key)
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

impl GroupState {
    /// Episodes that came due for lanes which `policy` does not have, and since when, unless
    /// somebody has surely heard of them. What is under way to such a lane may not arrive.
    pub(crate) fn orphans(
        &self,
        episodes: &[(EpisodeId, Episode)],
        policy: &Policy,
    ) -> Vec<(EpisodeId, Timestamp)> {
        let lanes = self.lanes.iter();
        let left = lanes.filter(|(key, _)| !policy.lanes.contains_key(key));
        let left: Vec<&Lane> = left.map(|(_, lane)| lane).collect();
        let unheard = episodes.iter().filter(|(id, _)| !self.is_heard(*id));
        let owed = unheard.filter_map(|(id, _)| {
            let since = left.iter().filter_map(|lane| lane.owes_since(*id));
            Some((*id, since.min()?))
        });
        owed.collect()
    }

    /// Lanes that hear news owe these from now on, as far as they have not surely heard of them.
    pub(crate) fn bequeath(
        &mut self,
        owed: impl IntoIterator<Item = (EpisodeId, Timestamp)>,
        policy: &Policy,
    ) {
        for (id, since) in owed {
            let heirs = policy.lanes.iter();
            for (key, _) in heirs.filter(|(_, lane)| lane.opens == Opens::AtOnce) {
                let heir = self.lanes.get_mut(key).filter(|lane| !lane.knows(id));
                if let Some(heir) = heir {
                    heir.owed.entry(id).or_insert(since);
                }
            }
        }
    }

    /// Whether somebody hears of an episode in the place of a lane that left.
    pub(crate) fn passes_on(&self, id: EpisodeId, policy: &Policy) -> bool {
        let fires = self.episodes.get(&id).is_some_and(|e| e.ended().is_none());
        let heirs = policy.lanes.iter();
        let heirs = heirs.filter(|(_, lane)| lane.opens == Opens::AtOnce);
        let mut heirs = heirs.filter_map(|(key, _)| self.lanes.get(key));
        heirs.any(|heir| heir.owed.contains_key(&id) || fires && !heir.knows(id))
    }

    /// All that there is to say of an episode which nobody was told of.
    pub(crate) fn unsaid(&self, id: EpisodeId) -> Option<Unsaid> {
        let episode = self.episodes.get(&id)?;
        let kind = match episode.ended() {
            Some(_) => LineKind::Missed,
            None => LineKind::New,
        };
        let line = Line {
            kind,
            episode: id,
            reopened: episode.reopened,
        };
        Unsaid::of(line, self)
    }

    fn is_heard(&self, id: EpisodeId) -> bool {
        self.lanes.values().any(|lane| lane.knows(id))
    }
}

impl Lane {
    /// Whether its people surely know of an episode, as firing at least.
    fn knows(&self, id: EpisodeId) -> bool {
        match self.heard.get(&id) {
            Some(Heard::Sure | Heard::MaybeOver) => true,
            Some(Heard::Maybe) | None => false,
        }
    }

    /// Since when it owes an episode, or is telling it for the first time.
    fn owes_since(&self, id: EpisodeId) -> Option<Timestamp> {
        let told = self.flight.as_ref().filter(|flight| {
            let mut told = flight.before.iter();
            told.any(|before| *before == (id, None))
        });
        let told = told.map(|flight| flight.deadline.begin_at());
        self.owed.get(&id).copied().or(told)
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
    fn of(state: &GroupState, key: LaneKey, lane: &Lane, ear: Ear, ctx: &Context<'_>) -> Self {
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
        let policy = ctx.policy.lanes.get(&key);
        let tells_ends = policy.is_none_or(|lane| lane.ends != Ends::Untold);
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
