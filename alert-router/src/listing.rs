//! Lists of what waits for a person, a page at a time: dead letters, and bodies in quarantine. In
//! the order of their ids, so that what comes and goes meanwhile neither repeats nor hides another.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id;
use crate::store::{Doc, Kind, Scan, Store, StoreError};

/// Rows of one page.
const ROWS: usize = 200;

/// What is kept as one document each, under sixteen bytes.
pub trait Listed: DeserializeOwned {
    /// Which documents.
    const KIND: Kind;

    /// Without what makes it large.
    #[must_use]
    fn without_content(self) -> Self;
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// At most 200.
    pub records: Vec<T>,
    /// `after` of the next page; `None` if this one was not full.
    pub next: Option<String>,
}

/// The documents whose ids come after `after`, without content. One that cannot be read is left out.
///
/// # Errors
///
/// If the store does not answer.
pub async fn page<T: Listed>(
    store: &dyn Store,
    after: Option<[u8; 16]>,
) -> Result<Page<T>, StoreError> {
    let scan = Scan {
        kind: T::KIND,
        after: after.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(&id)),
        limit: ROWS,
    };
    let docs: Vec<Doc> = store.scan(scan).await?.docs.into_iter().flatten().collect();
    let last = docs.last().filter(|_| docs.len() == ROWS);
    let next = last.map(|doc| id::show(&doc.key.id));
    let read = |doc: Doc| serde_json::from_slice::<T>(&doc.bytes).ok();
    let records = docs.into_iter().filter_map(read);
    Ok(Page {
        records: records.map(T::without_content).collect(),
        next,
    })
}

/// All of them, for a command that reads the data itself.
///
/// # Errors
///
/// If the store does not answer.
pub async fn all<T: Listed>(store: &dyn Store) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = page(store, after).await?;
        all.extend(page.records);
        after = page.next.as_deref().and_then(id::read);
        if after.is_none() {
            return Ok(all);
        }
    }
}
