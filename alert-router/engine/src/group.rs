//! A group and its verbs: the contract between the rules and whoever drives them.
//!
//! A driver loads a group, calls a verb, stores [`Group::state`] with [`Group::next_wake`], and only
//! then acts: a verb changes the value and nothing else. Every verb first lets time pass, so what
//! came due before the call is due, also if nobody woke the group. Each rule has a file of its own;
//! here are only the doors.

use crate::alert::Observation;
use crate::content::Content;
use crate::context::{Context, Incarnation};
use crate::episode::EpisodeId;
use crate::id::{ConfigHash, DeliveryId, GroupId, LaneKey, RouteId};
use crate::label::Labels;
use crate::limits::LOOK_AGAIN;
use crate::outcome::{Became, Note, Outcome, Record};
use crate::state::{GroupState, Intake};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Alerts of one route that share their group labels, and one lane per destination.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) state: GroupState,
    /// Until when a look would find nothing new. Derived, so not stored.
    pub(crate) quiet: Quiet,
    /// The latest instant of any call: an earlier one means that the clock stepped back.
    pub(crate) latest: Timestamp,
    /// When time last passed in this value; `None`: not since it was loaded.
    pub(crate) passed: Option<Timestamp>,
    /// The last call of [`due`](Self::due) on this value.
    pub(crate) asked: Option<Timestamp>,
    pub(crate) notes: Vec<Note>,
}

/// Until when a look would find nothing new.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quiet {
    /// It changed since time last passed.
    Unknown,
    /// It did not, and nobody has asked yet: most groups that time passes in change at once.
    Unasked,
    /// Until then.
    Until(Timestamp),
}

/// What an observation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observed {
    /// Nothing that is worth a write.
    Unchanged,
    /// It was seen again, and what is stored about that is old: worth a write, no wake changes.
    SeenOnly,
    /// The group changed.
    Changed {
        /// The episode that it is about.
        episode: EpisodeId,
        /// How.
        change: Change,
    },
    /// A resolved notice for an alert that was never seen firing: changes nothing.
    NeverFired,
    /// There is no room for it: nothing of it is kept.
    Refused(TooMany),
}

/// How an observation changed a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An episode began.
    Began,
    /// It ended.
    Ended,
    /// Its end is in doubt.
    Doubted,
    /// It goes on after all.
    Reopened,
    /// A voice, a start, an end or a text moved; the episode goes on as before.
    Detail,
}

/// A bound that an observation hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum TooMany {
    /// More alerts in one group than [`ALERTS_PER_GROUP`](crate::limits::ALERTS_PER_GROUP).
    #[error("the group is full: narrow `group_by` or the route's matchers")]
    Alerts,
    /// More firing copies of one alert than
    /// [`VOICES_PER_ALERT`](crate::limits::VOICES_PER_ALERT).
    #[error("too many copies of one alert fire: shorten the source's `ignore_labels`")]
    Voices,
}

/// A lane that wants to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Of which group.
    pub group: GroupId,
    /// Which lane.
    pub lane: LaneKey,
    /// Why.
    pub verdict: Verdict,
    /// What it says.
    pub content: Content,
    /// Whether it goes before others.
    pub priority: bool,
    /// Since when its oldest news is unsaid.
    pub since: Timestamp,
    /// The id of a delivery of this content. The same until the content changes or is heard, so
    /// what was stored under it can be sent again.
    pub id: DeliveryId,
    /// Which attempt it will be, from 1.
    pub attempt: u32,
    /// The life of the group that it belongs to: messages with the same value are one thread.
    pub birth: Timestamp,
    /// What the receiver left at the lane's last delivery.
    pub memory: Option<Box<[u8]>>,
}

/// Who carries a delivery, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The id of the delivery: that of the due content, or of the digest that carries it.
    pub id: DeliveryId,
    /// Who carries it.
    pub owner: Incarnation,
    /// When it lapses: now plus the deadlines of all steps of the channel.
    pub deadline: Timestamp,
}

/// A claim was refused: the lane no longer says what it said. Look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane moved since it was looked at; look again")]
pub struct LaneMoved;

