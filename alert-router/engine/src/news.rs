//! What a lane has not been told, gathered from its group: the facts that the verdict needs and the
//! lines that a message would have.

use std::collections::BTreeSet;

use crate::alert::Alert;
use crate::content::{Content, Line, LineKind};
use crate::context::Context;
use crate::episode::{End, Episode, EpisodeId, Phase};
use crate::group::{Due, Group};
use crate::id::{AlertKey, DeliveryId, LaneKey};
use crate::lane::{Heard, Lane};
use crate::limits::DELAY_WORTH_TELLING;
use crate::policy::{Ends, Opens, Policy, WhenMuted};
use crate::rhythm::Rhythm;
use crate::state::GroupState;
use crate::time::Timestamp;
use crate::verdict::{Facts, Verdict, verdict};

/// What a lane wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ear {
    /// News, repeats and ends.
    All,
    /// As `All`; what there is to say when it opened, at this instant, is said at once.
    OpenedAt(Timestamp),
    /// Only the ends of what it heard.
    Ends,
}

/// What a lane has not been told.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) facts: Facts,
    pub(crate) lines: Vec<Line>,
    pub(crate) muted: u32,
    /// Since when the newest of what stands is known.
    newest: Option<Timestamp>,
    /// Since when the oldest of what fires is unsaid.
    fires_since: Option<Timestamp>,
    /// Since when the oldest of what ended is unsaid.
    ended_since: Option<Timestamp>,
    /// Since when that is unsaid which follows in a message of its own.
    followed_by: Option<Timestamp>,
    /// Since when something is owed that has ended: that is due at once.
    missed_since: Option<Timestamp>,
    /// How many missed episodes are told as a number.
    expired: u32,
    /// It may have had to leave the last message to what fires, and then follows it.
    follows: bool,
    /// Ends that are never told, because the alert is muted and the policy says so.
    pub(crate) silent: Vec<EpisodeId>,
}

/// A lane that will want to speak.
pub(crate) struct Wish {
    /// When.
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
    content: Content,
    priority: bool,
    since: Timestamp,
}

impl Ear {
    pub(crate) fn of(key: &LaneKey, lane: &Lane, policy: &Policy) -> Self {
        match policy.lanes.get(key).map(|lane| lane.opens) {
            Some(Opens::AtOnce) => Self::All,
            Some(Opens::WhenFailing { .. } | Opens::Unacknowledged { .. }) => {
                match (lane.opened, lane.last) {
                    (Some(opened), Some(last)) if last >= opened => Self::All,
                    (Some(opened), _) => Self::OpenedAt(opened),
                    (None, _) => Self::Ends,
                }
            }
            None => Self::Ends,
        }
    }

    /// What a lane that is not in its route any more wanted to hear of, as long as nobody has taken
    /// note of that.
    pub(crate) fn until_it_left(lane: &Lane) -> Self {
        match lane.opened {
            Some(_) => Self::All,
            None => Self::Ends,
        }
    }
}

impl News {
    pub(crate) fn gather(state: &GroupState, lane: &Lane, ear: Ear, policy: &Policy) -> Self {
        Self::of(state, lane, ear, policy, |_| true).with_folded(state, lane)
    }

    fn with_folded(mut self, state: &GroupState, lane: &Lane) -> Self {
        self.expired = lane.folded.count;
        if self.expired > 0 {
            self.missed(lane.folded.since.unwrap_or(state.birth));
        }
        self
    }

    /// Of some alerts only.
    fn of(
        state: &GroupState,
        lane: &Lane,
        ear: Ear,
        policy: &Policy,
        wanted: impl Fn(&AlertKey) -> bool,
    ) -> Self {
        let mut news = Self::default();
        let episodes = state.episodes.iter();
        for (id, episode) in episodes.filter(|(_, episode)| wanted(&episode.alert)) {
            let alert = state.alerts.get(&episode.alert);
            let at_home = alert.is_some_and(|a| !a.departed && a.episode == *id);
            let heard = lane.heard.get(id).copied();
            news.facts.heard |= matches!(heard, Some(Heard::Sure | Heard::MaybeOver));
            match episode.phase {
                Phase::Firing if at_home => news.firing(*id, episode, lane, ear),
                Phase::Firing => news.facts.left |= heard.is_some(),
                Phase::Doubted(_) => news.doubted(*id, episode, lane, at_home),
                Phase::Ended(end) => news.ended(*id, episode, &end, lane, policy),
            }
        }
        let start = |line: &Line| state.episodes.get(&line.episode).map(|e| e.start);
        news.lines
            .sort_by_key(|line| (line.kind, start(line), line.episode));
        news
    }

