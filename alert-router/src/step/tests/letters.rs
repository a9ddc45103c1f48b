//! Dead letters that nobody cares for go, loudly, whatever the store.

use super::*;
use crate::dead_letter::DeadLetter;
use crate::listing;
use crate::store::{SqliteSettings, SqliteStore};

const DAY: Duration = Duration::from_secs(86_400);

/// A letter that was given up at the start, over `store`; what is told later arrives.
async fn given_up(store: Arc<dyn Store>, clock: Arc<ManualClock>, limits: &str) -> (Bench, Server) {
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("400 Bad Request", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let config = one_hook(&server) + limits;
    let materials = Materials {
        store,
        ..materials(&clock)
    };
    let mut bench = Bench::over(&config, clock, materials).await;
    bench.post("A").await;
    assert_eq!(letters(&bench).await, 1);
    (bench, server)
}

async fn letters(bench: &Bench) -> usize {
    let page = listing::page::<DeadLetter>(&*bench.step.store, None).await;
    page.unwrap().records.len()
}

async fn goes_when_it_is_old(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (mut bench, _server) = given_up(store, clock, "limits: {dead_letters: 3d}\n").await;
    for (day, left) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
        bench.pass(DAY).await;
        assert_eq!(letters(&bench).await, left, "after {day} days");
    }
    assert_eq!(bench.value("dead_letters_swept_total"), Some(1.0));
    let told = events(&bench).await.concat();
    assert!(told.contains("swept"), "{told}");
}

#[tokio::test]
async fn a_dead_letter_in_memory_goes_when_it_is_old() {
    let clock = Arc::new(ManualClock::at(START));
    let store = MemoryStore::new(Arc::clone(&clock) as _);
    goes_when_it_is_old(Arc::new(store), clock).await;
}

#[tokio::test]
async fn a_dead_letter_on_disk_goes_when_it_is_old() {
    let clock = Arc::new(ManualClock::at(START));
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("store.db"),
        max_bytes: None,
    };
    let store = SqliteStore::open(&settings, Arc::clone(&clock) as _).unwrap();
    goes_when_it_is_old(Arc::new(store), clock).await;
}

#[tokio::test]
async fn by_default_a_dead_letter_is_kept_as_long_as_history() {
    let clock = Arc::new(ManualClock::at(START));
    let store = Arc::clone(&materials(&clock).store);
    let (mut bench, _server) = given_up(store, clock, "limits: {history: 40d}\n").await;
    bench.pass(39 * DAY).await;
    assert_eq!(letters(&bench).await, 1);
    bench.pass(DAY).await;
    assert_eq!(letters(&bench).await, 0);
}
