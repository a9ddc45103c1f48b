//! Where the stock leaves its reservations for others: a stream of Redis, or, where there is none, a
//! queue and a worker in the same process. The context travels with the entry either way.

use std::convert::Infallible;

use redis::RedisError;
use telemetry_lib::propagation::{Pairs, PairsMut, extract};
use telemetry_lib::{Operation, Origin, Telemetry};
use tokio::sync::mpsc;

use super::Background;
use super::store::{EVENTS, Store};

/// Reservations that may wait for the worker; more are refused.
const WAITING: usize = 1_000;

/// An entry of the queue, with headers as a broker would carry them.
pub(super) struct Reserved {
    item: u32,
    headers: Vec<(String, String)>,
}

#[derive(Clone)]
pub(super) enum Queue {
    InProcess(mpsc::Sender<Reserved>),
    Redis(Store),
}

/// Why a reservation was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("too many reservations wait")]
    Full,
    #[error("Redis does not take the reservation")]
    Redis(#[from] RedisError),
}

impl Queue {
    /// Where `redis` is, or a queue whose worker ends when it is empty and its senders are gone.
    pub(super) fn new(telemetry: &Telemetry, redis: Option<Store>) -> (Self, Background) {
        let mut background = Background::default();
        let queue = match redis {
            Some(store) => Self::Redis(store),
            None => {
                let (queue, waiting) = mpsc::channel(WAITING);
                background.tasks.spawn(work(telemetry.clone(), waiting));
                Self::InProcess(queue)
            }
        };
        (queue, background)
    }

    /// Sends a reservation, in a span of its own whose context goes along.
    pub(super) async fn send(&self, telemetry: &Telemetry, item: u32) -> Result<(), Refused> {
        let system = match self {
            Self::InProcess(_) => "in_process",
            Self::Redis(_) => "redis",
        };
        let sending = telemetry.message(Operation::Send, system, EVENTS, Origin::Current);
        let mut headers = Vec::new();
        sending.inject(&mut PairsMut(&mut headers));
        let handing_over = async {
            match self {
                Self::InProcess(queue) => {
                    let sent = queue.try_send(Reserved { item, headers });
                    sent.map_err(|_| Refused::Full)
                }
                Self::Redis(store) => Ok(store.reserve(item, headers).await?),
            }
        };
        sending.run(handing_over).await
    }
}

async fn work(telemetry: Telemetry, mut waiting: mpsc::Receiver<Reserved>) {
    while let Some(Reserved { item, headers }) = waiting.recv().await {
        let sender = Origin::Parent(extract(&Pairs(&headers)));
        let message = telemetry.message(Operation::Process, "in_process", EVENTS, sender);
        let packing = async {
            tracing::debug!(item, "packed");
            Ok::<_, Infallible>(())
        };
        let Ok(()) = message.run(packing).await;
    }
}
