//! What SQLite's errors mean to a caller: wait, make room, or repair.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// A worker thread is gone: the store is being closed, or the thread panicked.
#[derive(Debug, thiserror::Error)]
#[error("the store has stopped; restart alert-router")]
pub(super) struct Stopped;

impl From<Stopped> for StoreError {
    fn from(stopped: Stopped) -> Self {
        Self::Unavailable(Box::new(stopped))
    }
}

/// Sorts an error of the database at `path`.
pub(super) fn sorted(path: &Path, error: Error) -> StoreError {
    let place = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { place },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(place, &error),
        _ if unreadable(&error) => damaged(place, &error),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// Whether a column holds what this binary never writes.
fn unreadable(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
    )
}

fn damaged(place: String, error: &Error) -> StoreError {
    let what = format!(
        "{error}; stop alert-router, keep a copy of the folder, and restore a backup or let \
         `sqlite3 {place} .recover` save what is readable"
    );
    StoreError::Corrupt { place, what }
}
