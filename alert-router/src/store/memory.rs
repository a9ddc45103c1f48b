//! The store in memory: the reference that the contract is read from, and the world of the
//! simulations, where several routers share it and it fails when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};

use super::{
    Committed, Depth, Doc, DocKey, Due, HistoryPage, HistoryQuery, Keep, Kind, Loaded, Position,
    Record, Revision, Scan, Store, StoreError, Unit, Write, moves_later,
};
use crate::clock::Clock;
use alert_engine::Timestamp;

/// A store in memory. Its content lives as long as one of its handles.
pub struct MemoryStore {
    content: Arc<Mutex<Content>>,
    clock: Arc<dyn Clock>,
    faults: Mutex<Box<dyn FnMut(Verb) -> Fault + Send>>,
}

/// What was asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verb {
    /// [`Store::load`]
    Load,
    /// [`Store::due`]
    Due,
    /// [`Store::scan`]
    Scan,
    /// [`Store::commit`]
    Commit,
    /// [`Store::history`]
    History,
    /// [`Store::sweep`]
    Sweep,
    /// [`Store::depth`]
    Depth,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is answered with [`StoreError::Unavailable`], and nothing happened.
    Unavailable,
    /// It happened, but is answered with [`StoreError::Unavailable`].
    AnswerLost,
    /// Every unit of a commit that expects a revision is answered with [`Committed::Conflict`].
    /// Others go well.
    Conflict,
}

#[derive(Default)]
struct Content {
    docs: BTreeMap<DocKey, Stored>,
    history: BTreeMap<Position, Record>,
    /// The last revision or position given out.
    stamp: u64,
}

struct Stored {
    revision: Revision,
    wake_at: Option<Timestamp>,
    bytes: Bytes,
}

#[derive(Debug, thiserror::Error)]
#[error("told to fail this {0:?}")]
struct ToldToFail(Verb);

impl MemoryStore {
    /// An empty store that reads the time from `clock`, and never fails.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            content: Arc::default(),
            clock,
            faults: Mutex::new(Box::new(|_| Fault::None)),
        }
    }

    /// Another handle on the same content, as another replica has it. It starts without faults.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            content: Arc::clone(&self.content),
            ..Self::new(Arc::clone(&self.clock))
        }
    }

    /// Asks `faults` before each call of this handle what is to go wrong with it.
    pub fn fail(&self, faults: impl FnMut(Verb) -> Fault + Send + 'static) {
        *unpoisoned(&self.faults) = Box::new(faults);
    }

    fn answer<T: Send + 'static>(
        &self,
        verb: Verb,
        call: impl FnOnce(&mut Content, Timestamp) -> T,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let fault = (unpoisoned(&self.faults))(verb);
        Box::pin(ready(self.answer_with(fault, verb, call)))
    }

    fn answer_with<T>(
        &self,
        fault: Fault,
        verb: Verb,
        call: impl FnOnce(&mut Content, Timestamp) -> T,
    ) -> Result<T, StoreError> {
        let failed = || StoreError::Unavailable(Box::new(ToldToFail(verb)));
        if fault == Fault::Unavailable {
            return Err(failed());
        }
        let answer = call(&mut unpoisoned(&self.content), self.clock.now());
        match fault {
            Fault::None | Fault::Conflict => Ok(answer),
            Fault::Unavailable | Fault::AnswerLost => Err(failed()),
        }
    }
}

