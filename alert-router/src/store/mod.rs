//! The seam to durable storage: versioned documents with a wake-up time, and a history of what
//! happened. A new kind of document needs no new method and no new SQL.

pub(crate) mod codec;
#[cfg(test)]
mod conformance;
mod lock;
mod memory;
#[cfg(test)]
mod samples;
mod sqlite;

pub use lock::{Holder, LockError};
pub use memory::{Fault, MemoryStore, Verb};
pub use sqlite::{OpenError, SqliteSettings, SqliteStore};

use alert_engine::Timestamp;
use bytes::Bytes;
use futures_util::future::BoxFuture;

/// What a document is about. The discriminants are stored: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A group with its alerts and lanes. Key: `GroupId`.
    Group = 1,
    /// Which groups hold an alert. Key: source and fingerprint.
    Home = 2,
    /// The text of an alert. Key: `BodyHash`. Immutable.
    Body = 3,
    /// The rendered parts of a delivery and how far it got. Key: `DeliveryId`.
    Parts = 4,
    /// What a destination may still send. Key: `LaneKey`.
    Budget = 5,
    /// A delivery that was given up. Key: `DeliveryId`.
    DeadLetter = 6,
    /// A request body that could not be read. Key: hash of the body.
    Quarantine = 7,
    /// A message of the built-in inbox. Key: time and `DeliveryId`.
    Inbox = 8,
    /// When a source last spoke. Key: its name.
    Source = 9,
}

/// Names one document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DocKey {
    /// What it is about.
    pub kind: Kind,
    /// Unique within the kind, and not empty.
    pub id: Bytes,
}

/// Names one write of a document. Later writes of it have larger ones, also after it was deleted
/// and created again, so an old revision never fits by accident. 0 means that it does not exist.
///
/// They are not consecutive: take the next one from [`Committed::Done`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a document that does not exist.
    pub const NONE: Self = Self(0);
}

/// A stored document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doc {
    /// Its name.
    pub key: DocKey,
    /// The revision that was read.
    pub revision: Revision,
    /// When `due` returns it; `None`: never.
    pub wake_at: Option<Timestamp>,
    /// Its content, opaque to the store.
    pub bytes: Bytes,
}

/// One change of a unit. Every change says which revision it was computed from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Creates (`expected` is [`Revision::NONE`]) or replaces a document.
    Put {
        /// Which document.
        key: DocKey,
        /// The revision that the change was computed from.
        expected: Revision,
        /// When `due` returns it.
        wake_at: Option<Timestamp>,
        /// The new content.
        bytes: Bytes,
    },
    /// Creates a document whose content follows from its key. One that is there already stays as
    /// it is, except that its `wake_at` moves later if the given one is later. Then it also gets a
    /// new revision, so that a sweeper that found it unused loses the race to delete it.
    Keep {
        /// Which document.
        key: DocKey,
        /// When `due` returns it; `None` leaves that of a document that is there as it is.
        wake_at: Option<Timestamp>,
        /// The content.
        bytes: Bytes,
    },
    /// Removes a document.
    Delete {
        /// Which document.
        key: DocKey,
        /// The revision that the change was computed from.
        expected: Revision,
    },
    /// Changes nothing, but fails the unit if the document has moved.
    Expect {
        /// Which document.
        key: DocKey,
        /// The revision that it must have.
        revision: Revision,
    },
}

/// Changes that happen together or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unit {
    /// The changes; each document at most once.
    pub writes: Vec<Write>,
    /// What is to be remembered about them.
    pub history: Vec<Record>,
}

/// What became of one unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Committed {
    /// All of it is durable. The present revision of each write's document, in order
    /// ([`Revision::NONE`] after a delete).
    Done(Vec<Revision>),
    /// None of it happened, because these documents have another revision than expected.
    Conflict(Vec<DocKey>),
}

/// One line of history: something changed or was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// About which document.
    pub about: DocKey,
    /// What, as JSON that this binary's `history` module writes and reads.
    pub bytes: Bytes,
}

/// A place in history, in the order of the commits. Not an instant: one commit may leave many
/// records of the same instant, and a clock may step back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position(pub u64);

/// Which records to read: newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryQuery {
    /// Only those about this document; `None`: all.
    pub about: Option<DocKey>,
    /// Only those committed before this place; `None`: from the newest.
    pub before: Option<Position>,
    /// At most so many.
    pub limit: usize,
}

/// One page of history.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryPage {
    /// Newest first.
    pub records: Vec<Record>,
    /// `before` of the next page; `None` if this page was not full.
    pub next: Option<Position>,
}

/// Documents together with the instant at which they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The instant to use for decisions about these documents.
    pub now: Timestamp,
    /// In the order asked for; `None` where there is none.
    pub docs: Vec<Option<Doc>>,
}

