//! Whether this server takes alerts. It says nothing about others, or a mail server that is down
//! would take us out of service.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;

use super::Web;
use crate::store::{Committed, DocKey, Kind, Revision, Scan, Store, StoreError, Write};

pub(super) async fn ready(State(web): State<Web>) -> Response {
    if !*web.ready.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n").into_response();
    }
    let had_no_room = web.metrics.store_full.get() > 0;
    match works(&*web.store, had_no_room).await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// Whether the store answers; if it had no room a moment ago, also whether it takes anything. A
/// server at rest writes nothing.
async fn works(store: &dyn Store, had_no_room: bool) -> Result<(), StoreError> {
    // A cache cannot answer this one, so the store itself does.
    let one = Scan {
        kind: Kind::Source,
        after: Bytes::new(),
        limit: 1,
    };
    store.scan(one).await?;
    match had_no_room {
        true => write_something(store).await,
        false => Ok(()),
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
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::{Fault, MemoryStore, Verb};

    #[tokio::test]
    async fn a_store_that_had_no_room_must_take_something_and_keeps_nothing_of_it() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        assert!(works(&store, true).await.is_ok());
        assert!(works(&store, true).await.is_ok(), "again");
        let depth = store.depth().await.unwrap();
        assert!(depth.docs.iter().all(|(_, count)| *count == 0));
        store.fail(|verb| match matches!(verb, Verb::Commit) {
            true => Fault::Unavailable,
            false => Fault::None,
        });
        assert!(works(&store, true).await.is_err());
        assert!(works(&store, false).await.is_ok(), "nothing is written");
    }
}
