//! How deliveries end in the world: when somebody reads them, what the router is told, and what it
//! wrote down of it.

use std::time::Duration;

use alert_engine::DeliveryId;
use alert_router::receiver::{Failure, Progress, Receipt, RefusedRecipient, SendError};
use alert_router::store::{DocKey, Kind, Store};

use crate::gate::at_once;
use crate::letter::Letter;
use crate::people::Held;
use crate::world::World;

/// A delivery whose owner has written down its end by then did so before its claim lapsed: the
/// deadline of the scripted channel, and most of the grace.
const SURELY_IN_TIME: Duration = Duration::from_secs(20 + 4);

/// A delivery that waits, or whose end is not written down yet.
#[derive(Debug)]
pub(crate) struct Call {
    id: String,
    to: String,
    groups: Vec<String>,
    router: usize,
    /// When the step began that claimed it.
    claimed: Duration,
    ending: Option<Ending>,
    /// A fault came in between: the router may not know what became of it.
    pub(crate) disturbed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Delivered,
    /// Some of its recipients never get it.
    Partly,
    /// It arrived, and its answer did not.
    AnswerLost,
    Failed,
    Refused,
    Deferred,
    Blocked,
}

impl Ending {
    fn arrives(self) -> bool {
        match self {
            Self::Delivered | Self::Partly | Self::AnswerLost => true,
            Self::Failed | Self::Refused | Self::Deferred | Self::Blocked => false,
        }
    }

    /// Whether its stored bytes stay for another attempt.
    fn goes_on(self) -> bool {
        match self {
            Self::Delivered | Self::Partly | Self::Refused => false,
            Self::AnswerLost | Self::Failed | Self::Deferred | Self::Blocked => true,
        }
    }

    #[expect(clippy::result_large_err, reason = "it is what receivers return")]
    fn answer(self, seconds: u64) -> Result<Receipt, SendError> {
        let failed = |failure, reason| {
            Err(SendError {
                failure,
                reason,
                code: None,
                answer: reason.to_owned(),
                fix: None,
                progress: Progress::new(),
            })
        };
        let wait = Duration::from_secs(seconds);
        match self {
            Self::Delivered => Ok(Receipt::default()),
            Self::Partly => Ok(Receipt {
                refused: vec![RefusedRecipient {
                    recipient: "nobody".to_owned(),
                    reason: "unknown".to_owned(),
                }],
                ..Receipt::default()
            }),
            Self::AnswerLost | Self::Failed => {
                let retry_after = Some(wait).filter(|_| seconds.is_multiple_of(2));
                failed(Failure::Failed { retry_after }, "told to fail")
            }
            Self::Refused => failed(Failure::Refused, "told to refuse"),
            Self::Deferred => failed(Failure::Deferred { wait }, "told to wait"),
            Self::Blocked => failed(Failure::Blocked { probe_after: wait }, "told to block"),
        }
    }
}

