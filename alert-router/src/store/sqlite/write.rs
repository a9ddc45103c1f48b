//! The only writer. What waits while the disk syncs goes into the next transaction together, so
//! under load many callers share one sync.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alert_engine::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::fault::sorted;
use super::read::{number, stored};
use crate::store::{
    Committed, DocKey, Keep, Kind, Record, Revision, StoreError, Unit, Write, moves_later,
};

/// Writes of one transaction. More makes callers wait for others without saving syncs.
const MAX_BATCH_WRITES: usize = 4_096;
/// Revisions reserved at a time, and skipped at a restart: at 1,000 restarts a day and as many
/// writes a second, 63 bits last for ten thousands of years.
const RESERVE: i64 = 1 << 20;

/// What the writer is asked for, with what came of it before it is durable.
pub(super) enum Job {
    Commit {
        units: Vec<Unit>,
        outcomes: Vec<Committed>,
        answer: oneshot::Sender<Answer<Vec<Committed>>>,
    },
    Sweep {
        keep: Keep,
        rows: u64,
        answer: oneshot::Sender<Answer<u64>>,
    },
}

pub(super) type Answer<T> = std::result::Result<T, StoreError>;

/// The connection that writes, and the counter of revisions and positions.
pub(super) struct Writer {
    connection: Connection,
    counter: Counter,
    cache: Arc<Cache>,
}

#[derive(Clone, Copy)]
struct Counter {
    last: i64,
    reserved: i64,
}

/// One transaction.
struct Batch<'connection> {
    transaction: Transaction<'connection>,
    counter: Counter,
    /// Documents created minus documents deleted.
    growth: BTreeMap<Kind, i64>,
}

/// What the check of a write found.
struct Present {
    /// Valid in this transaction.
    row: i64,
    revision: Revision,
    wake_at: Option<Timestamp>,
}

impl Writer {
    pub(super) fn new(connection: Connection, cache: Arc<Cache>) -> Result<Self> {
        let reserved =
            connection.query_row("SELECT reserved FROM counter", [], |row| row.get(0))?;
        let counter = Counter {
            last: reserved,
            reserved,
        };
        Ok(Self {
            connection,
            counter,
            cache,
        })
    }

    /// Works until all senders are gone.
    pub(super) fn run(mut self, path: &Path, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut writes = first.writes();
            let mut batch = vec![first];
            while writes < MAX_BATCH_WRITES
                && let Ok(job) = jobs.try_recv()
            {
                writes += job.writes();
                batch.push(job);
            }
            self.process(path, batch);
        }
    }

    /// Answers every job. If they cannot be done together, each is tried alone, so that one that
    /// cannot succeed does not fail the others for ever.
    fn process(&mut self, path: &Path, mut jobs: Vec<Job>) {
        match self.transact(&mut jobs) {
            Ok(()) => jobs.into_iter().for_each(|job| job.succeed(&self.cache)),
            Err(error) if jobs.len() == 1 => {
                self.cache.forget();
                if let Some(job) = jobs.pop() {
                    job.fail(sorted(path, error));
                }
            }
            Err(_) => {
                self.cache.forget();
                jobs.into_iter()
                    .for_each(|job| self.process(path, vec![job]));
            }
        }
    }

    fn transact(&mut self, jobs: &mut [Job]) -> Result<()> {
        let mut batch = Batch {
            transaction: self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?,
            counter: self.counter,
            growth: BTreeMap::new(),
        };
        for job in jobs {
            batch.perform(job)?;
        }
        self.counter = batch.finish()?;
        Ok(())
    }
}

impl Job {
    pub(super) fn commit(
        units: Vec<Unit>,
        answer: oneshot::Sender<Answer<Vec<Committed>>>,
    ) -> Self {
        let outcomes = Vec::new();
        Self::Commit {
            units,
            outcomes,
            answer,
        }
    }

    pub(super) fn sweep(keep: Keep, answer: oneshot::Sender<Answer<u64>>) -> Self {
        let rows = 0;
        Self::Sweep { keep, rows, answer }
    }

    fn writes(&self) -> usize {
        match self {
            Self::Commit { units, .. } => units
                .iter()
                .map(|unit| unit.writes.len() + unit.history.len())
                .sum(),
            Self::Sweep { keep, .. } => keep.limit,
        }
    }

