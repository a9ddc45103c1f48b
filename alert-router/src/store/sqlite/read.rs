//! The queries. Each runs in a transaction of its caller, so that it sees one instant.

use alert_engine::Timestamp;
use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::store::{
    Depth, Doc, DocKey, Due, HistoryPage, HistoryQuery, Kind, Position, Record, Revision, Scan,
};

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let stored = value.as_i64()?;
        u8::try_from(stored)
            .ok()
            .and_then(Self::from_stored)
            .ok_or(FromSqlError::OutOfRange(stored))
    }
}

/// SQLite's integers are signed. What does not fit was never given out, so it matches nothing.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// As many rows as a caller may want; SQLite takes a negative limit for none.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn load(connection: &Connection, keys: &[DocKey]) -> Result<Vec<Option<Doc>>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, id, revision, wake_at, bytes FROM docs WHERE kind = ? AND id = ?",
    )?;
    keys.iter()
        .map(|key| {
            statement
                .query_row(params![key.kind as u8, &key.id[..]], doc)
                .optional()
        })
        .collect()
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> Result<Due> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, id, revision, wake_at, bytes FROM docs WHERE wake_at <= ?
         ORDER BY wake_at, kind, id LIMIT ?",
    )?;
    let rows = statement.query_map(params![now.as_millis(), at_most(limit)], doc)?;
    let docs = rows.collect::<Result<_>>()?;
    let next: Option<i64> = connection
        .prepare_cached("SELECT min(wake_at) FROM docs WHERE wake_at > ?")?
        .query_row([now.as_millis()], |row| row.get(0))?;
    Ok(Due {
        now,
        docs,
        next: next.map(Timestamp::from_millis),
    })
}

pub(super) fn scan(connection: &Connection, scan: &Scan) -> Result<Vec<Option<Doc>>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, id, revision, wake_at, bytes FROM docs WHERE kind = ? AND id > ?
         ORDER BY id LIMIT ?",
    )?;
    let range = params![scan.kind as u8, &scan.after[..], at_most(scan.limit)];
    statement
        .query_map(range, |row| doc(row).map(Some))?
        .collect()
}

pub(super) fn history(connection: &Connection, query: &HistoryQuery) -> Result<HistoryPage> {
    let before = stored(query.before.map_or(u64::MAX, |before| before.0));
    let limit = at_most(query.limit);
    let rows: Vec<(Position, Record)> = match &query.about {
        None => connection
            .prepare_cached(
                "SELECT position, at, kind, id, bytes FROM history WHERE position < ?
                 ORDER BY position DESC LIMIT ?",
            )?
            .query_map(params![before, limit], record)?
            .collect::<Result<_>>()?,
        Some(key) => connection
            .prepare_cached(
                "SELECT position, at, kind, id, bytes FROM history
                 WHERE kind = ? AND id = ? AND position < ? ORDER BY position DESC LIMIT ?",
            )?
            .query_map(params![key.kind as u8, &key.id[..], before, limit], record)?
            .collect::<Result<_>>()?,
    };
    let full = rows.len() == query.limit;
    Ok(HistoryPage {
        next: rows.last().filter(|_| full).map(|(position, _)| *position),
        records: rows.into_iter().map(|(_, record)| record).collect(),
    })
}

/// All but `bytes`, which the files know.
pub(super) fn depth(connection: &Connection, now: Timestamp) -> Result<Depth> {
    let mut count = connection.prepare_cached("SELECT docs FROM counts WHERE kind = ?")?;
    let docs = Kind::ALL
        .into_iter()
        .map(|kind| {
            let docs: Option<i64> = count.query_row([kind as u8], |row| row.get(0)).optional()?;
            Ok((kind, number(docs.unwrap_or(0))))
        })
        .collect::<Result<_>>()?;
    let due = connection
        .prepare_cached("SELECT count(*) FROM docs WHERE wake_at <= ?")?
        .query_row([now.as_millis()], |row| row.get(0))?;
    Ok(Depth {
        docs,
        due: number(due),
        bytes: 0,
    })
}

fn doc(row: &Row<'_>) -> Result<Doc> {
    Ok(Doc {
        key: key(row, 0)?,
        revision: Revision(number(row.get(2)?)),
        wake_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        bytes: bytes(row, 4)?,
    })
}

fn record(row: &Row<'_>) -> Result<(Position, Record)> {
    let record = Record {
        at: Timestamp::from_millis(row.get(1)?),
        about: key(row, 2)?,
        bytes: bytes(row, 4)?,
    };
    Ok((Position(number(row.get(0)?)), record))
}

fn key(row: &Row<'_>, first: usize) -> Result<DocKey> {
    Ok(DocKey {
        kind: row.get(first)?,
        id: bytes(row, first + 1)?,
    })
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    let blob = row.get_ref(column)?.as_blob()?;
    Ok(Bytes::copy_from_slice(blob))
}

/// Counts and stamps are never negative; a damaged one reads as zero and so never fits.
pub(super) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
