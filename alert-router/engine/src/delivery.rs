//! Deliveries: how one takes off, how it lands, and what the lane knows afterwards.

use std::time::Duration;

use crate::backoff;
use crate::content::{Content, LineKind};
use crate::context::Context;
use crate::group::{Claim, Due, Group};
use crate::id::LaneKey;
use crate::lane::{Flight, Folded, Heard, Lane, Parked, Pause};
use crate::limits::{ATTEMPTS, LONGEST_HINT, MEMORY_BYTES};
use crate::outcome::{Became, Outcome, Record};
use crate::time::Timestamp;

/// What the end of a flight means for the next one.
enum Failed {
    /// It may have arrived; tried again after this.
    MayHaveArrived { wait: Duration },
    /// It did not arrive and never will.
    DidNotArrive,
}

impl Group {
    /// Puts a due content in flight. What it tells may be known from now on.
    pub(crate) fn take_off(&mut self, due: &Due, claim: Claim, ctx: &Context<'_>) {
        for line in &due.content.lines {
            let told = match line.kind {
                LineKind::Over | LineKind::Missed => self.state.episodes.get_mut(&line.episode),
                LineKind::New | LineKind::Reopened | LineKind::Firing => None,
            };
            if let Some(end) = told.and_then(|episode| episode.end_mut()) {
                end.claimed = true;
            }
        }
        if let Some(lane) = self.state.lanes.get_mut(&due.lane) {
            lane.take_off(due, claim, ctx.now);
        }
    }
}

impl Lane {
    fn take_off(&mut self, due: &Due, claim: Claim, now: Timestamp) {
        let mut before = Vec::new();
        for line in &due.content.lines {
            let knew = self.heard.get(&line.episode).copied();
            let knows = match (line.kind, knew) {
                (LineKind::New | LineKind::Reopened, None) => Heard::Maybe,
                (LineKind::Over, Some(Heard::Sure)) => Heard::MaybeOver,
                _kept @ (
                    LineKind::New
                    | LineKind::Reopened
                    | LineKind::Over
                    | LineKind::Missed
                    | LineKind::Firing,
                    _,
                ) => continue,
            };
            before.push((line.episode, knew));
            self.heard.insert(line.episode, knows);
        }
        self.flight = Some(Flight {
            id: claim.id,
            owner: claim.owner,
            deadline: Pause::begin(now, claim.deadline.since(now)),
            attempt: due.attempt,
            content: due.content.clone(),
            before,
        });
    }

    /// Applies how a flight ended, once it is taken out of the lane.
    pub(crate) fn land(
        &mut self,
        key: LaneKey,
        flight: Flight,
        outcome: Outcome,
        ctx: &Context<'_>,
    ) -> Record {
        let became = match outcome {
            Outcome::Delivered { memory } => {
                self.hear(&flight.content, memory, ctx.now);
                Became::Heard
            }
            Outcome::Partly { memory, .. } => {
                self.hear(&flight.content, memory, ctx.now);
                Became::PartlyHeard
            }
            Outcome::Failed { retry_after } => {
                let wait = backoff::wait(flight.id, flight.attempt, retry_after);
                self.fail(&flight, Failed::MayHaveArrived { wait }, ctx)
            }
            Outcome::Refused => {
                self.forget_flight(&flight);
                self.fail(&flight, Failed::DidNotArrive, ctx)
            }
            Outcome::Deferred { wait } => {
                self.forget_flight(&flight);
                self.hold_back(wait, ctx.now);
                Became::HeldBack {
                    until: self.pause.map_or(ctx.now, |pause| pause.until),
                }
            }
            Outcome::Blocked { .. } => {
                self.forget_flight(&flight);
                Became::Blocked
            }
            Outcome::Lapsed => self.lapse(&flight, ctx),
        };
        Record {
            at: ctx.now,
            lane: Some(key),
            id: flight.id,
            attempt: flight.attempt,
            content: Some(flight.content),
            became,
        }
    }

    /// A dead owner's delivery goes on at once; one that is only overdue waits like any failure.
    fn lapse(&mut self, flight: &Flight, ctx: &Context<'_>) -> Became {
        let wait = match ctx.owners.is_dead(flight.owner) {
            true => Duration::ZERO,
            false => backoff::wait(flight.id, flight.attempt, None),
        };
        match self.fail(flight, Failed::MayHaveArrived { wait }, ctx) {
            Became::Retried { at, .. } => Became::Retried { at, lapsed: true },
            other @ (Became::Heard
            | Became::PartlyHeard
            | Became::GivenUp { .. }
            | Became::HeldBack { .. }
            | Became::Blocked
            | Became::Late) => other,
        }
    }

    fn hear(&mut self, content: &Content, memory: Option<Box<[u8]>>, now: Timestamp) {
        for id in content.firing() {
            self.heard.insert(id, Heard::Sure);
            self.owed.remove(&id);
        }
        for id in content.over() {
            self.heard.remove(&id);
            self.owed.remove(&id);
        }
        let left = self.folded.count.saturating_sub(content.expired);
        self.folded = Folded {
            count: left,
            since: self.folded.since.filter(|_| left > 0),
        };
        self.last = Some(now);
        self.serial = self.serial.wrapping_add(1);
        self.attempts = 0;
        self.pause = None;
        self.parked = None;
        if let Some(memory) = memory.filter(|bytes| bytes.len() <= MEMORY_BYTES) {
            self.memory = Some(memory);
        }
    }

    fn fail(&mut self, flight: &Flight, failed: Failed, ctx: &Context<'_>) -> Became {
        self.attempts = flight.attempt;
        if let Failed::MayHaveArrived { wait } = failed
            && self.attempts < ATTEMPTS
        {
            let pause = Pause::begin(ctx.now, wait);
            self.pause = Some(pause);
            return Became::Retried {
                at: pause.until,
                lapsed: false,
            };
        }
        let pause = Pause::begin(ctx.now, ctx.policy.repeat_interval);
        self.attempts = 0;
        self.pause = None;
        self.parked = Some(Parked {
            content: flight.content.hash(),
            pause,
        });
        Became::GivenUp { until: pause.until }
    }

    /// It surely did not arrive: back to what was known before.
    fn forget_flight(&mut self, flight: &Flight) {
        for (episode, knew) in &flight.before {
            match knew {
                Some(heard) => self.heard.insert(*episode, *heard),
                None => self.heard.remove(episode),
            };
        }
    }

    pub(crate) fn hold_back(&mut self, wait: Duration, now: Timestamp) {
        self.pause = Some(Pause::begin(now, wait.min(LONGEST_HINT)));
    }
}
