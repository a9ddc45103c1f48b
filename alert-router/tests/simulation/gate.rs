//! A router's way to the shared store: it stops before and after each call, so that other routers
//! come in between and this one can die there, and it fails as the dial says.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use alert_engine::DeliveryId;
use alert_router::store::{
    Committed, Depth, DocKey, Due, Fault, HistoryPage, HistoryQuery, Keep, Kind, Loaded,
    MemoryStore, Revision, Scan, Store, StoreError, Unit, Verb, Write,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::dice::Dice;

/// How often a router's store fails.
#[derive(Clone)]
pub(crate) struct Dial(Arc<Mutex<Setting>>);

struct Setting {
    dice: Dice,
    per_mille: usize,
    log: Vec<String>,
    commits: usize,
}

/// Deliveries that were claimed, with the bytes of their documents: what people may hear of from
/// now on.
#[derive(Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<Vec<Claim>>>);

pub(crate) struct Claim {
    /// The delivery.
    pub(crate) id: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether bytes of it were stored before.
    pub(crate) again: bool,
}

pub(crate) struct Gate {
    inner: Arc<MemoryStore>,
    claims: Claims,
}

/// Waits until the world lets it go on.
struct Stop(bool);

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Dial {
    pub(crate) fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Setting {
            dice,
            per_mille: 0,
            log: Vec::new(),
            commits: 0,
        })))
    }

    pub(crate) fn set(&self, per_mille: usize) {
        self.lock().per_mille = per_mille;
    }

    /// What failed since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// How often something was written since the last call.
    pub(crate) fn take_commits(&self) -> usize {
        std::mem::take(&mut self.lock().commits)
    }

    fn fault(&self, verb: Verb) -> Fault {
        let mut setting = self.lock();
        setting.commits += usize::from(verb == Verb::Commit);
        if !setting.dice.per_mille(setting.per_mille) {
            return Fault::None;
        }
        let fault = match (setting.dice.below(3), verb) {
            (0, Verb::Commit) => Fault::Conflict,
            (1, _) => Fault::AnswerLost,
            _ => Fault::Unavailable,
        };
        setting.log.push(format!("{verb:?} {fault:?}"));
        fault
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Setting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claims {
    pub(crate) fn take(&self) -> Vec<Claim> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    pub(crate) fn new(shared: &MemoryStore, dial: &Dial, claims: &Claims) -> Self {
        let inner = shared.handle();
        let dial = dial.clone();
        inner.fail(move |verb| dial.fault(verb));
        Self {
            inner: Arc::new(inner),
            claims: claims.clone(),
        }
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&MemoryStore) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            Stop(false).await;
            let answer = call(&inner);
            Stop(false).await;
            answer
        })
    }
}

/// What the memory store answers; it never waits.
pub(crate) fn at_once<T>(answer: BoxFuture<'_, T>) -> T {
    answer.now_or_never().expect("the memory store never waits")
}

/// The delivery that a document is about.
fn delivery(key: &DocKey) -> String {
    let id = key.id.as_ref().try_into().map(DeliveryId);
    id.expect("deliveries have ids of 16 bytes").to_string()
}

/// The revisions of stored deliveries.
fn parts(store: &MemoryStore, keys: &[DocKey]) -> BTreeMap<DocKey, Revision> {
    let handle = store.handle();
    let docs = at_once(handle.load(keys.to_vec())).expect("a handle without faults");
    let docs = docs.docs.into_iter().flatten();
    docs.map(|doc| (doc.key, doc.revision)).collect()
}

impl Store for Gate {
    fn load(&self, keys: Vec<DocKey>) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.call(move |inner| at_once(inner.load(keys)))
    }

    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.call(move |inner| at_once(inner.due(limit)))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.call(move |inner| at_once(inner.scan(scan)))
    }

    fn commit(&self, units: Vec<Unit>) -> BoxFuture<'_, Result<Vec<Committed>, StoreError>> {
        let claims = self.claims.clone();
        let mut puts = BTreeMap::new();
        for write in units.iter().flat_map(|unit| &unit.writes) {
            if let Write::Put { key, bytes, .. } = write
                && key.kind == Kind::Parts
            {
                puts.insert(key.clone(), bytes.to_vec());
            }
        }
        let keys: Vec<DocKey> = puts.keys().cloned().collect();
        self.call(move |inner| {
            let before = parts(inner, &keys);
            let answer = at_once(inner.commit(units));
            let after = parts(inner, &keys);
            let written = puts
                .into_iter()
                .filter(|(key, _)| before.get(key) != after.get(key));
            let mut claimed = claims.0.lock().unwrap_or_else(PoisonError::into_inner);
            claimed.extend(written.map(|(key, bytes)| Claim {
                id: delivery(&key),
                bytes,
                again: before.contains_key(&key),
            }));
            answer
        })
    }

    fn history(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.call(move |inner| at_once(inner.history(query)))
    }

    fn sweep(&self, keep: Keep) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.call(move |inner| at_once(inner.sweep(keep)))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>> {
        self.call(move |inner| at_once(inner.depth()))
    }
}
