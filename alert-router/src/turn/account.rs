//! What a destination, or a counter that several share, may still take: its budget and its circuit,
//! as a document.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{
    Budget, Circuit, GroupId, LaneKey, Pace, Passage, Pause, Rate, Slots, Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::receiver::{Receiver, Window};
use crate::step::groups::Shared;
use crate::store::{Doc, DocKey, Kind, Revision, Write};

/// Prioritised messages may be exempt from windows of this length or longer.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// When there are slots again.
#[derive(Clone, Copy)]
pub(crate) struct More {
    /// For anyone.
    pub(crate) all: Timestamp,
    /// For prioritised ones.
    pub(super) priority: Timestamp,
}

/// Whether an account says that its destination takes nothing.
pub(crate) fn is_blocked(account: &Doc) -> bool {
    read(&account.bytes).is_some_and(|(_, circuit)| circuit != Circuit::Closed)
}

/// Reads a stored account; `None` if these are other bytes.
pub(crate) fn read(bytes: &[u8]) -> Option<(Budget, Circuit)> {
    Some(serde_json::from_slice::<Stored>(bytes).ok()?.restore())
}

/// An account as it is stored.
pub(crate) fn write(budget: &Budget, circuit: Circuit) -> Bytes {
    serde_json::to_vec(&Stored::of(budget, circuit))
        .expect("numbers always serialise")
        .into()
}

/// The accounts of one turn.
#[derive(Default)]
pub(crate) struct Accounts(BTreeMap<LaneKey, Account>);

#[derive(Default)]
struct Account {
    budget: Budget,
    circuit: Circuit,
    revision: Revision,
    changed: bool,
    /// The groups whose deliveries changed it.
    groups: BTreeSet<GroupId>,
}

impl Account {
    /// It is to be written, with these groups.
    fn touch(&mut self, groups: &[GroupId]) {
        self.changed = true;
        self.groups.extend(groups);
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    sent_ms: Vec<i64>,
    circuit: StoredCircuit,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum StoredCircuit {
    Closed,
    Open {
        since_ms: i64,
        until_ms: i64,
        length_ms: u64,
    },
    Probing {
        since_ms: i64,
        until_ms: i64,
        length_ms: u64,
    },
}

pub(crate) fn account_key(key: LaneKey) -> DocKey {
    DocKey {
        kind: Kind::Budget,
        id: Bytes::copy_from_slice(&key.0),
    }
}

impl Accounts {
    /// The accounts with these keys, as stored.
    pub(crate) fn read(keys: impl Iterator<Item = LaneKey>, docs: Vec<Option<Doc>>) -> Self {
        let account = |doc: Option<Doc>| {
            let revision = doc.as_ref().map_or(Revision::NONE, |doc| doc.revision);
            let stored = doc.and_then(|doc| read(&doc.bytes));
            let (budget, circuit) = stored.unwrap_or_default();
            Account {
                budget,
                circuit,
                revision,
                changed: false,
                groups: BTreeSet::new(),
            }
        };
        Self(keys.zip(docs.into_iter().map(account)).collect())
    }

    /// Whether anything may go to `destination`.
    pub(super) fn passage(&self, destination: LaneKey, now: Timestamp) -> Passage {
        self.0
            .get(&destination)
            .map_or(Passage::Free, |account| account.circuit.passage(now))
    }

    /// Since when a destination takes nothing, as far as its last answer told.
    pub(super) fn blocked_since(&self, destination: LaneKey) -> Option<Timestamp> {
        self.0.get(&destination)?.circuit.open_since()
    }

    /// How many messages may leave now, and when more may.
    pub(crate) fn slots(
        &self,
        receiver: &dyn Receiver,
        digest: u32,
        now: Timestamp,
    ) -> (Slots, More) {
        let all = counters(receiver);
        let exempt = receiver.limits().priority_exempt_hourly;
        let urgent: Vec<Counter> = all.iter().map(|counter| counter.urgent(exempt)).collect();
        let free = |counters: &[Counter], pace| {
            let free = self.budgets(counters).map(|(budget, counter)| {
                let free = budget.paced(&counter.rates, pace, now);
                // The last message may use up more than is left: else one to many never left.
                free.div_ceil(counter.each)
            });
            free.min().unwrap_or(u32::MAX)
        };
        let next = |counters: &[Counter], pace| {
            let next = self
                .budgets(counters)
                .map(|(budget, counter)| budget.next_paced(&counter.rates, pace, now));
            next.max().unwrap_or(now)
        };
        let (free_all, all_next) = (free(&all, Pace::Ordinary), next(&all, Pace::Ordinary));
        // Whoever goes first may take every place that others may take.
        let slots = Slots {
            all: free_all,
            priority: free(&urgent, Pace::Priority).max(free_all),
            digest,
        };
        let more = More {
            all: all_next,
            priority: next(&urgent, Pace::Priority).min(all_next),
        };
        (slots, more)
    }

    fn budgets<'a>(
        &'a self,
        counters: &'a [Counter],
    ) -> impl Iterator<Item = (&'a Budget, &'a Counter)> {
        let known = counters
            .iter()
            .filter_map(|counter| Some((self.0.get(&counter.key)?, counter)));
        known.map(|(account, counter)| (&account.budget, counter))
    }

    /// Messages leave now, for these groups.
    pub(crate) fn take(
        &mut self,
        receiver: &dyn Receiver,
        messages: u32,
        now: Timestamp,
        groups: &[GroupId],
    ) {
        for counter in counters(receiver) {
            let limited = !counter.rates.is_empty();
            if let Some(account) = self.0.get_mut(&counter.key).filter(|_| limited) {
                let used = messages.saturating_mul(counter.each);
                account.budget.take(used, &counter.rates, now);
                account.touch(groups);
            }
        }
    }

    /// A delivery leaves now, which answers by `deadline`: of a circuit that is not closed it is the
    /// probe.
    pub(super) fn sent(
        &mut self,
        destination: LaneKey,
        deadline: Timestamp,
        now: Timestamp,
        groups: &[GroupId],
    ) {
        if let Some(account) = self.0.get_mut(&destination)
            && account.circuit != Circuit::Closed
        {
            account.circuit.sent(deadline, now);
            account.touch(groups);
        }
    }

    /// A delivery was blocked. Says whether that is news.
    pub(super) fn blocked(
        &mut self,
        destination: LaneKey,
        probe_after: Duration,
        now: Timestamp,
        groups: &[GroupId],
    ) -> bool {
        let account = self.0.entry(destination).or_default();
        account.touch(groups);
        account.circuit.blocked(probe_after, now)
    }

    /// Lets the next delivery to a blocked destination be its probe. Says whether one was waited for.
    pub(super) fn probe_now(&mut self, destination: LaneKey, now: Timestamp) -> bool {
        let Some(account) = self.0.get_mut(&destination) else {
            return false;
        };
        let waits = account.circuit.probe_now(now);
        account.changed |= waits;
        waits
    }

    /// A delivery ended in another way than blocked. Says since when the circuit was open.
    pub(super) fn answered(
        &mut self,
        destination: LaneKey,
        groups: &[GroupId],
    ) -> Option<Timestamp> {
        let account = self.0.get_mut(&destination)?;
        let since = account.circuit.answered()?;
        account.touch(groups);
        Some(since)
    }

    /// What changed, to be written with the groups that changed it.
    pub(crate) fn writes(&mut self) -> Vec<Shared> {
        let accounts = self.0.iter_mut();
        let changed = accounts.filter_map(|(key, account)| {
            std::mem::take(&mut account.changed).then_some((*key, account))
        });
        changed
            .map(|(key, account)| {
                let bytes = write(&account.budget, account.circuit);
                let (key, expected) = (account_key(key), account.revision);
                Shared {
                    groups: std::mem::take(&mut account.groups).into_iter().collect(),
                    write: Write::Put {
                        key,
                        expected,
                        wake_at: None,
                        bytes,
                    },
                }
            })
            .collect()
    }
}

/// What a message uses up.
struct Counter {
    key: LaneKey,
    rates: Vec<Rate>,
    each: u32,
}

impl Counter {
    fn new(key: LaneKey, windows: &[Window], each: u32) -> Self {
        let rate = |w: &Window| Rate {
            messages: w.messages,
            per: w.per,
        };
        Self {
            key,
            rates: windows.iter().map(rate).collect(),
            each,
        }
    }

