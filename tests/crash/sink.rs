//! A receiver that remembers what it was told, when it was asked and when it answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use tokio::sync::Notify;

/// A webhook consumer on loopback.
pub(crate) struct Sink {
    url: String,
    state: Arc<Told>,
}

#[derive(Default)]
struct Told {
    bodies: Mutex<BTreeMap<String, usize>>,
    alerts: Mutex<BTreeSet<String>>,
    under_way: AtomicUsize,
    delay_ms: AtomicU64,
    news: Notify,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Told::default());
        let app = axum::Router::new()
            .route("/", post(tell))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let url = format!("http://{}/", listener.local_addr().expect("it listens"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn answer_after(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).expect("a short delay");
        self.state.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// Deliveries that came and were not answered yet.
    pub(crate) fn under_way(&self) -> usize {
        self.state.under_way.load(Ordering::SeqCst)
    }

    /// Deliveries that came once more, word for word.
    pub(crate) fn repeated(&self) -> usize {
        self.state
            .bodies
            .lock()
            .expect("no panic")
            .values()
            .map(|times| times - 1)
            .sum()
    }

    /// Waits until all of `wanted` were told, or the time is over; returns what was told.
    pub(crate) async fn heard_all(
        &self,
        wanted: &BTreeSet<String>,
        within: Duration,
    ) -> BTreeSet<String> {
        let all = async {
            loop {
                let news = self.state.news.notified();
                if wanted.is_subset(&self.state.alerts.lock().expect("no panic")) {
                    return;
                }
                news.await;
            }
        };
        // What is missing is the caller's to report.
        let _late = tokio::time::timeout(within, all).await;
        self.state.alerts.lock().expect("no panic").clone()
    }
}

async fn tell(State(told): State<Arc<Told>>, body: String) {
    told.under_way.fetch_add(1, Ordering::SeqCst);
    let read: serde_json::Value = serde_json::from_str(&body).expect("a webhook body");
    let ids = read["alerts"].as_array().expect("alerts").iter();
    let ids = ids.map(|alert| alert["labels"]["id"].as_str().expect("an id").to_owned());
    told.alerts.lock().expect("no panic").extend(ids);
    *told
        .bodies
        .lock()
        .expect("no panic")
        .entry(body)
        .or_default() += 1;
    told.news.notify_waiters();
    let delay = Duration::from_millis(told.delay_ms.load(Ordering::SeqCst));
    // A router that is killed meanwhile drops the connection; the count still goes down.
    let _counted = Leave(&told.under_way);
    tokio::time::sleep(delay).await;
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
