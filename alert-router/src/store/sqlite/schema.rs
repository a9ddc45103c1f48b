//! The tables, how a connection is set up, and how a file of an older version becomes one of this
//! version. The version is the number of steps that were taken, in `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use super::Tuning;

/// Marks our files, so that `--store` with the path of another program's database is refused.
const APPLICATION_ID: i64 = 0x616c_7274;

/// Written once and never changed: append a step to change the schema.
///
/// `docs` keeps its rows by number and has the key in an index: with the rows in the key's order
/// (`WITHOUT ROWID`) a document of 1 KB spills into a page of its own, and a commit of 100 of them
/// writes six times as many bytes (`benches/store.rs`).
///
/// Positions and revisions come from one counter. It is stored with a reserve, so that a commit
/// need not write it, and what was reserved and not used is skipped at the next start.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE docs (
        kind     INTEGER NOT NULL,
        id       BLOB    NOT NULL,
        revision INTEGER NOT NULL,
        wake_at  INTEGER,
        bytes    BLOB    NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT;
    CREATE INDEX docs_by_wake ON docs (wake_at, kind, id) WHERE wake_at IS NOT NULL;

    CREATE TABLE history (
        position INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        kind     INTEGER NOT NULL,
        id       BLOB    NOT NULL,
        bytes    BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX history_by_doc ON history (kind, id);
    CREATE INDEX history_by_time ON history (at);

    CREATE TABLE counts (kind INTEGER PRIMARY KEY, docs INTEGER NOT NULL) STRICT;
    CREATE TABLE counter (reserved INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (0);
"];

/// Why a file cannot be brought to this version.
#[derive(Debug)]
pub(super) enum SchemaError {
    /// A newer binary wrote it.
    Newer { found: i64, known: i64 },
    /// Another program wrote it.
    Foreign,
    /// It could not be read or written.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Sets up the connection that writes.
pub(super) fn set_up_writer(connection: &Connection, tuning: &Tuning) -> rusqlite::Result<()> {
    // The page size counts only while the file is empty.
    connection.pragma_update(None, "page_size", tuning.page_bytes)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // On macOS only this reaches the disk; elsewhere it is the same.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", tuning.checkpoint_pages)?;
    if let Some(bytes) = tuning.max_bytes {
        let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |r| r.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_bytes;
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    harden(connection)
}

/// Sets up a connection that reads.
pub(super) fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    harden(connection)
}

/// A damaged or prepared file is an error, not a surprise.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Refuses a file that this binary must not touch, before anything is changed.
pub(super) fn check(connection: &Connection, steps: &[&str]) -> Result<i64, SchemaError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = i64::try_from(steps.len()).expect("a list of steps is short");
    let found = pragma("user_version")?;
    match pragma("application_id")? {
        APPLICATION_ID if found > known => Err(SchemaError::Newer { found, known }),
        APPLICATION_ID => Ok(found),
        0 if tables == 0 => Ok(0),
        _ => Err(SchemaError::Foreign),
    }
}

/// Takes the steps that the file has not taken yet, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), SchemaError> {
    let taken = check(connection, steps)?;
    for (version, step) in (1_i64..).zip(steps).filter(|(version, _)| *version > taken) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
