//! What could not be read is kept, with the reason, until a person looks at it: bounded, so that a
//! sender gone mad cannot fill the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alert_engine::{BodyHash, SourceName, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::history::{self, Event};
use crate::listing::Listed;
use crate::metrics::Metrics;
use crate::store::{Committed, Doc, DocKey, Kind, Revision, Store, StoreError, Unit, Write};

/// At most so many bodies are kept; more are only counted.
const KEPT: usize = 1_000;
/// A body larger than this is cut: the start tells what it was.
const KEPT_BYTES: usize = 256 << 10;

/// Keeps what could not be read.
#[derive(Clone)]
pub struct Quarantine {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    held: Arc<AtomicUsize>,
}

/// One kept body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its id: hash of source and bytes, so that a body sent again is kept once.
    pub id: String,
    /// When it first came, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The source that it was posted to.
    pub source: String,
    /// A bounded reason, as in the metric.
    pub reason: String,
    /// Why it was refused, and what to change.
    pub why: String,
    /// Its bytes in base64, cut at 256 KiB. Lists leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// How many bytes it had.
    pub bytes: usize,
}

impl Quarantine {
    /// Counts what is held already.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn open(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        let depth = store.depth().await?;
        let held = depth
            .docs
            .iter()
            .find(|(kind, _)| *kind == Kind::Quarantine);
        let held = held.map_or(0, |(_, count)| {
            usize::try_from(*count).unwrap_or(usize::MAX)
        });
        Ok(Self {
            store,
            metrics,
            held: Arc::new(AtomicUsize::new(held)),
        })
    }

    /// Keeps `body`, and counts it in any case.
    ///
    /// # Errors
    ///
    /// If the store does not answer: then nothing was kept, and the sender should try again.
    pub async fn keep(
        &self,
        now: Timestamp,
        source: &SourceName,
        reason: &'static str,
        why: String,
        body: &Bytes,
    ) -> Result<(), StoreError> {
        self.metrics.quarantined.with_label_values(&[reason]).inc();
        if self.held.load(Ordering::Relaxed) >= KEPT {
            self.metrics.quarantine_full.inc();
            return Ok(());
        }
        let id = BodyHash::of(&[source.as_str().as_bytes(), body]);
        let kept = Quarantined {
            id: id.to_string(),
            at_ms: now.as_millis(),
            source: source.as_str().to_owned(),
            reason: reason.to_owned(),
            why,
            body: STANDARD.encode(&body[..body.len().min(KEPT_BYTES)]),
            bytes: body.len(),
        };
        let bytes = serde_json::to_vec(&kept).expect("strings and numbers always serialise");
        let write = Write::Put {
            key: key(id),
            expected: Revision::NONE,
            wake_at: None,
            bytes: bytes.into(),
        };
        match self.store.commit(vec![write.into()]).await?.first() {
            Some(Committed::Done(_)) => {
                self.held.fetch_add(1, Ordering::Relaxed);
                // Once for each that is kept, so a sender gone mad cannot fill the log either.
                let source = source.as_str();
                tracing::warn!(source, reason, id = %kept.id, why = %kept.why, "kept what could not be read; see it with `quarantine show`");
            }
            // Kept already: the same body came before.
            Some(Committed::Conflict(_)) | None => {}
        }
        Ok(())
    }

    /// One body; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn find(&self, id: BodyHash) -> Result<Option<Quarantined>, StoreError> {
        find(&*self.store, id).await
    }

    /// Removes a body, because it was `replayed` or nobody wants it; says whether it was there.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn remove(&self, id: BodyHash, replayed: bool) -> Result<bool, StoreError> {
        let gone = remove(&*self.store, id, replayed).await?;
        if gone {
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(gone)
    }
}

impl Quarantined {
    /// Its bytes, as far as they were kept; `None` if they are damaged.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        STANDARD.decode(&self.body).ok().map(Bytes::from)
    }

    /// Whether every byte was kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes <= KEPT_BYTES
    }
}

impl Listed for Quarantined {
    const KIND: Kind = Kind::Quarantine;

    fn without_content(mut self) -> Self {
        self.body.clear();
        self
    }
}

/// One body; `None` if there is none of this id.
///
/// # Errors
///
/// If the store does not answer.
pub async fn find(store: &dyn Store, id: BodyHash) -> Result<Option<Quarantined>, StoreError> {
    let found = store.load(vec![key(id)]).await?.docs;
    Ok(found.iter().flatten().next().and_then(read))
}

/// Drops a body; the history says so. Returns whether it was there. A running server counts what it
/// holds, so there it is [`Quarantine::remove`] that does this.
///
/// # Errors
///
/// If the store does not answer.
pub async fn discard(store: &dyn Store, id: BodyHash) -> Result<bool, StoreError> {
    remove(store, id, false).await
}

async fn remove(store: &dyn Store, id: BodyHash, replayed: bool) -> Result<bool, StoreError> {
    let loaded = store.load(vec![key(id)]).await?;
    let Some(doc) = loaded.docs.into_iter().flatten().next() else {
        return Ok(false);
    };
    let event = read(&doc).map(|kept| Event::LeftQuarantine {
        source: kept.source,
        reason: kept.reason,
        replayed,
    });
    let record = history::record(loaded.now, key(id), event.into_iter().collect());
    let unit = Unit {
        history: record.into_iter().collect(),
        ..doc.removal().into()
    };
    let done = store.commit(vec![unit]).await?;
    Ok(matches!(done.first(), Some(Committed::Done(_))))
}

fn read(doc: &Doc) -> Option<Quarantined> {
    serde_json::from_slice(&doc.bytes).ok()
}

fn key(id: BodyHash) -> DocKey {
    DocKey {
        kind: Kind::Quarantine,
        id: Bytes::copy_from_slice(&id.0),
    }
}
