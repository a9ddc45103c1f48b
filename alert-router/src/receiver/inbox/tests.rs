//! What the page gets, and how much is kept.

use alert_engine::{DeliveryId, Timestamp};

use super::*;
use crate::clock::ManualClock;
use crate::message::Reason;
use crate::render::{Language, samples};
use crate::store::{Fault, MemoryStore, Verb};

fn inbox() -> (Inbox, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(Arc::new(ManualClock::at(samples::NOW))));
    let renderer = Arc::new(Renderer::built_in());
    (Inbox::new("inbox", renderer, store.clone()), store)
}

fn delivery(inbox: &Inbox, n: u16) -> Delivery {
    let message = samples::group(Reason::First);
    let locale = samples::locale(Language::English);
    let rendering = Rendering {
        message: &message,
        memory: None,
        locale: &locale,
    };
    let mut id = [0; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    Delivery {
        id: DeliveryId(id),
        attempt: 1,
        created: Timestamp::from_millis(i64::from(n) - 100),
        parts: inbox.render(&rendering).unwrap(),
        progress: Progress::new(),
    }
}

#[tokio::test]
async fn a_message_is_kept_as_text_and_as_fields() {
    let (inbox, store) = inbox();
    inbox.send(&delivery(&inbox, 1)).await.unwrap();
    let entries = newest(&*store, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(entry.title, "DiskFull · east");
    assert!(
        entry.text.starts_with("FIRING · critical · 2 new"),
        "{}",
        entry.text
    );
    assert_eq!(
        entry.view["groups"][0]["alerts"][1]["own"][0]["value"],
        "host-2"
    );
    assert_eq!(entry.view.get("zone"), None);
}

#[tokio::test]
async fn the_same_delivery_twice_is_one_message() {
    let (inbox, store) = inbox();
    inbox.send(&delivery(&inbox, 1)).await.unwrap();
    inbox.send(&delivery(&inbox, 1)).await.unwrap();
    assert_eq!(newest(&*store, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_newest_are_kept_and_come_first() {
    let (inbox, store) = inbox();
    for n in 0..230 {
        inbox.send(&delivery(&inbox, n)).await.unwrap();
    }
    let entries = newest(&*store, 1000).await.unwrap();
    assert!((KEPT..KEPT + CLEAN_UP_EVERY as usize).contains(&entries.len()));
    let docs = store
        .scan(Scan {
            kind: Kind::Inbox,
            after: Bytes::new(),
            limit: 1000,
        })
        .await
        .unwrap();
    let last = docs.docs.into_iter().flatten().last().unwrap();
    assert_eq!(last.key, key(&delivery(&inbox, 229)));
}

#[tokio::test]
async fn a_store_that_is_away_is_a_failure_and_a_failed_clean_up_is_none() {
    let (inbox, store) = inbox();
    store.fail(|verb| {
        if verb == Verb::Scan {
            Fault::Unavailable
        } else {
            Fault::None
        }
    });
    inbox.send(&delivery(&inbox, 1)).await.unwrap();
    store.fail(|_| Fault::Unavailable);
    let error = inbox.send(&delivery(&inbox, 2)).await.unwrap_err();
    assert_eq!(error.failure, Failure::Failed { retry_after: None });
    assert_eq!(error.reason, "store");
}
