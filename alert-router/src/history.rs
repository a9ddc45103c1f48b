//! What is remembered of what happened, as JSON: one record per group and commit. These are stored
//! types: a field may be added with a default, none may be renamed or removed.

mod recipients;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{AlertKey, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::recipients::{Recipients, RefusedRecipient};
pub use self::report::Carried;
use crate::store::{DocKey, Record};

/// Alerts named in one list; more are counted. As many as a group keeps texts of.
const MAX_ALERTS: usize = 500;
/// Bytes of a text that comes from outside.
const MAX_TEXT_BYTES: usize = 512;
/// Reasons of upstream in one record: Alertmanager has five.
const MAX_REASONS: usize = 8;
/// Events of one record.
const MAX_EVENTS: usize = 64;

/// Something that happened to a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Alerts came in that changed it. Those that changed nothing are no history.
    Observed(Observed),
    /// A delivery was confirmed.
    Told {
        /// Which.
        delivery: Delivery,
        /// How many recipients refused it for good.
        #[serde(default, skip_serializing_if = "is_zero")]
        refused: u32,
        /// Who they are, and who has it.
        #[serde(default, skip_serializing_if = "Recipients::is_empty")]
        recipients: Recipients,
    },
    /// A delivery failed and will be tried again.
    Failed {
        /// Which.
        delivery: Delivery,
        /// Not before, in milliseconds since 1970.
        retry_at: i64,
        /// Whether it ended without any answer, so that it may have arrived.
        lapsed: bool,
    },
    /// A delivery never left: a rate limit, an open circuit. No attempt was counted.
    HeldBack {
        /// Which.
        delivery: Delivery,
        /// Until, in milliseconds since 1970; `None` while the destination is blocked.
        until: Option<i64>,
    },
    /// A delivery was given up and is a dead letter now.
    GaveUp {
        /// Which.
        delivery: Delivery,
        /// The same content is not tried again before, in milliseconds since 1970.
        until: i64,
    },
    /// A delivery was reported after it had lapsed, and changed nothing.
    Late {
        /// Which.
        delivery: Delivery,
    },
    /// A person had a given up delivery sent again as it was, and it was confirmed. What its
    /// people are known to have heard did not change.
    Resent {
        /// Which.
        delivery: Delivery,
        /// How many recipients refused it for good.
        #[serde(default, skip_serializing_if = "is_zero")]
        refused: u32,
        /// Who they are, and who has it.
        #[serde(default, skip_serializing_if = "Recipients::is_empty")]
        recipients: Recipients,
    },
    /// A person dropped a given up delivery: its people hear of it no more.
    Dropped {
        /// Which, with the answer to its last attempt.
        delivery: Delivery,
    },
    /// A given up delivery was older than `limits.dead_letters`, and went.
    Swept {
        /// Which, with the answer to its last attempt.
        delivery: Delivery,
    },
    /// A person dropped what could not be read, or had it taken in again. The record is about the
    /// body, not about a group.
    LeftQuarantine {
        /// The source that it was posted to.
        source: String,
        /// Why it was kept, as in the metric.
        reason: String,
        /// Whether it was taken in.
        replayed: bool,
    },
    /// After a config change alerts went on in another group, with what was heard of them.
    Moved {
        /// Which.
        alerts: Alerts,
        /// The other group.
        to: String,
    },
    /// After a config change alerts came from another group, with what was heard of them.
    Joined {
        /// Which.
        alerts: Alerts,
        /// The other group.
        from: String,
    },
    /// After a config change alerts stayed only to be told as over to those who know them.
    Departed {
        /// Which.
        alerts: Alerts,
    },
    /// The group was routed with another config.
    Config {
        /// The hash of its routing part.
        hash: String,
    },
    /// A fallback or an escalation began to hear news.
    Opened {
        /// Its destination.
        lane: String,
    },
    /// A destination left the config.
    Closed {
        /// Which.
        lane: String,
        /// How many alerts it knew as firing or was owed.
        unfinished: u32,
    },
    /// Missed occurrences were too old or too many to be told one by one, and became a count.
    Folded {
        /// For which destination.
        lane: String,
        /// How many.
        count: u32,
    },
    /// Something that a newer binary wrote.
    #[serde(other)]
    Unknown,
}

