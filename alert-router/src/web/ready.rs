//! Whether this server takes alerts. It says nothing about others, or a mail server that is down
//! would take us out of service.

use std::sync::Arc;
use std::time::Duration;

use alert_engine::Timestamp;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Mutex;

use super::Web;
use crate::clock::Clock;
use crate::store::{Committed, DocKey, Kind, Revision, Scan, Store, StoreError, Write};

pub(super) async fn ready(State(web): State<Web>) -> Response {
    if !*web.ready.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n").into_response();
    }
    let had_no_room = web.metrics.store_full.get() > 0;
    let proof = web.proof.of(&*web.store, had_no_room, &*web.intake.clock);
    match proof.await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// How long a write shows that the store takes more: probes may come every second.
const PROVEN_FOR: Duration = Duration::from_secs(30);

/// When a write last showed that the store takes any.
#[derive(Clone, Default)]
pub struct Proof(Arc<Mutex<Option<Timestamp>>>);

impl Proof {
    /// Whether the store answers, and takes what it is given. Without a question nothing is written,
    /// and whoever asks while another one's write is under way waits for that.
    async fn of(
        &self,
        store: &dyn Store,
        had_no_room: bool,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        // A cache cannot answer this one, so the store itself does.
        let one = Scan {
            kind: Kind::Source,
            after: Bytes::new(),
            limit: 1,
        };
        store.scan(one).await?;
        let mut proven = self.0.lock().await;
        let now = clock.now();
        let lasts = |at: &Timestamp| *at <= now && now.since(*at) < PROVEN_FOR;
        if proven.as_ref().is_some_and(lasts) && !had_no_room {
            return Ok(());
        }
        *proven = None;
        write_something(store).await?;
        *proven = Some(now);
        Ok(())
    }
}

/// Writes a document that nobody reads, and removes it.
async fn write_something(store: &dyn Store) -> Result<(), StoreError> {
    let key = DocKey {
        kind: Kind::Parts,
        id: Bytes::from_static(b"ready"),
    };
    let found = store.load(vec![key.clone()]).await?.docs;
    let found = found.into_iter().flatten().next();
    let put = Write::Put {
        key: key.clone(),
        expected: found.map_or(Revision::NONE, |doc| doc.revision),
        wake_at: None,
        bytes: Bytes::new(),
    };
    let written = store.commit(vec![put.into()]).await?;
    // Otherwise another probe writes at this moment.
    if let Some(Committed::Done(revisions)) = written.into_iter().next()
        && let Some(revision) = revisions.into_iter().next()
    {
        let delete = Write::Delete {
            key,
            expected: revision,
        };
        store.commit(vec![delete.into()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::store::{Fault, MemoryStore, Verb};

    struct World {
        store: MemoryStore,
        clock: Arc<ManualClock>,
        proof: Proof,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
            Self {
                store: MemoryStore::new(Arc::clone(&clock) as _),
                clock,
                proof: Proof::default(),
            }
        }

        async fn is_ready(&self, had_no_room: bool) -> bool {
            let proof = self.proof.of(&self.store, had_no_room, &*self.clock);
            proof.await.is_ok()
        }

        fn takes_nothing(&self) {
            self.store.fail(|verb| match matches!(verb, Verb::Commit) {
                true => Fault::Unavailable,
                false => Fault::None,
            });
        }
    }

    #[tokio::test]
    async fn a_store_that_takes_nothing_is_not_ready_before_anybody_wrote() {
        let world = World::new();
        world.takes_nothing();
        assert!(!world.is_ready(false).await);
    }

    #[tokio::test]
    async fn what_proves_that_the_store_takes_something_stays_nowhere_and_lasts_a_while() {
        let world = World::new();
        assert!(world.is_ready(true).await);
        assert!(world.is_ready(true).await, "again");
        let depth = world.store.depth().await.unwrap();
        assert!(depth.docs.iter().all(|(_, count)| *count == 0));
        world.takes_nothing();
        assert!(world.is_ready(false).await, "nothing is written");
        assert!(!world.is_ready(true).await, "there was no room meanwhile");
        assert!(!world.is_ready(false).await, "a failure proves nothing");
    }

    #[tokio::test]
    async fn an_old_proof_is_made_anew() {
        let world = World::new();
        assert!(world.is_ready(false).await);
        world.takes_nothing();
        world.clock.advance(PROVEN_FOR);
        assert!(!world.is_ready(false).await);
    }
}