    fn firing(&mut self, id: EpisodeId, episode: &Episode, lane: &Lane, ear: Ear) {
        let heard = lane.heard.get(&id).copied();
        self.facts.left |= heard.is_some();
        if episode.muted.is_some() {
            self.muted += 1;
            return;
        }
        if heard == Some(Heard::Sure) {
            self.facts.standing |= ear != Ear::Ends;
            self.newest = self.newest.max(Some(since_known_to(lane, id, episode)));
            self.say(LineKind::Firing, id, episode);
            return;
        }
        let since = match ear {
            Ear::All => since_known_to(lane, id, episode),
            Ear::OpenedAt(opened) => opened,
            Ear::Ends => return,
        };
        self.facts.news = true;
        self.fires_since = earlier(self.fires_since, Some(since));
        // Owed since before it was opened again: it never heard the end either.
        let owed_all_along = lane.owed.get(&id).is_some_and(|owed| *owed < episode.since);
        let again = heard == Some(Heard::MaybeOver) || (episode.reopened > 0 && !owed_all_along);
        let kind = if again {
            LineKind::Reopened
        } else {
            LineKind::New
        };
        self.say(kind, id, episode);
    }

    fn doubted(&mut self, id: EpisodeId, episode: &Episode, lane: &Lane, at_home: bool) {
        let heard = lane.heard.get(&id);
        self.facts.left |= heard.is_some();
        if heard == Some(&Heard::Sure) && at_home && episode.muted.is_none() {
            self.say(LineKind::Firing, id, episode);
        }
    }

    fn ended(&mut self, id: EpisodeId, episode: &Episode, end: &End, lane: &Lane, policy: &Policy) {
        let heard = lane.heard.contains_key(&id);
        let owed = lane.owed.get(&id);
        if !heard && owed.is_none() {
            return;
        }
        match episode.muted.map(|mute| policy.when_muted(mute.by)) {
            Some(WhenMuted::Later) => self.facts.left |= heard,
            Some(WhenMuted::Never) => self.silent.push(id),
            Some(WhenMuted::Now) | None if heard => {
                self.facts.over = true;
                self.ended_since = earlier(self.ended_since, Some(end.since));
                self.say(LineKind::Over, id, episode);
            }
            Some(WhenMuted::Now) | None => {
                self.say(LineKind::Missed, id, episode);
                self.missed(owed.copied().unwrap_or(end.since));
            }
        }
    }

    fn missed(&mut self, owed: Timestamp) {
        self.facts.missed = true;
        self.ended_since = earlier(self.ended_since, Some(owed));
        self.missed_since = earlier(self.missed_since, Some(owed));
    }

    /// Since when the oldest of it is unsaid.
    fn first(&self) -> Option<Timestamp> {
        earlier(self.fires_since, self.ended_since)
    }

    fn say(&mut self, kind: LineKind, episode: EpisodeId, told: &Episode) {
        self.lines.push(Line {
            kind,
            episode,
            reopened: told.reopened,
        });
    }

    /// When the unsaid is due, as far as grouping goes; `None` if there is nothing unsaid.
    pub(crate) fn opens_at(&self, lane: &Lane, ear: Ear, rhythm: &Rhythm<'_>) -> Option<Timestamp> {
        let first = earlier(self.first(), self.followed_by)?;
        let by_rhythm = match lane.last.filter(|last| self.follows && first <= *last) {
            Some(last) => rhythm.follows_at(first, last),
            None => rhythm.opens_at(lane, first),
        };
        let at_once = match ear {
            Ear::OpenedAt(opened) if self.facts.news => Some(opened),
            Ear::OpenedAt(_) | Ear::All | Ear::Ends => None,
        };
        let times = [Some(by_rhythm), self.missed_since, at_once];
        times.into_iter().flatten().min()
    }
}

/// What fires, and what is over, for a message each. What was over of an alert that fires again stays
/// beside that: alone it would be read as the end of both. Both are due when the older of them is, and
/// what fires comes first.
fn apart(
    all: News,
    state: &GroupState,
    lane: &Lane,
    ear: Ear,
    policy: &Policy,
) -> (News, Option<News>) {
    let alert = |line: &Line| state.episodes.get(&line.episode).map(|e| &e.alert);
    let lines = all.lines.iter();
    let fires: BTreeSet<&AlertKey> = lines.filter(|l| l.kind.fires()).filter_map(alert).collect();
    let mut lines = all.lines.iter().filter_map(alert);
    let some_is_over = all.expired > 0 || lines.any(|alert| !fires.contains(alert));
    if fires.is_empty() || !some_is_over {
        let follows = fires.is_empty();
        return (News { follows, ..all }, None);
    }
    let mut firing = News::of(state, lane, ear, policy, |alert| fires.contains(alert));
    let over = News::of(state, lane, ear, policy, |alert| !fires.contains(alert));
    let mut over = over.with_folded(state, lane);
    for news in [&mut firing, &mut over] {
        news.facts.heard = all.facts.heard;
        news.facts.left = all.facts.left;
    }
    firing.muted = all.muted;
    over.muted = 0;
    over.follows = !firing.facts.unsaid();
    if firing.facts.unsaid() {
        firing.followed_by = over.first();
        firing.missed_since = all.missed_since;
    }
    (firing, Some(over))
}