/// What observations did to the alerts of a group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Began to fire.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub began: Alerts,
    /// Are over.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub ended: Alerts,
    /// Were over, but one copy says that they fire.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub doubted: Alerts,
    /// Go on after all.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub reopened: Alerts,
    /// Changed a text, a start or an end.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub edited: Alerts,
    /// Why upstream spoke, in Alertmanager's words: more than one if several bodies came together.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub upstream: BTreeSet<String>,
}

/// Which alerts: fingerprints by source.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Alerts {
    /// Sixteen hex digits each, by source; at most 500 in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_source: BTreeMap<String, Vec<String>>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// A message that was to be carried.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Which attempt of the lane, from 1.
    pub attempt: u32,
    /// The receiver's name in the config.
    pub receiver: String,
    /// `email`, `wecom_bot` …
    pub channel: String,
    /// To whom, as people may see it.
    pub destination: String,
    /// Why the group spoke; `None` if no lane knows the delivery any more.
    pub reason: Option<Why>,
    /// Of which alerts.
    pub alerts: Alerts,
    /// The provider's answer, or the error, redacted.
    pub answer: String,
}

/// Why a group spoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its first message.
    First,
    /// Alerts joined that were not told yet.
    NewAlerts,
    /// Some are over, others still fire.
    SomeResolved,
    /// All that was told is over.
    AllResolved,
    /// All of it began and ended before it could be told.
    Missed,
    /// Nothing changed; a reminder.
    Repeat,
    /// Something that a newer binary wrote.
    #[serde(other)]
    Unknown,
}