/// When to look next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake {
    /// The instant.
    pub at: Timestamp,
    /// What happens then.
    pub why: WakeReason,
}

/// What happens at a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeReason {
    /// A delivery under way lapses.
    Lapse,
    /// A lane speaks for this reason, or tries again to.
    Speak(Verdict),
    /// A fallback or an escalation opens.
    LaneOpens,
    /// A doubt is over.
    DoubtOver,
    /// An alert that nobody mentions ends.
    GivenUp,
    /// A mute may end.
    MuteMayEnd,
    /// An ended alert is forgotten.
    Forget,
}

impl Group {
    /// A group without alerts, born at `ctx.now`. The first observation opens it.
    #[must_use]
    pub fn new(
        route: RouteId,
        labels: Labels,
        config: ConfigHash,
        intake: Intake,
        ctx: &Context<'_>,
    ) -> Self {
        Self::from_state(GroupState {
            route,
            labels,
            config,
            intake,
            birth: ctx.now,
            first_tick: ctx.now + ctx.policy.group_wait,
            looked: ctx.now,
            alerts: Default::default(),
            episodes: Default::default(),
            lanes: Default::default(),
        })
    }

    /// A group as it was stored.
    #[must_use]
    pub fn from_state(state: GroupState) -> Self {
        Self {
            latest: state.looked,
            state,
            quiet: Quiet::Unknown,
            passed: None,
            asked: None,
            notes: Vec::new(),
        }
    }

