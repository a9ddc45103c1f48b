//! Lanes that hear news only under a condition: fallbacks and escalations.

use crate::context::Context;
use crate::episode::EpisodeId;
use crate::group::Group;
use crate::id::LaneKey;
use crate::outcome::Note;
use crate::policy::Opens;
use crate::state::GroupState;
use crate::time::Timestamp;

impl Group {
    /// Opens lanes whose condition is met by now, and closes those whose condition is not.
    pub(crate) fn open_lanes(&mut self, ctx: &Context<'_>) {
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
}