/// The bytes of a record are not what any binary of ours wrote.
#[derive(Debug, thiserror::Error)]
#[error("a record of the history cannot be read; the others still can")]
pub struct Unreadable(#[from] serde_json::Error);

/// The record of one commit about one document; `None` if nothing happened.
///
/// Texts of the events are cut to 512 bytes, and events beyond 64 are left out.
#[must_use]
pub fn record(at: Timestamp, about: DocKey, events: Vec<Event>) -> Option<Record> {
    if events.is_empty() {
        return None;
    }
    let events: Vec<Event> = events
        .into_iter()
        .take(MAX_EVENTS)
        .map(Event::cut)
        .collect();
    let bytes = serde_json::to_vec(&events).expect("strings and numbers always serialise");
    Some(Record {
        at,
        about,
        bytes: bytes.into(),
    })
}

/// What a record says.
///
/// # Errors
/// When it is damaged. A record of a newer binary reads as [`Event::Unknown`] where it is new.
pub fn read(record: &Record) -> Result<Vec<Event>, Unreadable> {
    Ok(serde_json::from_slice(&record.bytes)?)
}

impl Event {
    /// Whether it is about `alert`, or may be because not all alerts are named.
    #[must_use]
    pub fn may_concern(&self, alert: &AlertKey) -> bool {
        match self {
            Self::Observed(observed) => observed.lists().any(|list| list.may_hold(alert)),
            Self::Told { delivery, .. }
            | Self::Resent { delivery, .. }
            | Self::Failed { delivery, .. }
            | Self::HeldBack { delivery, .. }
            | Self::GaveUp { delivery, .. }
            | Self::Late { delivery }
            | Self::Dropped { delivery }
            | Self::Swept { delivery } => delivery.alerts.may_hold(alert),
            Self::Moved { alerts, .. }
            | Self::Joined { alerts, .. }
            | Self::Departed { alerts } => alerts.may_hold(alert),
            Self::LeftQuarantine { .. } => false,
            Self::Config { .. }
            | Self::Opened { .. }
            | Self::Closed { .. }
            | Self::Folded { .. }
            | Self::Unknown => true,
        }
    }

    /// The delivery that it is about.
    #[must_use]
    pub fn delivery(&self) -> Option<&Delivery> {
        match self {
            Self::Told { delivery, .. }
            | Self::Resent { delivery, .. }
            | Self::Failed { delivery, .. }
            | Self::HeldBack { delivery, .. }
            | Self::GaveUp { delivery, .. }
            | Self::Late { delivery }
            | Self::Dropped { delivery }
            | Self::Swept { delivery } => Some(delivery),
            Self::Observed(_)
            | Self::LeftQuarantine { .. }
            | Self::Moved { .. }
            | Self::Joined { .. }
            | Self::Departed { .. }
            | Self::Config { .. }
            | Self::Opened { .. }
            | Self::Closed { .. }
            | Self::Folded { .. }
            | Self::Unknown => None,
        }
    }

    /// What became of a confirmed delivery for each recipient.
    #[must_use]
    pub fn recipients(&self) -> Option<&Recipients> {
        let (Self::Told { recipients, .. } | Self::Resent { recipients, .. }) = self else {
            return None;
        };
        Some(recipients)
    }

    /// Bounds what comes from outside: the provider's answer, and names of the config.
    fn cut(mut self) -> Self {
        match &mut self {
            Self::Told {
                delivery,
                recipients,
                ..
            }
            | Self::Resent {
                delivery,
                recipients,
                ..
            } => {
                delivery.cut();
                recipients.cut();
            }
            Self::Failed { delivery, .. }
            | Self::HeldBack { delivery, .. }
            | Self::GaveUp { delivery, .. }
            | Self::Late { delivery }
            | Self::Dropped { delivery }
            | Self::Swept { delivery } => delivery.cut(),
            Self::Observed(observed) => observed.cut(),
            Self::LeftQuarantine { .. }
            | Self::Moved { .. }
            | Self::Joined { .. }
            | Self::Departed { .. }
            | Self::Config { .. }
            | Self::Opened { .. }
            | Self::Closed { .. }
            | Self::Folded { .. }
            | Self::Unknown => {}
        }
        self
    }
}

impl Observed {
    fn lists(&self) -> impl Iterator<Item = &Alerts> {
        [
            &self.began,
            &self.ended,
            &self.doubted,
            &self.reopened,
            &self.edited,
        ]
        .into_iter()
    }

    fn cut(&mut self) {
        let reasons = std::mem::take(&mut self.upstream).into_iter();
        self.upstream = reasons.take(MAX_REASONS).map(cut).collect();
    }
}

impl Alerts {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty() && self.more == 0
    }

    /// Whether `alert` is named, or may be among those that are only counted.
    #[must_use]
    pub fn may_hold(&self, alert: &AlertKey) -> bool {
        let fingerprint = alert.fingerprint.to_string();
        let named = self.by_source.get(alert.source.as_str());
        self.more > 0 || named.is_some_and(|named| named.contains(&fingerprint))
    }
}

impl<'a> FromIterator<&'a AlertKey> for Alerts {
    fn from_iter<T: IntoIterator<Item = &'a AlertKey>>(alerts: T) -> Self {
        let mut made = Self::default();
        for (n, alert) in alerts.into_iter().enumerate() {
            if n >= MAX_ALERTS {
                made.more = made.more.saturating_add(1);
                continue;
            }
            let source = cut(alert.source.as_str().to_owned());
            let named = made.by_source.entry(source).or_default();
            named.push(alert.fingerprint.to_string());
        }
        made
    }
}

impl Delivery {
    fn cut(&mut self) {
        for text in [&mut self.receiver, &mut self.destination, &mut self.answer] {
            *text = cut(std::mem::take(text));
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
