//! One delivery on its way: bounded in time, its panics contained, its end always reported.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{DeliveryId, LaneKey, Outcome};
use futures_util::FutureExt;
use tracing::Instrument;

use super::lanes::Lanes;
use super::span::{About, Attempt};
use crate::metrics::Metrics;
use crate::plan::Outlet;
use crate::receiver::{Delivery, Failure, Progress, Receipt, Receiver, SendError};
use crate::trace::Sampled;

/// A claimed delivery.
pub(crate) struct Outgoing {
    pub(crate) outlet: Arc<Outlet>,
    /// What to send; an error if it could not be rendered.
    pub(crate) delivery: Result<Delivery, Box<SendError>>,
    pub(crate) id: DeliveryId,
    /// Which send of this process it is: another attempt of the same delivery has another number.
    pub(crate) number: u64,
    pub(crate) lanes: Lanes,
    pub(crate) about: About,
    /// How long it may take.
    pub(crate) within: Duration,
}

/// A delivery that ended.
pub(crate) struct Settled {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) id: DeliveryId,
    pub(crate) number: u64,
    pub(crate) lanes: Lanes,
    pub(crate) result: Result<Receipt, SendError>,
    /// Seconds.
    pub(crate) took: f64,
    /// Its span, if somebody may look for it.
    pub(crate) span: Option<Sampled>,
}

impl Settled {
    /// Where it went.
    pub(crate) fn destination(&self) -> LaneKey {
        self.outlet.receiver.destination().key
    }
}

/// Sends, and says how it ended: within the deadline, whatever the receiver does.
pub(crate) async fn deliver(outgoing: Outgoing, metrics: Arc<Metrics>) -> Settled {
    let attempt = Attempt::open(&outgoing);
    let Outgoing {
        outlet,
        delivery,
        id,
        number,
        lanes,
        about: _,
        within,
    } = outgoing;
    let channel = outlet.receiver.destination().channel;
    let timer = metrics
        .delivery_seconds
        .with_label_values(&[channel])
        .start_timer();
    let result = match delivery {
        Err(error) => Err(*error),
        Ok(delivery) => {
            let sending = send(&*outlet.receiver, &delivery, within, &metrics);
            sending.instrument(attempt.0.clone()).await
        }
    };
    let took = timer.stop_and_record();
    attempt.end(&result);
    Settled {
        outlet,
        id,
        number,
        lanes,
        result,
        took,
        span: attempt.ids(),
    }
}

async fn send(
    receiver: &dyn Receiver,
    delivery: &Delivery,
    within: Duration,
    metrics: &Metrics,
) -> Result<Receipt, SendError> {
    let sending = AssertUnwindSafe(receiver.send(delivery)).catch_unwind();
    match tokio::time::timeout(within, sending).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => {
            metrics.panics.inc();
            Err(failed(
                "panic",
                "the receiver panicked: this is a bug, please report it",
            ))
        }
        Err(_elapsed) => Err(failed("timeout", &format!("no answer within {within:?}"))),
    }
}

/// What the engine makes of the end of a delivery.
pub(super) fn outcome(result: &Result<Receipt, SendError>) -> Outcome {
    match result {
        Ok(receipt) => {
            let memory = receipt.memory.as_ref().map(|memory| Box::from(&memory[..]));
            match u32::try_from(receipt.refused.len()) {
                Ok(0) => Outcome::Delivered { memory },
                refused => Outcome::Partly {
                    refused: refused.unwrap_or(u32::MAX),
                    memory,
                },
            }
        }
        Err(error) => match error.failure {
            Failure::Failed { retry_after } => Outcome::Failed { retry_after },
            Failure::Refused => Outcome::Refused,
            Failure::Deferred { wait } => Outcome::Deferred { wait },
            Failure::Blocked { probe_after } => Outcome::Blocked { probe_after },
        },
    }
}

fn failed(reason: &'static str, answer: &str) -> SendError {
    SendError {
        failure: Failure::Failed { retry_after: None },
        reason,
        code: None,
        answer: answer.to_owned(),
        fix: None,
        progress: Progress::new(),
    }
}