    /// All that there is to store.
    #[must_use]
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.state.id()
    }

    /// Takes in one observation of an alert that is routed to this group.
    ///
    /// The same observation twice changes nothing but when it was last seen. Call it also for an
    /// alert that was known here before a config change led it away and back, once it has
    /// [moved](crate::rehome()): it is at home here again.
    pub fn observe(&mut self, seen: &Observation, ctx: &Context<'_>) -> Observed {
        self.let_time_pass_if_due(ctx);
        let back = self.welcome(&seen.key, ctx);
        let mut observed = self.hear(seen, ctx);
        if back
            && matches!(observed, Observed::SeenOnly | Observed::Unchanged)
            && let Some(alert) = self.state.alerts.get(&seen.key)
        {
            // That it is back is to be written.
            observed = Observed::Changed {
                episode: alert.episode,
                change: Change::Detail,
            };
        }
        self.follow(observed, ctx)
    }

    /// Takes in one observation of an alert that is routed elsewhere. Call it for every such group
    /// that holds the alert: what its people were told as firing, they are told as over. An alert
    /// that the group does not hold, or has just forgotten, it does not get to know.
    pub fn overhear(&mut self, seen: &Observation, ctx: &Context<'_>) -> Observed {
        self.let_time_pass_if_due(ctx);
        if !self.state.alerts.contains_key(&seen.key) {
            return Observed::NeverFired;
        }
        let observed = self.hear(seen, ctx);
        self.follow(observed, ctx)
    }

    fn follow(&mut self, observed: Observed, ctx: &Context<'_>) -> Observed {
        if let Observed::Changed { .. } = observed {
            self.keep_lanes(ctx.policy, ctx.now);
            self.quiet = Quiet::Unknown;
        }
        observed
    }

    /// Says which lanes want to speak now, why, and with which content. Changes only what time
    /// alone changes. What is neither claimed nor [postponed](Self::postpone) is due again later.
    pub fn due(&mut self, ctx: &Context<'_>) -> Vec<Due> {
        self.let_time_pass(ctx);
        self.asked = Some(ctx.now);
        let lanes = self.state.lanes.keys();
        let due = lanes.filter_map(|key| {
            let wish = self.wish(*key, ctx)?;
            (wish.at <= ctx.now).then(|| self.due_of(*key, wish))
        });
        due.collect()
    }

    /// Marks a due content as under way. From now on its people may have heard it.
    ///
    /// # Errors
    /// The lane says something else by now, or nothing: nothing changed.
    pub fn claim(
        &mut self,
        due: &Due,
        claim: Claim,
        ctx: &Context<'_>,
    ) -> Result<DeliveryId, LaneMoved> {
        self.let_time_pass_if_due(ctx);
        let wish = self.wish(due.lane, ctx).ok_or(LaneMoved)?;
        if wish.at > ctx.now || self.due_of(due.lane, wish).id != due.id {
            return Err(LaneMoved);
        }
        self.take_off(due, claim, ctx);
        self.quiet = Quiet::Unknown;
        Ok(claim.id)
    }

    /// Lets a due lane wait for a slot until `until`, at most an hour. No attempt is counted.
    pub fn postpone(&mut self, lane: LaneKey, until: Timestamp, ctx: &Context<'_>) {
        if let Some(lane) = self.state.lanes.get_mut(&lane) {
            lane.hold_back(until.since(ctx.now), ctx.now);
            self.quiet = Quiet::Unknown;
        }
    }

    /// Ends the wait of a lane for a slot, or for its next try. For when what it waited for may have
    /// come sooner.
    pub fn hurry(&mut self, lane: LaneKey) {
        if let Some(lane) = self.state.lanes.get_mut(&lane) {
            lane.pause = None;
            self.quiet = Quiet::Unknown;
        }
    }

    /// Reports how a delivery ended. One that is unknown or lapsed is recorded as late and changes
    /// nothing, so reporting twice is harmless.
    pub fn settle(&mut self, id: DeliveryId, outcome: Outcome, ctx: &Context<'_>) -> Record {
        self.let_time_pass_if_due(ctx);
        self.quiet = Quiet::Unknown;
        let lanes = self.state.lanes.iter_mut();
        let mut flights = lanes.filter_map(|(key, lane)| {
            let flight = lane.flight.take_if(|flight| flight.id == id)?;
            Some((*key, lane, flight))
        });
        let Some((key, lane, flight)) = flights.next() else {
            return Record {
                at: ctx.now,
                lane: None,
                id,
                attempt: 0,
                content: None,
                became: Became::Late,
            };
        };
        let record = lane.land(key, flight, outcome, ctx);
        self.keep_lanes(ctx.policy, ctx.now);
        record
    }

    /// Ends a lane's cool-down and back-off: it says the present truth at the next look. For a
    /// person who has mended something. Returns whether there was a cool-down.
    pub fn replay(&mut self, lane: LaneKey) -> bool {
        self.quiet = Quiet::Unknown;
        self.state.lanes.get_mut(&lane).is_some_and(|lane| {
            lane.pause = None;
            lane.parked.take().is_some()
        })
    }

    /// Whether a lane speaks at the next look, or is speaking.
    #[must_use]
    pub fn is_about_to_speak(&self, lane: LaneKey, ctx: &Context<'_>) -> bool {
        let known = self.state.lanes.get(&lane);
        let speaks = known.is_some_and(|lane| lane.flight.is_some());
        speaks || self.wish(lane, ctx).is_some_and(|wish| wish.at <= ctx.now)
    }

    /// The next instant at which [`due`](Self::due) would say or do something new, and what. Always
    /// later than the last call of `due`; `None` when nothing happens until somebody speaks.
    #[must_use]
    pub fn next_wake(&self, ctx: &Context<'_>) -> Option<Wake> {
        let wake = self.first_wake(ctx)?;
        match self.asked {
            Some(asked) if wake.at <= asked => Some(Wake {
                at: asked + LOOK_AGAIN,
                ..wake
            }),
            Some(_) | None => Some(wake),
        }
    }

    /// Whether nothing is left to remember: the stored group can be removed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.alerts.is_empty() && self.state.lanes.values().all(|lane| lane.is_at_rest())
    }

    /// What time alone did since the last call, for the history.
    #[must_use = "what is taken is gone"]
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Says that its alerts were routed with this config: from now on its lanes are those of the
    /// context's policy.
    pub fn routed_with(&mut self, config: ConfigHash, ctx: &Context<'_>) {
        self.let_time_pass(ctx);
        self.state.config = config;
    }
}
