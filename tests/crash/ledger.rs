//! What the providers were told, in which life of the router, and which of it they answered: the
//! other side's view, against which the store's is checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::book::{Promise, names_in};
use crate::world::{Channel, Destination, Place};

/// One message that a provider took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note(usize);

#[derive(Debug)]
struct Receipt {
    to: Destination,
    body: usize,
    round: usize,
    answered: bool,
}

/// Everything that was told.
#[derive(Default)]
pub(crate) struct Ledger {
    receipts: Vec<Receipt>,
    bodies: BTreeMap<Vec<u8>, usize>,
    /// Per finished round: the bodies that the store had under way when the router died.
    in_flight: Vec<BTreeSet<usize>>,
    told: BTreeMap<Destination, BTreeSet<String>>,
    /// Webhooks only: what was told to be over.
    told_over: BTreeMap<Destination, BTreeSet<String>>,
}

/// What one kill left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// Deliveries under way, as the store has them.
    pub(crate) in_flight: usize,
    /// Those of them that their provider had answered: the commit had not happened.
    pub(crate) answered: usize,
}

impl Ledger {
    /// A provider has taken a message.
    pub(crate) fn take(&mut self, to: Destination, body: &[u8]) -> Note {
        let told = self.told.entry(to).or_default();
        told.extend(names_in(body));
        if to.channel == Channel::Hook {
            let over = self.told_over.entry(to).or_default();
            over.extend(ended(body));
        }
        let round = self.in_flight.len();
        let body = self.number(body);
        self.receipts.push(Receipt {
            to,
            body,
            round,
            answered: false,
        });
        Note(self.receipts.len() - 1)
    }

    /// Whether everybody who hears of this place was told of this alert.
    pub(crate) fn knows(&self, place: Place, name: &str) -> bool {
        let told = |to| self.told.get(&to).is_some_and(|told| told.contains(name));
        place.destinations().into_iter().all(told)
    }

    /// The answer has left, and the router lived.
    pub(crate) fn answered(&mut self, note: Note) {
        self.receipts[note.0].answered = true;
    }

    /// The router is dead, and this is what its store has under way.
    ///
    /// # Panics
    /// If something was sent and not answered that the store knows nothing of: then it was sent
    /// before it was written down.
    pub(crate) fn killed(&mut self, in_flight: &[Vec<u8>]) -> Kill {
        let round = self.in_flight.len();
        let in_flight: BTreeSet<usize> = in_flight.iter().map(|body| self.number(body)).collect();
        let mut answered = BTreeSet::new();
        for receipt in self.receipts.iter().filter(|r| r.round == round) {
            let known = in_flight.contains(&receipt.body);
            assert!(
                known || receipt.answered,
                "round {round}: {:?} was under way, but not in the store",
                receipt.to
            );
            if known && receipt.answered {
                answered.insert(receipt.body);
            }
        }
        let kill = Kill {
            in_flight: in_flight.len(),
            answered: answered.len(),
        };
        self.in_flight.push(in_flight);
        kill
    }

    /// The promises that were not kept, each with who has not heard.
    pub(crate) fn broken(&self, promises: &BTreeMap<String, Promise>) -> Vec<String> {
        let none = BTreeSet::new();
        let heard = |list: &BTreeMap<Destination, BTreeSet<String>>, to, name| {
            list.get(&to).unwrap_or(&none).contains(name)
        };
        let mut broken = Vec::new();
        for (name, promise) in promises {
            for to in promise.place.destinations() {
                if !heard(&self.told, to, name) {
                    broken.push(format!("{to:?} never heard of {name}"));
                } else if promise.over
                    && to.channel == Channel::Hook
                    && !heard(&self.told_over, to, name)
                {
                    broken.push(format!("{to:?} never heard that {name} is over"));
                }
            }
        }
        broken
    }

    /// How many messages came once more, word for word.
    ///
    /// # Panics
    /// If one came again that was not under way at any kill since it came last.
    pub(crate) fn repeated(&self) -> usize {
        let mut last: BTreeMap<(Destination, usize), usize> = BTreeMap::new();
        let mut repeated = 0;
        for receipt in &self.receipts {
            let Some(before) = last.insert((receipt.to, receipt.body), receipt.round) else {
                continue;
            };
            repeated += 1;
            let kills = &self.in_flight[before..receipt.round];
            assert!(
                kills.iter().any(|flights| flights.contains(&receipt.body)),
                "{:?} was told the same in rounds {before} and {}, and it was under way at no kill between",
                receipt.to,
                receipt.round
            );
        }
        repeated
    }

    /// How many ends a webhook was told once more, in the same words or, with what happened since,
    /// in others.
    ///
    /// # Panics
    /// If the message that told it before was under way at no kill since.
    pub(crate) fn ends_repeated(&self) -> usize {
        let ends = self.ends();
        let mut last: BTreeMap<(Destination, &str), &Receipt> = BTreeMap::new();
        let mut repeated = 0;
        for receipt in &self.receipts {
            for name in ends.get(&receipt.body).into_iter().flatten() {
                let Some(before) = last.insert((receipt.to, name), receipt) else {
                    continue;
                };
                repeated += 1;
                let kills = &self.in_flight[before.round..receipt.round];
                assert!(
                    kills.iter().any(|flights| flights.contains(&before.body)),
                    "{:?} was told twice that {name} is over, and the first message was under way at no kill",
                    receipt.to
                );
            }
        }
        repeated
    }

    /// The alerts that each message to a webhook tells as over.
    fn ends(&self) -> BTreeMap<usize, Vec<String>> {
        let hooks: BTreeSet<usize> = self
            .receipts
            .iter()
            .filter(|receipt| receipt.to.channel == Channel::Hook)
            .map(|receipt| receipt.body)
            .collect();
        let bodies = self.bodies.iter().filter(|(_, body)| hooks.contains(body));
        bodies.map(|(text, body)| (*body, ended(text))).collect()
    }

    /// Messages that providers took.
    pub(crate) fn messages(&self) -> usize {
        self.receipts.len()
    }

    fn number(&mut self, body: &[u8]) -> usize {
        let next = self.bodies.len();
        match self.bodies.get(body) {
            Some(number) => *number,
            None => {
                self.bodies.insert(body.to_vec(), next);
                next
            }
        }
    }
}

/// The alerts that a webhook's body says are over.
fn ended(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).expect("a webhook body is JSON");
    let alerts = body["alerts"].as_array().expect("it has alerts");
    let over = alerts.iter().filter(|alert| alert["status"] == "resolved");
    over.map(|alert| alert["labels"]["id"].as_str().expect("an id").to_owned())
        .collect()
}