impl World<'_> {
    /// `one-in-flight`: nobody sends a second letter about a group before the first one's end is
    /// known.
    pub(crate) fn began(&mut self, number: u64) -> Held {
        let (to, id, text) = self.plans.exchange.look(number);
        let letter = Letter::read(&text);
        self.say(format!(
            "router {} sends {number} = {id} {}",
            self.mover,
            letter.short()
        ));
        let groups: Vec<String> = letter.groups.iter().map(|s| s.group.clone()).collect();
        let claimed = self.claimed_at.get(&id).copied();
        let claimed = claimed.ok_or_else(|| format!("claim-first: {id} was never claimed"))?;
        for (other, call) in &self.calls {
            let same = call.to == to && call.groups.iter().any(|group| groups.contains(group));
            if same && !call.disturbed && self.in_time(call) {
                return Err(format!(
                    "one-in-flight: {number} while {other} is under way"
                ));
            }
        }
        // A claim counts from the instant that its step was given. When the clock stepped since, it
        // may have lapsed before the letter left.
        let disturbed = self.clock_stepped_at.is_some_and(|at| at >= claimed);
        let call = Call {
            id,
            to,
            groups,
            router: self.mover,
            claimed,
            ending: None,
            disturbed,
        };
        self.calls.insert(number, call);
        Ok(())
    }

    fn in_time(&self, call: &Call) -> bool {
        self.now < call.claimed + SURELY_IN_TIME
    }

    /// Whoever sent it waits no longer: it arrived before that, or never.
    pub(crate) fn dropped(&mut self, number: u64) -> Held {
        let Some(mut call) = self.calls.remove(&number).filter(|c| c.ending.is_none()) else {
            return Ok(());
        };
        call.disturbed = true;
        let arrives = self.dice.per_mille(500);
        self.say(format!("{number} is given up; it arrived: {arrives}"));
        if arrives {
            self.arrives(&call)?;
        }
        Ok(())
    }

    fn arrives(&mut self, call: &Call) -> Held {
        let disturbed = call.disturbed || !self.in_time(call);
        self.people.arrived(&call.id, disturbed, self.now)
    }

    /// The provider of some delivery answers.
    pub(crate) async fn some_answer(&mut self) -> Held {
        let waiting = self.waiting();
        let Some(number) = self.dice.pick(&waiting).copied() else {
            return Ok(());
        };
        let ending = match self.dice.below(100) {
            0..6 if self.faults.providers => Ending::AnswerLost,
            6..14 if self.faults.providers => Ending::Failed,
            14..19 if self.faults.providers => Ending::Refused,
            19..25 if self.faults.providers => Ending::Deferred,
            25..28 if self.faults.providers => Ending::Blocked,
            28..31 if self.faults.providers => Ending::Partly,
            // It stays silent, this time.
            31..36 if self.faults.providers => return Ok(()),
            _ => Ending::Delivered,
        };
        self.end(number, ending).await
    }

    /// Everything that waits is delivered.
    pub(crate) async fn deliver_all(&mut self) -> Held {
        for number in self.waiting() {
            self.end(number, Ending::Delivered).await?;
        }
        Ok(())
    }

    /// Deliveries without an answer.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let calls = self.calls.iter();
        let waiting = calls.filter(|(_, call)| call.ending.is_none());
        waiting.map(|(number, _)| *number).collect()
    }

    async fn end(&mut self, number: u64, ending: Ending) -> Held {
        let Some(mut call) = self.calls.remove(&number) else {
            return Ok(());
        };
        self.say(format!("{number} ends: {ending:?}"));
        if ending.arrives() {
            self.arrives(&call)?;
        }
        call.ending = Some(ending);
        self.routers[call.router].poke();
        // Of what goes on, only the next attempt counts.
        if !ending.goes_on() {
            self.calls.insert(number, call);
        }
        let seconds = self.dice.between(5, 900);
        self.plans.exchange.answer(number, ending.answer(seconds));
        self.look().await
    }

    /// Sees which ends the routers wrote down: then the stored bytes are gone.
    pub(crate) fn written_down(&mut self) -> Held {
        let ended = self.calls.iter();
        let ended = ended.filter(|(_, call)| call.ending.is_some());
        let ended = ended.map(|(number, call)| (*number, call.id.clone(), call.ending));
        for (number, id, ending) in ended.collect::<Vec<_>>() {
            let stored = self.is_stored(Kind::Parts, &id);
            let call = &self.calls[&number];
            let surely = !call.disturbed && self.in_time(call);
            if stored {
                // When it is too late for its owner to say so, it may be told again.
                let call = self
                    .calls
                    .get_mut(&number)
                    .expect("it was seen a moment ago");
                call.disturbed = !surely;
                continue;
            }
            self.calls.remove(&number);
            match ending {
                Some(Ending::Refused) => {
                    self.people.refused(&id, surely);
                    if surely && !self.is_stored(Kind::DeadLetter, &id) {
                        return Err(format!("given-up-is-kept: no dead letter of {id}"));
                    }
                }
                _ if surely => self.people.confirmed(&id, self.now),
                _ => self.people.may_have_been_confirmed(&id),
            }
        }
        Ok(())
    }

    fn is_stored(&self, kind: Kind, id: &str) -> bool {
        let bytes: Vec<u8> = (0..id.len() / 2)
            .map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("ids are hexadecimal"))
            .collect();
        let id = DeliveryId(bytes.try_into().expect("ids have 16 bytes"));
        let key = DocKey {
            kind,
            id: id.0.to_vec().into(),
        };
        let found = at_once(self.common.store.load(vec![key])).expect("it never fails");
        found.docs[0].is_some()
    }

    /// A delivery is claimed again: of its earlier attempts nobody waits to hear any more.
    pub(crate) fn superseded(&mut self, id: &str) {
        self.calls
            .retain(|_, call| call.id != id || call.ending.is_none());
    }

    /// Deliveries whose end is to be written down.
    pub(crate) fn under_way(&self) -> usize {
        let calls = self.calls.values();
        calls
            .filter(|call| call.ending.is_none() || !call.disturbed)
            .count()
    }

    /// A router died: what it had under way, it knows nothing of.
    pub(crate) fn disturb_calls_of(&mut self, router: usize) {
        for call in self.calls.values_mut().filter(|call| call.router == router) {
            call.disturbed = true;
        }
    }
}