    /// As it counts for what goes before others.
    fn urgent(&self, exempt: bool) -> Self {
        let counts = |rate: &Rate| !exempt || rate.per < HOUR;
        Self {
            rates: self.rates.iter().copied().filter(counts).collect(),
            ..*self
        }
    }
}

fn counters(receiver: &dyn Receiver) -> Vec<Counter> {
    let limits = receiver.limits();
    let own = limits
        .shared
        .iter()
        .map(|key| Counter::new(*key, &limits.windows, 1));
    let account = receiver.quota();
    let account = account.map(|quota| Counter::new(quota.key, &quota.windows, quota.each));
    own.chain(account).collect()
}

/// The keys of all accounts that a message to a destination has to do with.
pub(crate) fn keys_of(receiver: &dyn Receiver) -> impl Iterator<Item = LaneKey> {
    let shared = receiver.limits().shared.iter().copied();
    let account = receiver.quota().map(|quota| quota.key);
    shared.chain(account).chain([receiver.destination().key])
}

impl Stored {
    fn of(budget: &Budget, circuit: Circuit) -> Self {
        let sent_ms = budget.sent.iter().map(|at| at.as_millis()).collect();
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let circuit = match circuit {
            Circuit::Closed => StoredCircuit::Closed,
            Circuit::Open { since, pause } => StoredCircuit::Open {
                since_ms: since.as_millis(),
                until_ms: pause.until.as_millis(),
                length_ms: millis(pause.length),
            },
            Circuit::Probing { since, pause } => StoredCircuit::Probing {
                since_ms: since.as_millis(),
                until_ms: pause.until.as_millis(),
                length_ms: millis(pause.length),
            },
        };
        Self { sent_ms, circuit }
    }

    fn restore(self) -> (Budget, Circuit) {
        let at = Timestamp::from_millis;
        let pause = |until, length| Pause {
            until: at(until),
            length: Duration::from_millis(length),
        };
        let circuit = match self.circuit {
            StoredCircuit::Closed => Circuit::Closed,
            StoredCircuit::Open {
                since_ms,
                until_ms,
                length_ms,
            } => Circuit::Open {
                since: at(since_ms),
                pause: pause(until_ms, length_ms),
            },
            StoredCircuit::Probing {
                since_ms,
                until_ms,
                length_ms,
            } => Circuit::Probing {
                since: at(since_ms),
                pause: pause(until_ms, length_ms),
            },
        };
        (
            Budget {
                sent: self.sent_ms.into_iter().map(at).collect(),
            },
            circuit,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_comes_back_as_it_was_stored() {
        let at = Timestamp::from_millis;
        let pause = Pause {
            until: at(9),
            length: Duration::from_millis(5),
        };
        for circuit in [
            Circuit::Closed,
            Circuit::Open {
                since: at(1),
                pause,
            },
            Circuit::Probing {
                since: at(2),
                pause,
            },
        ] {
            let budget = Budget {
                sent: vec![at(3), at(4)],
            };
            let bytes = write(&budget, circuit);
            assert_eq!(read(&bytes), Some((budget, circuit)));
        }
    }
}
