//! When to look at a group next, and why.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::alert::Alert;
use crate::context::Context;
use crate::episode::{Episode, EpisodeId, Phase};
use crate::group::{Group, Wake, WakeReason};
use crate::id::{AlertKey, LaneKey};
use crate::lane::{Heard, Lane};
use crate::mute::{Mute, MutedBy};
use crate::news::{Ear, since_known_to};
use crate::policy::{Opens, WhenMuted};
use crate::rhythm::Rhythm;
use crate::time::Timestamp;

impl Group {
    /// The earliest of everything that will happen by itself.
    pub(crate) fn first_wake(&self, ctx: &Context<'_>) -> Option<Wake> {
        let lanes = self.state.lanes.iter();
        let lanes = lanes.filter_map(|(key, lane)| self.lane_wake(*key, lane, ctx));
        let alerts = self.state.alerts.iter();
        let alerts = alerts.filter_map(|(key, alert)| voices_wake(key, alert, ctx));
        let needed = self.alerts_spoken_of();
        let episodes = self.state.episodes.iter();
        let episodes =
            episodes.filter_map(|(id, episode)| self.episode_wake(*id, episode, &needed, ctx));
        lanes.chain(alerts).chain(episodes).min()
    }

    fn lane_wake(&self, key: LaneKey, lane: &Lane, ctx: &Context<'_>) -> Option<Wake> {
        let speaks = match &lane.flight {
            Some(flight) => Some(Wake {
                at: match ctx.owners.is_dead(flight.owner) {
                    true => self.state.looked,
                    false => flight.deadline.until,
                },
                why: WakeReason::Lapse,
            }),
            None => self.wish(key, ctx).map(|wish| Wake {
                at: wish.at,
                why: WakeReason::Speak(wish.verdict),
            }),
        };
        let opens = match ctx.policy.lanes.get(&key).map(|lane| lane.opens) {
            Some(opens @ (Opens::WhenFailing { .. } | Opens::Unacknowledged { .. })) => {
                self.state.opens_at(opens).filter(|_| lane.opened.is_none())
            }
            Some(Opens::AtOnce) | None => None,
        };
        let opens = opens.map(|at| Wake {
            at,
            why: WakeReason::LaneOpens,
        });
        speaks.into_iter().chain(opens).min()
    }

    fn episode_wake(
        &self,
        id: EpisodeId,
        episode: &Episode,
        needed: &BTreeSet<&AlertKey>,
        ctx: &Context<'_>,
    ) -> Option<Wake> {
        let alert = self.state.alerts.get(&episode.alert)?;
        let lanes = self.state.lanes.iter();
        let mute = episode.muted.and_then(|mute| {
            let held = lanes
                .filter_map(|(key, lane)| self.held_until(id, episode, mute, (key, lane), ctx));
            held.min()
        });
        let mute = mute.map(|at| Wake {
            at,
            why: WakeReason::MuteMayEnd,
        });
        let forget = match episode.phase {
            Phase::Ended(end) if alert.episode == id && !needed.contains(&episode.alert) => {
                let source = ctx.sources.get(&episode.alert.source);
                let at = end.seen + source.rules.doubt.max(ctx.policy.group_wait);
                Some(Wake {
                    at,
                    why: WakeReason::Forget,
                })
            }
            Phase::Ended(_) | Phase::Doubted(_) | Phase::Firing => None,
        };
        mute.into_iter().chain(forget).min()
    }

    /// When a mute that holds something back from a lane may end.
    fn held_until(
        &self,
        id: EpisodeId,
        episode: &Episode,
        mute: Mute,
        (key, lane): (&LaneKey, &Lane),
        ctx: &Context<'_>,
    ) -> Option<Timestamp> {
        let looked_at = self.state.looked + ctx.policy.group_interval.max(Duration::from_secs(1));
        let may_end = match (mute.by, mute.until) {
            (MutedBy::TimeInterval, Some(until)) => until,
            (MutedBy::Silence | MutedBy::Inhibition | MutedBy::Acknowledgement, Some(until)) => {
                until.min(looked_at)
            }
            (_, None) => looked_at,
        };
        let hears_news = Ear::of(key, lane, ctx.policy) != Ear::Ends;
        let heard = lane.heard.get(&id);
        match episode.phase {
            Phase::Ended(_) => {
                let later = ctx.policy.when_muted(mute.by) == WhenMuted::Later;
                (later && lane.refers_to(id)).then_some(may_end)
            }
            Phase::Doubted(_) => None,
            Phase::Firing if !hears_news => None,
            Phase::Firing if heard == Some(&Heard::Sure) => {
                let rhythm = Rhythm::of(&self.state, ctx.policy);
                let last = lane.last.unwrap_or(self.state.birth);
                let repeats = rhythm.repeats_at(last, since_known_to(lane, id, episode));
                Some(repeats.max(may_end))
            }
            Phase::Firing => Some(may_end),
        }
    }

    /// The alerts of which some lane has to say something, or has said something.
    fn alerts_spoken_of(&self) -> BTreeSet<&AlertKey> {
        let lanes = self.state.lanes.values();
        let ids = lanes.flat_map(|lane| lane.heard.keys().chain(lane.owed.keys()));
        let episodes = ids.filter_map(|id| self.state.episodes.get(id));
        episodes.map(|episode| &episode.alert).collect()
    }
}

fn voices_wake(key: &AlertKey, alert: &Alert, ctx: &Context<'_>) -> Option<Wake> {
    let source = ctx.sources.get(&key.source);
    let silent = source.clock(ctx.now) < ctx.now;
    let wakes = alert.voices.iter().flat_map(|voice| {
        let doubt = voice.doubt_over(&source).map(|at| Wake {
            at,
            why: WakeReason::DoubtOver,
        });
        let gives_up = voice.gives_up(&source).filter(|_| !silent);
        let gives_up = gives_up.map(|(at, _)| Wake {
            at,
            why: WakeReason::GivenUp,
        });
        doubt.into_iter().chain(gives_up)
    });
    wakes.min()
}