/// What wants attention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// The instant to use.
    pub now: Timestamp,
    /// Documents whose `wake_at` is not later than `now`, earliest first.
    pub docs: Vec<Doc>,
    /// The earliest `wake_at` that is later than `now`, for the sleep until then.
    pub next: Option<Timestamp>,
}

/// How much is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// Documents by kind, in the order of [`Kind::ALL`], zeros included.
    pub docs: Vec<(Kind, u64)>,
    /// Documents that are due.
    pub due: u64,
    /// Bytes on disk, 0 where there is no disk.
    pub bytes: u64,
}

/// One page of documents of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// Which kind.
    pub kind: Kind,
    /// Only keys after this one (exclusive); empty: from the start.
    pub after: Bytes,
    /// At most so many.
    pub limit: usize,
}

/// What `sweep` may remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    /// History older than this goes.
    pub history_from: Timestamp,
    /// At most so many rows are removed in one call, so that a call is short.
    pub limit: usize,
}

/// Why the store could not answer.
///
/// After a failed `commit` or `sweep` it is open whether it happened (an answer can be lost on its
/// way). Load again before deciding: if it did, trying again with the old revisions conflicts.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Trying again makes sense.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk is full: free space, then trying again makes sense.
    #[error("no space left for the store in {place}: free space on that disk")]
    Full {
        /// The folder or database.
        place: String,
    },
    /// The stored bytes are not what this binary wrote.
    #[error("the store in {place} is damaged: {what}")]
    Corrupt {
        /// The folder or database.
        place: String,
        /// What was found, and what to do.
        what: String,
    },
}

/// Keeps versioned documents with a wake-up time, and a history of what happened.
///
/// Contract, checked by the conformance suite for every implementation:
/// a commit that returned `Done` survives a crash; a unit is atomic by compare-and-swap on
/// revisions; one call carries many units, and a conflict fails only its unit; `load` and `due`
/// see every earlier commit of any process; the order of revisions of a document never goes back.
/// A read takes its answer from one instant of the store: no commit is seen by halves.
pub trait Store: Send + Sync + 'static {
    /// Reads documents by key.
    fn load(&self, keys: Vec<DocKey>) -> BoxFuture<'_, Result<Loaded, StoreError>>;
    /// Reads documents that are due, earliest first, at most `limit`.
    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>>;
    /// Reads documents of a kind in key order. `now` is meaningful as in `load`.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Loaded, StoreError>>;
    /// Makes units durable, each on its own; one outcome per unit, in order.
    fn commit(&self, units: Vec<Unit>) -> BoxFuture<'_, Result<Vec<Committed>, StoreError>>;
    /// Reads history, newest first.
    fn history(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>>;
    /// Removes what need not be kept, oldest first; returns how many rows went.
    fn sweep(&self, keep: Keep) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Counts what is stored.
    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>>;
}

impl Kind {
    /// Every kind, in stored order.
    pub const ALL: [Self; 9] = [
        Self::Group,
        Self::Home,
        Self::Body,
        Self::Parts,
        Self::Budget,
        Self::DeadLetter,
        Self::Quarantine,
        Self::Inbox,
        Self::Source,
    ];

    /// The kind that is stored as `number`; `None` if this binary knows no such kind.
    #[must_use]
    pub fn from_stored(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl Doc {
    /// Removes it, unless it has moved since it was read.
    #[must_use]
    pub fn removal(self) -> Write {
        Write::Delete {
            key: self.key,
            expected: self.revision,
        }
    }
}

/// One change of which nothing is remembered.
impl From<Write> for Unit {
    fn from(write: Write) -> Self {
        Self {
            writes: vec![write],
            history: Vec::new(),
        }
    }
}

impl Write {
    /// The document that it is about.
    #[must_use]
    pub fn key(&self) -> &DocKey {
        match self {
            Self::Put { key, .. }
            | Self::Keep { key, .. }
            | Self::Delete { key, .. }
            | Self::Expect { key, .. } => key,
        }
    }

    /// The revision that the document must have; `None` if any will do.
    #[must_use]
    pub fn expected(&self) -> Option<Revision> {
        match self {
            Self::Put { expected, .. } | Self::Delete { expected, .. } => Some(*expected),
            Self::Expect { revision, .. } => Some(*revision),
            Self::Keep { .. } => None,
        }
    }
}

/// Whether a [`Write::Keep`] with `given` moves the `wake_at` of a document that is there.
fn moves_later(present: Option<Timestamp>, given: Option<Timestamp>) -> bool {
    matches!((present, given), (Some(present), Some(given)) if given > present)
}
