//! What the suite runs on: a store, the clock that it reads, and short words for units.

use std::sync::Arc;
use std::time::Duration;

use alert_engine::Timestamp;
use bytes::Bytes;

use crate::clock::ManualClock;
use crate::store::{
    Committed, Doc, DocKey, HistoryQuery, Kind, Loaded, Record, Revision, Scan, Store, Unit, Write,
};

/// How the suite gets at a kind of store.
pub(in crate::store) trait Subject: Sized + 'static {
    /// What this kind of store cannot do by its nature.
    const LACKS: &'static [Ability];

    /// A new, empty store.
    fn create(clock: Arc<ManualClock>) -> Self;

    /// Another handle on the same data, as another replica or task has it.
    fn handle(&self) -> Arc<dyn Store>;

    /// What a crash at this moment leaves, opened again.
    fn crash(&self) -> Self;

    /// What power cuts may leave if they tear the last thing that was written, opened one by one.
    fn torn(&self) -> Box<dyn Iterator<Item = Self> + '_>;

    /// A new, empty store in which about `bytes` bytes fit.
    fn with_room(clock: Arc<ManualClock>, bytes: u64) -> Self;
}

/// What a store may lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) enum Ability {
    /// Its content survives a crash.
    Crash,
    /// A power cut can tear what it writes.
    Tear,
    /// It can run out of space.
    Fill,
}

/// A store under test, and the clock that it reads.
pub(super) struct World<S> {
    pub(super) subject: S,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<dyn Store>,
}

pub(super) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

impl<S: Subject> World<S> {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let subject = S::create(Arc::clone(&clock));
        Self::around(subject, clock)
    }

    pub(super) fn around(subject: S, clock: Arc<ManualClock>) -> Self {
        let store = subject.handle();
        Self {
            subject,
            clock,
            store,
        }
    }

    pub(super) async fn commit(&self, units: Vec<Unit>) -> Vec<Committed> {
        self.store.commit(units).await.unwrap()
    }

    /// Commits one unit that must succeed.
    pub(super) async fn done(&self, unit: Unit) -> Vec<Revision> {
        match self.commit(vec![unit]).await.remove(0) {
            Committed::Done(revisions) => revisions,
            Committed::Conflict(keys) => panic!("{keys:?} have moved"),
        }
    }

    /// Commits one unit that must fail; by which documents.
    pub(super) async fn conflict(&self, unit: Unit) -> Vec<DocKey> {
        match self.commit(vec![unit]).await.remove(0) {
            Committed::Conflict(keys) => keys,
            Committed::Done(revisions) => panic!("done as {revisions:?}"),
        }
    }

    /// The documents as text, in order; `-` where there is none.
    pub(super) async fn read(&self, names: &str) -> String {
        let keys = names.split(' ').map(group).collect();
        texts(&self.store.load(keys).await.unwrap())
    }

    /// What is due and how long until the next, as text.
    pub(super) async fn due(&self, limit: usize) -> String {
        let due = self.store.due(limit).await.unwrap();
        let names: Vec<String> = due.docs.iter().map(|doc| name(&doc.key)).collect();
        let next = due.next.map(|next| next.since(due.now).as_secs());
        format!("{} next {next:?}", names.join(" "))
    }

    /// A page of history as text, and the rest of it page by page.
    pub(super) async fn history(&self, about: Option<&str>, limit: usize) -> String {
        let mut query = HistoryQuery {
            about: about.map(group),
            before: None,
            limit,
        };
        let mut pages = Vec::new();
        loop {
            let page = self.store.history(query.clone()).await.unwrap();
            let texts: Vec<String> = page.records.iter().map(|r| text(&r.bytes)).collect();
            pages.push(texts.join(" "));
            query.before = page.next;
            if page.next.is_none() {
                return pages.join(" | ");
            }
        }
    }

    pub(super) async fn scan(&self, kind: Kind, after: &str, limit: usize) -> String {
        let after = Bytes::copy_from_slice(after.as_bytes());
        let scan = Scan { kind, after, limit };
        texts(&self.store.scan(scan).await.unwrap())
    }
}

pub(super) fn group(id: &str) -> DocKey {
    doc(Kind::Group, id)
}

pub(super) fn doc(kind: Kind, id: &str) -> DocKey {
    DocKey {
        kind,
        id: Bytes::copy_from_slice(id.as_bytes()),
    }
}

pub(super) fn name(key: &DocKey) -> String {
    text(&key.id)
}

pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(super) fn texts(loaded: &Loaded) -> String {
    let text = |doc: &Option<Doc>| doc.as_ref().map_or("-".into(), |d| text(&d.bytes));
    loaded.docs.iter().map(text).collect::<Vec<_>>().join(" ")
}

pub(super) fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

pub(super) fn put(id: &str, expected: Revision, content: &str) -> Write {
    put_waking(id, expected, content, None)
}

pub(super) fn create(id: &str, content: &str) -> Write {
    put(id, Revision::NONE, content)
}

pub(super) fn put_waking(
    id: &str,
    expected: Revision,
    content: &str,
    wake_at: Option<Timestamp>,
) -> Write {
    Write::Put {
        key: group(id),
        expected,
        wake_at,
        bytes: Bytes::copy_from_slice(content.as_bytes()),
    }
}

pub(super) fn keep(id: &str, content: &str, wake_at: Option<Timestamp>) -> Write {
    Write::Keep {
        key: group(id),
        wake_at,
        bytes: Bytes::copy_from_slice(content.as_bytes()),
    }
}

pub(super) fn delete(id: &str, expected: Revision) -> Write {
    let key = group(id);
    Write::Delete { key, expected }
}

pub(super) fn expect(id: &str, revision: Revision) -> Write {
    let key = group(id);
    Write::Expect { key, revision }
}

pub(super) fn unit(writes: impl Into<Vec<Write>>) -> Unit {
    Unit {
        writes: writes.into(),
        history: Vec::new(),
    }
}

pub(super) fn record(about: &str, at: Timestamp, content: &str) -> Record {
    Record {
        at,
        about: group(about),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
    }
}

pub(super) fn remember(records: impl Into<Vec<Record>>) -> Unit {
    Unit {
        writes: Vec::new(),
        history: records.into(),
    }
}
