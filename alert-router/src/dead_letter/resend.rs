//! `replay --as-sent`: the stored bytes once more, exactly as they were. The lane learns nothing of
//! it and keeps its cool-down, because the old text need not be the present truth; the history
//! names it. It takes its slots from the budget of its destination, like everything that goes there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alert_engine::DeliveryId;
use tracing::Instrument;

use super::{DeadLetter, find, letter_key};
use crate::clock::Clock;
use crate::history::{Carried, Event, Recipients};
use crate::metrics::Metrics;
use crate::plan::{Outlet, Plan};
use crate::receiver::{Delivery, Progress, Receipt, SendError};
use crate::store::{Doc, Store, StoreError, Unit, Write};
use crate::turn::deliver::{Outgoing, deliver};
use crate::turn::parts;
use crate::turn::slots::{self, NoSlot};
use crate::turn::span::About;

/// What one message may take beyond the deadline of its channel.
const GRACE: Duration = Duration::from_secs(5);
/// Why it speaks, as metrics and spans say it.
const AS_SENT: &str = "as_sent";

/// Sends dead letters again, each once at a time.
#[derive(Clone)]
pub struct Resender {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    under_way: Arc<Mutex<BTreeSet<DeliveryId>>>,
}

/// Why a letter was not sent again. It stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// There is none of this id.
    #[error("no dead letter has this id; list them with dead-letters list")]
    Unknown,
    /// Somebody else sends it at this moment.
    #[error("it is being sent at this moment")]
    UnderWay,
    /// There are no bytes to send.
    #[error("nothing was rendered that could be sent again: replay it without --as-sent")]
    NothingRendered,
    /// Nothing reaches its destination any more.
    #[error("its destination left the config: put the receiver back, or drop the letter")]
    NoDestination,
    /// The budget of its destination is used up.
    #[error("its destination takes no more messages now: try again in {} s", .0.as_secs() + 1)]
    NoSlot(Duration),
    /// The receiver failed again.
    #[error("{}", .0.explained("; "))]
    Failed(SendError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task ended without a word.
    #[error("the sending was cut off; look whether it arrived before trying again")]
    CutOff,
}

impl From<NoSlot> for ResendError {
    fn from(why: NoSlot) -> Self {
        match why {
            NoSlot::For(wait) => Self::NoSlot(wait),
            NoSlot::Store(error) => Self::Store(error),
        }
    }
}

impl Resender {
    /// Sends what `store` keeps. Starts nothing.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            metrics,
            clock,
            under_way: Arc::default(),
        }
    }

    /// Sends a letter again as it was. Confirmed, it goes; what got through of a failure is
    /// remembered, so that nobody gets it twice. A caller that leaves does not cut it off.
    ///
    /// # Errors
    ///
    /// Nothing was sent, or the receiver failed: the letter stays.
    pub async fn resend(&self, plan: Arc<Plan>, id: DeliveryId) -> Result<Receipt, ResendError> {
        let this = self.clone();
        let sending = async move {
            if !this.lock().insert(id) {
                return Err(ResendError::UnderWay);
            }
            let result = this.send(&plan, id).await;
            this.lock().remove(&id);
            result
        };
        let sending = tokio::spawn(sending.in_current_span());
        sending.await.unwrap_or(Err(ResendError::CutOff))
    }

    async fn send(&self, plan: &Plan, id: DeliveryId) -> Result<Receipt, ResendError> {
        let found = find(&*self.store, id).await?;
        let (letter, doc) = found.ok_or(ResendError::Unknown)?;
        let delivery = letter.delivery(id).ok_or(ResendError::NothingRendered)?;
        let lanes = letter.lanes();
        let lanes = lanes.ok_or(ResendError::NoDestination)?;
        let outlet = plan.outlet_to(lanes.destination());
        let outlet = outlet.ok_or(ResendError::NoDestination)?;
        let messages = delivery.messages();
        slots::take(&*self.store, &*outlet.receiver, messages).await?;
        let outgoing = Outgoing {
            within: outlet.receiver.limits().deadline * messages + GRACE,
            outlet: Arc::clone(&outlet),
            delivery: Ok(delivery.clone()),
            id,
            // No lane waits for its end.
            number: 0,
            lanes,
            about: About::new(AS_SENT),
        };
        let settled = deliver(outgoing, Arc::clone(&self.metrics)).await;
        self.count(&outlet, &settled.result);
        match settled.result {
            Ok(receipt) => {
                self.done(&letter, doc, id, &outlet, &receipt).await?;
                Ok(receipt)
            }
            Err(error) => {
                self.remember(letter, doc, delivery, &error.progress)
                    .await?;
                Err(ResendError::Failed(error))
            }
        }
    }

    fn count(&self, outlet: &Outlet, result: &Result<Receipt, SendError>) {
        let (receiver, channel) = (&*outlet.name, outlet.receiver.destination().channel);
        let outcome = match result {
            Ok(receipt) if receipt.refused.is_empty() => "heard",
            Ok(_) => "partly_heard",
            Err(_) => "given_up",
        };
        let labels = [receiver, channel, AS_SENT, outcome];
        self.metrics.notifications.with_label_values(&labels).inc();
        if let Err(error) = result {
            self.metrics
                .delivery_failed(receiver, channel, error.reason);
        }
    }

    /// The letter goes, and the history of its groups says why.
    async fn done(
        &self,
        letter: &DeadLetter,
        doc: Doc,
        id: DeliveryId,
        outlet: &Outlet,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let destination = outlet.receiver.destination();
        let carried = Carried {
            receiver: outlet.name.to_string(),
            channel: destination.channel.to_owned(),
            destination: destination.label.clone(),
            answer: receipt.answer.clone(),
            refused: u32::try_from(receipt.refused.len()).unwrap_or(u32::MAX),
            recipients: Recipients::of(letter.delivery(id).as_ref(), receipt),
            ..Carried::default()
        };
        let event = Event::resent(id, carried);
        let unit = Unit {
            history: letter.records(self.clock.now(), &event),
            ..doc.removal().into()
        };
        // A conflict means that somebody dropped or replayed it meanwhile: it is gone as well.
        self.store.commit(vec![unit]).await.map(drop)
    }

    async fn remember(
        &self,
        mut letter: DeadLetter,
        doc: Doc,
        mut delivery: Delivery,
        progress: &Progress,
    ) -> Result<(), StoreError> {
        if progress.is_subset(&delivery.progress) {
            return Ok(());
        }
        delivery.progress.extend(progress.iter().cloned());
        letter.rendered = serde_json::from_slice(&parts::write(&delivery)).ok();
        let write = Write::Put {
            key: letter_key(delivery.id),
            expected: doc.revision,
            wake_at: doc.wake_at,
            bytes: letter.bytes(),
        };
        self.store.commit(vec![write.into()]).await.map(drop)
    }

    /// The set is whole at every moment, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<DeliveryId>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetter {
    /// What would have been sent, as the first attempt of a person.
    fn delivery(&self, id: DeliveryId) -> Option<Delivery> {
        let stored = serde_json::to_vec(self.rendered.as_ref()?).ok()?;
        parts::read(id, 1, &stored)
    }
}

#[cfg(test)]
mod tests;
