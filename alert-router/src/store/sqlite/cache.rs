//! Documents that intake reads for every request. The process holds the folder's lock, so what the
//! writer wrote last is the truth, and reading it needs neither SQL nor another thread.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::store::{Committed, Doc, DocKey, Kind, Unit, Write};

/// Entries that are kept; then all are forgotten, which costs reading them again.
const ENTRIES: usize = 400_000;

/// Groups and homes as the writer left them. `None`: there is no such document.
#[derive(Default)]
pub(super) struct Cache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    docs: BTreeMap<DocKey, Option<Doc>>,
    /// Counts the commits, so that a read that began before one is not taken for the present.
    generation: u64,
}

/// What the cache knew of some documents.
pub(super) struct Known {
    /// In the order asked for; the outer `None` has to be read.
    pub(super) docs: Vec<Option<Option<Doc>>>,
    generation: u64,
}

impl Known {
    /// The documents that have to be read.
    pub(super) fn missing<'a>(&self, keys: &'a [DocKey]) -> Vec<DocKey> {
        let unknown = keys.iter().zip(&self.docs).filter(|(_, doc)| doc.is_none());
        unknown
            .map(|(key, _): (&'a DocKey, _)| key.clone())
            .collect()
    }

    /// All documents, with those that were read in the gaps.
    pub(super) fn filled(self, read: Vec<Option<Doc>>) -> Vec<Option<Doc>> {
        let mut read = read.into_iter();
        let fill = |known: Option<Option<Doc>>| known.unwrap_or_else(|| read.next().flatten());
        self.docs.into_iter().map(fill).collect()
    }
}

impl Cache {
    pub(super) fn look(&self, keys: &[DocKey]) -> Known {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let docs = keys
            .iter()
            .map(|key| inner.docs.get(key).cloned())
            .collect();
        Known {
            docs,
            generation: inner.generation,
        }
    }

    /// Remembers what was read. Returns whether nothing was written meanwhile: only then do what was
    /// known and what was read belong to one instant.
    pub(super) fn learn(&self, known: &Known, keys: &[DocKey], read: &[Option<Doc>]) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.generation != known.generation {
            return false;
        }
        for (key, doc) in keys.iter().zip(read).filter(|(key, _)| is_cached(key)) {
            inner.keep(key, doc.clone());
        }
        true
    }

    /// The writer made units durable.
    pub(super) fn wrote(&self, units: Vec<Unit>, outcomes: &[Committed]) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.generation += 1;
        for (unit, outcome) in units.into_iter().zip(outcomes) {
            let Committed::Done(revisions) = outcome else {
                continue;
            };
            for (write, revision) in unit.writes.into_iter().zip(revisions) {
                match write {
                    Write::Put {
                        key,
                        wake_at,
                        bytes,
                        ..
                    } if is_cached(&key) => {
                        let doc = Doc {
                            key: key.clone(),
                            revision: *revision,
                            wake_at,
                            bytes,
                        };
                        inner.keep(&key, Some(doc));
                    }
                    Write::Delete { key, .. } if is_cached(&key) => inner.keep(&key, None),
                    Write::Keep { key, .. } => drop(inner.docs.remove(&key)),
                    Write::Put { .. } | Write::Delete { .. } | Write::Expect { .. } => {}
                }
            }
        }
    }

    /// It is open what the writer did.
    pub(super) fn forget(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.generation += 1;
        inner.docs.clear();
    }
}

impl Inner {
    fn keep(&mut self, key: &DocKey, doc: Option<Doc>) {
        if self.docs.len() >= ENTRIES {
            self.docs.clear();
        }
        self.docs.insert(key.clone(), doc);
    }
}

/// Which kinds are read again and again.
fn is_cached(key: &DocKey) -> bool {
    match key.kind {
        Kind::Group | Kind::Home => true,
        Kind::Body
        | Kind::Parts
        | Kind::Budget
        | Kind::DeadLetter
        | Kind::Quarantine
        | Kind::Inbox
        | Kind::Source => false,
    }
}
