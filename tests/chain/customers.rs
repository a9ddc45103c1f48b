//! People who order all the time, and what they got.

use std::sync::Arc;
use std::time::Duration;

use stack_tests::parts::{DEADLINE, Stopwatch};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// Orders under way; when the shop is slower, customers wait.
const UNDER_WAY: usize = 100;

/// One order and its fate. Its number is its place in the list.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Since the first customer came.
    pub(crate) ended: Duration,
    /// The status, or why there is none.
    pub(crate) answer: Result<u16, String>,
}

/// A steady stream of orders.
pub(crate) struct Customers {
    since: Stopwatch,
    /// From one order to the next.
    between: Duration,
    wanted: watch::Sender<bool>,
    /// How many orders have ended.
    ended: watch::Receiver<usize>,
    all: JoinHandle<Vec<Order>>,
}

impl Customers {
    /// Orders at `shop` until told to stop: `POST /{path}/0`, `/1`, …
    pub(crate) fn come(url: &str, per_second: u32) -> Self {
        let since = Stopwatch::start();
        let (wanted, stop) = watch::channel(true);
        let (count, ended) = watch::channel(0);
        let url = url.to_owned();
        let between = Duration::from_secs(1) / per_second;
        let all = tokio::spawn(order(url, between, since, stop, count));
        Self {
            since,
            between,
            wanted,
            ended,
            all,
        }
    }

    /// How long they have been here.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns when so many more orders have ended.
    pub(crate) async fn more(&self, orders: usize) {
        let mut ended = self.ended.clone();
        let goal = *ended.borrow() + orders;
        let reached = ended.wait_for(|ended| *ended >= goal);
        // So long it takes when all is well, and then the time that anything may take.
        let due = self.between * u32::try_from(orders).expect("some orders");
        let reached = tokio::time::timeout(due + DEADLINE, reached).await;
        reached.expect("orders end").expect("customers are there");
    }

    /// Sends nobody any more, waits for the last answers, and returns all orders by number.
    pub(crate) async fn leave(self) -> Vec<Order> {
        self.wanted.send_replace(false);
        self.all.await.expect("no panic there")
    }
}

async fn order(
    url: String,
    between: Duration,
    since: Stopwatch,
    stop: watch::Receiver<bool>,
    count: watch::Sender<usize>,
) -> Vec<Order> {
    let client = client();
    let url = Arc::new(url);
    let mut tick = interval(between);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    let mut orders: Vec<Option<Order>> = Vec::new();
    let settle = |ended: Option<Result<(usize, Order), _>>, orders: &mut Vec<_>| {
        let ended: Result<(usize, Order), tokio::task::JoinError> =
            ended.expect("one is under way");
        let (number, order) = ended.expect("no panic there");
        orders[number] = Some(order);
        count.send_modify(|ended| *ended += 1);
    };
    while *stop.borrow() {
        tick.tick().await;
        while under_way.len() >= UNDER_WAY {
            settle(under_way.join_next().await, &mut orders);
        }
        while let Some(ended) = under_way.try_join_next() {
            settle(Some(ended), &mut orders);
        }
        let number = orders.len();
        orders.push(None);
        let (client, url) = (client.clone(), Arc::clone(&url));
        under_way.spawn(async move {
            let answer = client.post(format!("{url}/{number}")).send().await;
            let answer = answer.map(|answer| answer.status().as_u16());
            let order = Order {
                ended: since.elapsed(),
                answer: answer.map_err(|error| format!("{error:?}")),
            };
            (number, order)
        });
    }
    while !under_way.is_empty() {
        settle(under_way.join_next().await, &mut orders);
    }
    orders
        .into_iter()
        .map(|order| order.expect("all have ended"))
        .collect()
}

/// Keeps connections, and gives up after ten seconds.
pub(crate) fn client() -> reqwest::Client {
    // Another test of this process may have installed it: it is the same one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy();
    let client = client.timeout(Duration::from_secs(10)).build();
    client.expect("a client without proxies")
}
