//! A message marked as a test, to every destination of a receiver, the way a real one goes. A person
//! asked for it, so it waits for no budget and no circuit, and tells no lane how it ended.

use std::sync::Arc;

use alert_engine::{DeliveryId, Timestamp};

use crate::message::{Message, Says};
use crate::plan::Outlet;
use crate::receiver::{Delivery, Failure, Progress, Receipt, RenderError, Rendering, SendError};

/// How a test ended at one destination.
#[derive(Debug)]
pub(crate) struct Tested {
    /// `email`, `wecom_bot` …
    pub(crate) channel: &'static str,
    /// To whom, as people may see it.
    pub(crate) destination: String,
    /// What the provider answered.
    pub(crate) result: Result<Receipt, SendError>,
}

/// Sends to one destination after the other; returns when all have answered.
pub(crate) async fn send(outlets: &[Arc<Outlet>], now: Timestamp) -> Vec<Tested> {
    let mut tested = Vec::new();
    for outlet in outlets {
        let destination = outlet.receiver.destination();
        tested.push(Tested {
            channel: destination.channel,
            destination: destination.label.clone(),
            result: send_one(outlet, now).await,
        });
    }
    tested
}

async fn send_one(outlet: &Outlet, now: Timestamp) -> Result<Receipt, SendError> {
    let name = outlet.name.as_bytes();
    let id = DeliveryId::of(&[b"test", name, &now.as_millis().to_le_bytes()]);
    let message = Message {
        id,
        created: now,
        receiver: outlet.name.to_string(),
        says: Says::Test,
    };
    let rendering = Rendering {
        message: &message,
        memory: None,
        locale: &outlet.locale,
    };
    let parts = outlet.receiver.render(&rendering).map_err(unrendered)?;
    let delivery = Delivery {
        id,
        attempt: 1,
        created: now,
        parts,
        progress: Progress::new(),
    };
    outlet.receiver.send(&delivery).await
}

fn unrendered(error: RenderError) -> SendError {
    SendError {
        failure: Failure::Refused,
        reason: "render",
        code: None,
        answer: error.to_string(),
        fix: None,
        progress: Progress::new(),
    }
}

impl Tested {
    /// Whether everybody there has it.
    pub(crate) fn is_good(&self) -> bool {
        matches!(&self.result, Ok(receipt) if receipt.refused.is_empty())
    }

    /// The provider's answer in its own words, and what to do.
    pub(crate) fn line(&self) -> String {
        let Self {
            channel,
            destination,
            result,
        } = self;
        let said = match result {
            Ok(receipt) if receipt.refused.is_empty() => format!("delivered ({})", receipt.answer),
            Ok(receipt) => {
                let refused = receipt.refused.iter();
                let refused: Vec<String> = refused
                    .map(|r| format!("{}: {}", r.recipient, r.reason))
                    .collect();
                format!("delivered, but refused by {}", refused.join("; "))
            }
            Err(error) => {
                let code = error.code.as_ref().map(|code| format!(" {code}"));
                let fix = error.fix.as_ref().map(|fix| format!("\n  to do: {fix}"));
                let (reason, answer) = (error.reason, &error.answer);
                let (code, fix) = (code.unwrap_or_default(), fix.unwrap_or_default());
                format!("not delivered: {reason}{code}: {answer}{fix}")
            }
        };
        format!("{channel} {destination}: {said}\n")
    }
}
