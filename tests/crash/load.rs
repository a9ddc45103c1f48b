//! The load: senders that post as long as a router lives, and note what it acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::book::Book;
use crate::client::Client;
use crate::ledger::Ledger;

const SENDERS: usize = 3;
/// Each sender posts so often, if the answer comes in time, and looks so often whether the router
/// listens again.
const EVERY: Duration = Duration::from_millis(10);

/// Senders at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

struct Shared {
    book: Arc<Mutex<Book>>,
    ledger: Arc<Mutex<Ledger>>,
    over: AtomicBool,
    first: Mutex<Option<Instant>>,
}

impl Load {
    pub(crate) fn start(log: &Path, book: &Arc<Mutex<Book>>, ledger: &Arc<Mutex<Ledger>>) -> Self {
        book.lock().expect("no panic").begin_round();
        let shared = Arc::new(Shared {
            book: Arc::clone(book),
            ledger: Arc::clone(ledger),
            over: AtomicBool::new(false),
            first: Mutex::default(),
        });
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            senders.spawn(send(Client::new(log), Arc::clone(&shared)));
        }
        Self { shared, senders }
    }

    /// Ends with the router: returns when every sender knows what became of its last request, and
    /// when the router acknowledged the first one.
    pub(crate) async fn end(mut self) -> Option<Instant> {
        self.shared.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("a sender does not panic");
        }
        *self.shared.first.lock().expect("no panic")
    }
}

async fn send(mut client: Client, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.over.load(Ordering::SeqCst) {
        ticks.tick().await;
        if !client.connects().await {
            continue;
        }
        let batch = {
            let ledger = shared.ledger.lock().expect("no panic");
            shared.book.lock().expect("no panic").batch(&ledger)
        };
        // An error is a router that died: what it took of this is not known, and not promised.
        let taken = matches!(client.post(&batch.body(now())).await, Ok(true));
        let mut book = shared.book.lock().expect("no panic");
        if !taken {
            book.keep(batch);
            continue;
        }
        book.acknowledge(batch);
        let mut first = shared.first.lock().expect("no panic");
        first.get_or_insert_with(instant);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the router under test lives in real time"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is only printed"
)]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
