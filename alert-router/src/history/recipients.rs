//! What became of a delivery for each recipient, where a channel addresses people one by one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{cut, is_zero};
use crate::receiver::{Delivery, Receipt};

/// Recipients named in one list; more are counted.
const MAX_RECIPIENTS: usize = 20;

/// Who got a delivery, and who never will.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Recipients {
    /// They have it; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<String>,
    /// They were refused for good; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRecipient>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// A recipient who was refused for good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedRecipient {
    /// The address or user id.
    pub recipient: String,
    /// The provider's reason.
    pub reason: String,
}

impl Recipients {
    /// Of a confirmed delivery; without its parts only the refused ones are known.
    #[must_use]
    pub fn of(delivery: Option<&Delivery>, receipt: &Receipt) -> Self {
        let refused = receipt.refused.iter().map(|refused| RefusedRecipient {
            recipient: refused.recipient.clone(),
            reason: refused.reason.clone(),
        });
        let refused: Vec<RefusedRecipient> = refused.collect();
        let names: BTreeSet<&str> = refused.iter().map(|one| &*one.recipient).collect();
        let parts = delivery.into_iter().flat_map(|delivery| &delivery.parts);
        let all: BTreeSet<&String> = parts.flat_map(|part| &part.recipients).collect();
        let delivered = all.into_iter().filter(|one| !names.contains(one.as_str()));
        let mut recipients = Self {
            delivered: delivered.cloned().collect(),
            refused,
            more: 0,
        };
        recipients.cut();
        recipients
    }

    /// Whether nobody is named or counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.refused.is_empty() && self.more == 0
    }

    /// Whether `name` is one of them, or may be among those that are only counted.
    #[must_use]
    pub fn may_hold(&self, name: &str) -> bool {
        let refused = self.refused.iter().map(|one| &one.recipient);
        self.more > 0 || self.delivered.iter().chain(refused).any(|one| one == name)
    }

    /// Bounds what comes from outside.
    pub(super) fn cut(&mut self) {
        let beyond = self.delivered.len().saturating_sub(MAX_RECIPIENTS)
            + self.refused.len().saturating_sub(MAX_RECIPIENTS);
        self.delivered.truncate(MAX_RECIPIENTS);
        self.refused.truncate(MAX_RECIPIENTS);
        self.more = self
            .more
            .saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
        let refused = self.refused.iter_mut();
        let refused = refused.flat_map(|one| [&mut one.recipient, &mut one.reason]);
        for text in self.delivered.iter_mut().chain(refused) {
            *text = cut(std::mem::take(text));
        }
    }
}