    // A caller that went away meanwhile wants no answer, hence the `drop`s.
    fn succeed(self, cache: &Cache) {
        match self {
            Self::Commit {
                units,
                outcomes,
                answer,
            } => {
                cache.wrote(units, &outcomes);
                drop(answer.send(Ok(outcomes)));
            }
            Self::Sweep { rows, answer, .. } => drop(answer.send(Ok(rows))),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Commit { answer, .. } => drop(answer.send(Err(error))),
            Self::Sweep { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

impl Batch<'_> {
    fn perform(&mut self, job: &mut Job) -> Result<()> {
        match job {
            Job::Commit {
                units, outcomes, ..
            } => {
                *outcomes = units
                    .iter()
                    .map(|unit| self.apply(unit))
                    .collect::<Result<_>>()?
            }
            Job::Sweep { keep, rows, .. } => *rows = self.sweep(keep)?,
        }
        Ok(())
    }

    /// Checks all, then writes all: a conflict has nothing to undo.
    fn apply(&mut self, unit: &Unit) -> Result<Committed> {
        let mut checked = Vec::with_capacity(unit.writes.len());
        let mut moved = Vec::new();
        for write in &unit.writes {
            let present = self.present(write.key())?;
            let revision = present.as_ref().map_or(Revision::NONE, |doc| doc.revision);
            if write
                .expected()
                .is_some_and(|expected| expected != revision)
            {
                moved.push(write.key().clone());
            }
            checked.push((write, present));
        }
        if !moved.is_empty() {
            return Ok(Committed::Conflict(moved));
        }
        let revisions = checked
            .into_iter()
            .map(|(write, present)| self.write(write, present))
            .collect::<Result<_>>()?;
        for record in &unit.history {
            self.remember(record)?;
        }
        Ok(Committed::Done(revisions))
    }

    fn present(&self, key: &DocKey) -> Result<Option<Present>> {
        self.transaction
            .prepare_cached("SELECT rowid, revision, wake_at FROM docs WHERE kind = ? AND id = ?")?
            .query_row(params![key.kind as u8, &key.id[..]], |row| {
                Ok(Present {
                    row: row.get(0)?,
                    revision: Revision(number(row.get(1)?)),
                    wake_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                })
            })
            .optional()
    }

    fn write(&mut self, write: &Write, present: Option<Present>) -> Result<Revision> {
        match (write, present) {
            (Write::Put { wake_at, bytes, .. }, Some(present)) => {
                self.replace(&present, *wake_at, bytes)
            }
            (
                Write::Put {
                    key,
                    wake_at,
                    bytes,
                    ..
                }
                | Write::Keep {
                    key,
                    wake_at,
                    bytes,
                },
                None,
            ) => self.create(key, *wake_at, bytes),
            (Write::Keep { wake_at, .. }, Some(present)) => {
                if moves_later(present.wake_at, *wake_at) {
                    return self.wake(&present, *wake_at);
                }
                Ok(present.revision)
            }
            (Write::Delete { key, .. }, Some(present)) => self.delete(key.kind, &present),
            (Write::Delete { .. }, None) => Ok(Revision::NONE),
            (Write::Expect { revision, .. }, _) => Ok(*revision),
        }
    }

    fn create(
        &mut self,
        key: &DocKey,
        wake_at: Option<Timestamp>,
        bytes: &[u8],
    ) -> Result<Revision> {
        let stamp = self.stamp();
        let wake_at = wake_at.map(Timestamp::as_millis);
        self.transaction
            .prepare_cached(
                "INSERT INTO docs (kind, id, revision, wake_at, bytes) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![key.kind as u8, &key.id[..], stamp, wake_at, bytes])?;
        *self.growth.entry(key.kind).or_default() += 1;
        Ok(Revision(number(stamp)))
    }

    fn replace(
        &mut self,
        present: &Present,
        wake_at: Option<Timestamp>,
        bytes: &[u8],
    ) -> Result<Revision> {
        let stamp = self.stamp();
        if present.wake_at == wake_at {
            // Naming the column would write its index, even with the same value.
            self.transaction
                .prepare_cached("UPDATE docs SET revision = ?, bytes = ? WHERE rowid = ?")?
                .execute(params![stamp, bytes, present.row])?;
        } else {
            let wake_at = wake_at.map(Timestamp::as_millis);
            self.transaction
                .prepare_cached(
                    "UPDATE docs SET revision = ?, wake_at = ?, bytes = ? WHERE rowid = ?",
                )?
                .execute(params![stamp, wake_at, bytes, present.row])?;
        }
        Ok(Revision(number(stamp)))
    }

    fn wake(&mut self, present: &Present, wake_at: Option<Timestamp>) -> Result<Revision> {
        let stamp = self.stamp();
        let wake_at = wake_at.map(Timestamp::as_millis);
        self.transaction
            .prepare_cached("UPDATE docs SET revision = ?, wake_at = ? WHERE rowid = ?")?
            .execute(params![stamp, wake_at, present.row])?;
        Ok(Revision(number(stamp)))
    }

    fn delete(&mut self, kind: Kind, present: &Present) -> Result<Revision> {
        self.transaction
            .prepare_cached("DELETE FROM docs WHERE rowid = ?")?
            .execute([present.row])?;
        *self.growth.entry(kind).or_default() -= 1;
        Ok(Revision::NONE)
    }

    fn remember(&mut self, record: &Record) -> Result<()> {
        let position = self.stamp();
        let about = &record.about;
        self.transaction
            .prepare_cached(
                "INSERT INTO history (position, at, kind, id, bytes) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                position,
                record.at.as_millis(),
                about.kind as u8,
                &about.id[..],
                &record.bytes[..]
            ])?;
        Ok(())
    }

    fn sweep(&mut self, keep: &Keep) -> Result<u64> {
        let rows = self
            .transaction
            .prepare_cached(
                "DELETE FROM history WHERE position IN
                 (SELECT position FROM history WHERE at < ? ORDER BY at, position LIMIT ?)",
            )?
            .execute(params![
                keep.history_from.as_millis(),
                stored(keep.limit as u64)
            ])?;
        Ok(rows as u64)
    }

    fn stamp(&mut self) -> i64 {
        self.counter.last += 1;
        self.counter.last
    }

    /// Makes the batch durable.
    fn finish(mut self) -> Result<Counter> {
        for (kind, growth) in self.growth.into_iter().filter(|(_, growth)| *growth != 0) {
            self.transaction
                .prepare_cached(
                    "INSERT INTO counts (kind, docs) VALUES (?, ?)
                     ON CONFLICT (kind) DO UPDATE SET docs = docs + excluded.docs",
                )?
                .execute(params![kind as u8, growth])?;
        }
        if self.counter.last > self.counter.reserved {
            self.counter.reserved = self.counter.last + RESERVE;
            self.transaction
                .prepare_cached("UPDATE counter SET reserved = ?")?
                .execute([self.counter.reserved])?;
        }
        self.transaction.commit()?;
        Ok(self.counter)
    }
}
