//! Customers: a steady stream of orders, a few of them wrong as real ones are, and some watched until
//! they are delivered; who has watched looks at the item.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::Client;

/// Orders under way; when the shop is slower than that, customers wait.
const UNDER_WAY: usize = 200;

/// Who comes, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Customers {
    pub(crate) shop: SocketAddr,
    pub(crate) per_second: u16,
    /// Whether the shop has items to look at.
    pub(crate) look: bool,
}

/// Orders until it is dropped.
pub(crate) async fn run(client: Client, customers: Customers) {
    let Customers {
        shop,
        per_second,
        look,
    } = customers;
    if per_second == 0 {
        return;
    }
    let mut tick = interval(Duration::from_secs(1) / u32::from(per_second));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut orders = JoinSet::new();
    for item in (0..1_000_u32).cycle() {
        tick.tick().await;
        while orders.len() >= UNDER_WAY {
            // The answer is the shop's business: its metrics tell.
            let _ = orders.join_next().await;
        }
        while orders.try_join_next().is_some() {}
        let client = client.clone();
        orders.spawn(async move {
            let path = match item % 50 {
                49 => "/orders/none".to_owned(), // a 400 is no error of ours
                _ => format!("/orders/{item}"),
            };
            let _ = client.post(shop, &path).await;
            if item % 25 == 0 {
                let _ = client.get(shop, &format!("{path}/progress")).await;
                if look {
                    let _ = client.get(shop, &format!("/items/{item}")).await;
                }
            }
        });
    }
}