impl Group {
    /// When and how a lane will want to speak if nothing else happens.
    pub(crate) fn wish(&self, key: LaneKey, ctx: &Context<'_>) -> Option<Wish> {
        let lane = self.state.lanes.get(&key)?;
        if lane.flight.is_some() || !ctx.policy.knows(&key) {
            return None;
        }
        let ear = Ear::of(&key, lane, ctx.policy);
        let news = News::gather(&self.state, lane, ear, ctx.policy);
        let policy = ctx.policy.lanes.get(&key);
        if policy.is_none_or(|lane| lane.ends != Ends::Apart) {
            return self.wish_to_say(news, key, ear, ctx);
        }
        let (firing, over) = apart(news, &self.state, lane, ear, ctx.policy);
        let both = [Some(firing), over].into_iter().flatten();
        let wishes = both.filter_map(|news| self.wish_to_say(news, key, ear, ctx));
        // Of those that are due already, what fires.
        wishes.min_by_key(|wish| wish.at.max(ctx.now))
    }

    fn wish_to_say(&self, news: News, key: LaneKey, ear: Ear, ctx: &Context<'_>) -> Option<Wish> {
        let lane = self.state.lanes.get(&key)?;
        let verdict = verdict(&news.facts)?;
        let rhythm = Rhythm::of(&self.state, ctx.policy);
        let opens = match news.opens_at(lane, ear, &rhythm) {
            Some(at) => at,
            None => {
                let birth = self.state.birth;
                rhythm.repeats_at(lane.last.unwrap_or(birth), news.newest.unwrap_or(birth))
            }
        };
        let mut alerts = news
            .lines
            .iter()
            .filter_map(|line| self.alert_of(line.episode));
        let priority = alerts.any(|alert| alert.priority);
        let since = news.first().unwrap_or(opens);
        let late = ctx.now.since(opens.max(since));
        let content = Content {
            verdict,
            muted: news.muted,
            expired: news.expired,
            delayed_by: Some(late).filter(|by| news.facts.unsaid() && *by >= DELAY_WORTH_TELLING),
            failed_over_from: failed_over_from(&key, ctx.policy),
            lines: news.lines,
        };
        let parked = lane
            .parked
            .filter(|parked| parked.content == content.hash());
        let waits = [lane.pause, parked.map(|parked| parked.pause)];
        let at = waits
            .into_iter()
            .flatten()
            .fold(opens, |at, pause| at.max(pause.until));
        Some(Wish {
            at,
            verdict,
            content,
            priority,
            since,
        })
    }

    fn alert_of(&self, episode: EpisodeId) -> Option<&Alert> {
        let episode = self.state.episodes.get(&episode)?;
        self.state.alerts.get(&episode.alert)
    }

    pub(crate) fn due_of(&self, key: LaneKey, wish: Wish) -> Due {
        let lane = &self.state.lanes[&key];
        let group = self.id();
        // A lane that was closed counts from the start again when its destination comes back.
        let opened = lane.opened.unwrap_or(self.state.birth);
        let id = DeliveryId::of(&[
            &group.0,
            &self.state.birth.as_millis().to_le_bytes(),
            &key.0,
            &opened.as_millis().to_le_bytes(),
            &lane.serial.to_le_bytes(),
            &wish.content.hash().0,
        ]);
        Due {
            group,
            lane: key,
            verdict: wish.verdict,
            content: wish.content,
            priority: wish.priority,
            since: wish.since,
            id,
            attempt: lane.attempts + 1,
            birth: self.state.birth,
            memory: lane.memory.clone(),
        }
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Since when an episode is news to a lane: not before the lane was there, unless it is owed.
pub(crate) fn since_known_to(lane: &Lane, id: EpisodeId, episode: &Episode) -> Timestamp {
    let known = episode.since.max(lane.opened.unwrap_or(Timestamp::MIN));
    lane.owed.get(&id).map_or(known, |owed| known.min(*owed))
}

fn failed_over_from(key: &LaneKey, policy: &Policy) -> Option<LaneKey> {
    match policy.lanes.get(key)?.opens {
        Opens::WhenFailing { lane, .. } => Some(lane),
        Opens::AtOnce | Opens::Unacknowledged { .. } => None,
    }
}