impl Store for MemoryStore {
    fn load(&self, keys: Vec<DocKey>) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.answer(Verb::Load, move |content, now| Loaded {
            now,
            docs: keys.iter().map(|key| content.doc(key)).collect(),
        })
    }

    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.answer(Verb::Due, move |content, now| content.due(now, limit))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.answer(Verb::Scan, move |content, now| Loaded {
            now,
            docs: content.scan(&scan),
        })
    }

    fn commit(&self, units: Vec<Unit>) -> BoxFuture<'_, Result<Vec<Committed>, StoreError>> {
        let fault = (unpoisoned(&self.faults))(Verb::Commit);
        let answer = self.answer_with(fault, Verb::Commit, |content, _| match fault {
            Fault::Conflict => units.into_iter().map(|unit| content.lose(unit)).collect(),
            Fault::None | Fault::Unavailable | Fault::AnswerLost => {
                units.into_iter().map(|unit| content.apply(unit)).collect()
            }
        });
        Box::pin(ready(answer))
    }

    fn history(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.answer(Verb::History, move |content, _| content.history(&query))
    }

    fn sweep(&self, keep: Keep) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.answer(Verb::Sweep, move |content, _| content.sweep(&keep))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>> {
        self.answer(Verb::Depth, |content, now| content.depth(now))
    }
}

impl Content {
    fn doc(&self, key: &DocKey) -> Option<Doc> {
        self.docs.get(key).map(|stored| stored.named(key))
    }

    fn revision(&self, key: &DocKey) -> Revision {
        self.docs
            .get(key)
            .map_or(Revision::NONE, |stored| stored.revision)
    }

    fn due(&self, now: Timestamp, limit: usize) -> Due {
        let mut waking: Vec<(Timestamp, &DocKey, &Stored)> = self
            .docs
            .iter()
            .filter_map(|(key, stored)| Some((stored.wake_at?, key, stored)))
            .collect();
        waking.sort_by_key(|(wake_at, key, _)| (*wake_at, *key));
        let due = waking.partition_point(|(wake_at, ..)| *wake_at <= now);
        let docs = waking[..due].iter().take(limit);
        Due {
            now,
            docs: docs.map(|(_, key, stored)| stored.named(key)).collect(),
            next: waking.get(due).map(|(wake_at, ..)| *wake_at),
        }
    }

    fn scan(&self, scan: &Scan) -> Vec<Option<Doc>> {
        self.docs
            .iter()
            .filter(|(key, _)| key.kind == scan.kind && key.id > scan.after)
            .take(scan.limit)
            .map(|(key, stored)| Some(stored.named(key)))
            .collect()
    }

    fn apply(&mut self, unit: Unit) -> Committed {
        let moved: Vec<DocKey> = unit
            .writes
            .iter()
            .filter(|write| {
                let found = self.revision(write.key());
                write.expected().is_some_and(|expected| expected != found)
            })
            .map(|write| write.key().clone())
            .collect();
        if !moved.is_empty() {
            return Committed::Conflict(moved);
        }
        let revisions = unit.writes.into_iter().map(|write| self.write(write));
        let revisions = revisions.collect();
        for record in unit.history {
            let position = Position(self.stamp());
            self.history.insert(position, record);
        }
        Committed::Done(revisions)
    }

    /// Lets a unit lose against another router, if there is something that it can lose by.
    fn lose(&mut self, unit: Unit) -> Committed {
        let believes = |write: &&Write| write.expected().is_some();
        let lost: Vec<&Write> = unit.writes.iter().filter(believes).collect();
        if lost.is_empty() {
            return self.apply(unit);
        }
        Committed::Conflict(lost.into_iter().map(|write| write.key().clone()).collect())
    }

    fn write(&mut self, write: Write) -> Revision {
        match write {
            Write::Put {
                key,
                wake_at,
                bytes,
                ..
            } => self.put(key, wake_at, bytes),
            Write::Keep {
                key,
                wake_at,
                bytes,
            } => match self.docs.get(&key) {
                None => self.put(key, wake_at, bytes),
                Some(stored) if moves_later(stored.wake_at, wake_at) => {
                    let bytes = stored.bytes.clone();
                    self.put(key, wake_at, bytes)
                }
                Some(stored) => stored.revision,
            },
            Write::Delete { key, .. } => {
                self.docs.remove(&key);
                Revision::NONE
            }
            Write::Expect { revision, .. } => revision,
        }
    }

    fn put(&mut self, key: DocKey, wake_at: Option<Timestamp>, bytes: Bytes) -> Revision {
        let revision = Revision(self.stamp());
        let stored = Stored {
            revision,
            wake_at,
            bytes,
        };
        self.docs.insert(key, stored);
        revision
    }

    fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    fn history(&self, query: &HistoryQuery) -> HistoryPage {
        let before = query.before.unwrap_or(Position(u64::MAX));
        let found: Vec<(&Position, &Record)> = self
            .history
            .range(..before)
            .rev()
            .filter(|(_, record)| query.about.as_ref().is_none_or(|key| record.about == *key))
            .take(query.limit)
            .collect();
        let full = found.len() == query.limit;
        HistoryPage {
            next: found.last().filter(|_| full).map(|(at, _)| **at),
            records: found
                .into_iter()
                .map(|(_, record)| record.clone())
                .collect(),
        }
    }

    fn sweep(&mut self, keep: &Keep) -> u64 {
        let mut old: Vec<(Timestamp, Position)> = self
            .history
            .iter()
            .filter(|(_, record)| record.at < keep.history_from)
            .map(|(position, record)| (record.at, *position))
            .collect();
        old.sort_unstable();
        old.truncate(keep.limit);
        for (_, position) in &old {
            self.history.remove(position);
        }
        old.len() as u64
    }

    fn depth(&self, now: Timestamp) -> Depth {
        let count = |kind: Kind| self.docs.keys().filter(|key| key.kind == kind).count();
        let due = |stored: &&Stored| stored.wake_at.is_some_and(|wake_at| wake_at <= now);
        Depth {
            docs: Kind::ALL.map(|kind| (kind, count(kind) as u64)).to_vec(),
            due: self.docs.values().filter(due).count() as u64,
            bytes: 0,
        }
    }
}

impl Stored {
    fn named(&self, key: &DocKey) -> Doc {
        Doc {
            key: key.clone(),
            revision: self.revision,
            wake_at: self.wake_at,
            bytes: self.bytes.clone(),
        }
    }
}

/// A panic of another test thread leaves the content whole: each call changes it in one go.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::store::conformance::{Ability, Subject};

    pub(in crate::store) struct Memory(MemoryStore);

    impl Subject for Memory {
        const LACKS: &'static [Ability] = &[Ability::Crash, Ability::Tear, Ability::Fill];

        fn create(clock: Arc<ManualClock>) -> Self {
            Self(MemoryStore::new(clock))
        }

        fn handle(&self) -> Arc<dyn Store> {
            Arc::new(self.0.handle())
        }

        fn crash(&self) -> Self {
            unreachable!("its content does not survive a crash")
        }

        fn torn(&self) -> Box<dyn Iterator<Item = Self> + '_> {
            unreachable!("it writes nothing that could be torn")
        }

        fn with_room(_: Arc<ManualClock>, _: u64) -> Self {
            unreachable!("it has no limit")
        }
    }

    async fn fault(fault: Fault) -> (Result<Vec<Committed>, StoreError>, Option<Doc>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
        let healthy = MemoryStore::new(clock);
        let faulty = healthy.handle();
        faulty.fail(move |_| fault);
        let key = DocKey {
            kind: Kind::Group,
            id: Bytes::from_static(b"a"),
        };
        let put = Write::Put {
            key: key.clone(),
            expected: Revision::NONE,
            wake_at: None,
            bytes: Bytes::new(),
        };
        let unit = Unit {
            writes: vec![put],
            history: vec![],
        };
        let answer = faulty.commit(vec![unit]).await;
        (
            answer,
            healthy.load(vec![key]).await.unwrap().docs.remove(0),
        )
    }

    #[tokio::test]
    async fn a_fault_hits_one_handle_and_does_what_it_says() {
        let (answer, doc) = fault(Fault::None).await;
        assert!(matches!(answer.unwrap()[0], Committed::Done(_)) && doc.is_some());
        let (answer, doc) = fault(Fault::Unavailable).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))) && doc.is_none());
        let (answer, doc) = fault(Fault::AnswerLost).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))) && doc.is_some());
        let (answer, doc) = fault(Fault::Conflict).await;
        assert!(matches!(answer.unwrap()[0], Committed::Conflict(_)) && doc.is_none());
    }
}
