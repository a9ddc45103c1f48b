//! The seam to people: a receiver renders a message for its channel and carries it, within a
//! deadline. A new receiver is one file and three adjacent lines here.

mod admin;
mod build;
mod email;
mod http;
mod inbox;
mod probe;
mod reasons;
mod redact;
mod tls;
mod webhook;
mod wecom;
mod wecom_app;
mod wecom_bot;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod scripted;

pub use admin::{AdminError, Question, ask_server};
pub(crate) use build::Builder;
pub use build::Materials;
#[cfg(test)]
pub(crate) use email::testing::{Act as MailAct, Server as MailServer};
pub use email::{AccessTokens, Accounts, Email};
pub use http::BuildError;
pub(crate) use inbox::CHANNEL as INBOX;
pub use inbox::{Entry, Inbox, newest};
pub(crate) use probe::ways;
pub(crate) use reasons::reasons;
pub use webhook::Webhook;
pub(crate) use webhook::raw_alert;
pub use wecom_app::{Applications, WecomApp};
pub use wecom_bot::WecomBot;

use std::collections::BTreeSet;
use std::time::Duration;

use alert_engine::{DeliveryId, LaneKey, Timestamp};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::message::Message;
use crate::render::{Language, Phrase};

/// What people would call the same mailbox or room, however the config spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The channel: `email`, `wecom_bot`, `wecom_app`, `webhook`, `inbox`.
    pub channel: &'static str,
    /// Hash of the canonical address: sorted recipients, bot key, URL. Never the address itself,
    /// because it may be a secret.
    pub key: LaneKey,
    /// How people may see it named in pages, logs and metrics: no secret.
    pub label: String,
}

/// One message per `per` on average is too simple for real channels: each window counts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// At most so many messages …
    pub messages: u32,
    /// … in any span of this length.
    pub per: Duration,
}

/// What a channel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rolling windows; empty: no limit.
    pub windows: Vec<Window>,
    /// The counters that a message uses up. Destinations that share a key share the windows:
    /// a robot's key, each member of an application, a mail address. Usually one.
    pub shared: Vec<LaneKey>,
    /// The sum of the deadlines of all steps of one message.
    pub deadline: Duration,
    /// Whether prioritised messages are exempt from windows of an hour or longer.
    pub priority_exempt_hourly: bool,
}

/// What an account takes of all who are reached through it, beside what each of them takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The counter.
    pub key: LaneKey,
    /// Rolling windows of its own.
    pub windows: Vec<Window>,
    /// How much of them one message uses up: mail providers count its recipients.
    pub each: u32,
}

/// One rendered request to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Names it within its delivery: what `Progress` refers to.
    pub id: String,
    /// The exact bytes: a MIME message, a JSON body. A retry sends the same.
    pub body: Bytes,
    /// Who gets it, where the channel addresses people one by one.
    pub recipients: Vec<String>,
}

/// What was surely taken by the provider: a part's id, or `part/recipient` where each recipient
/// has a result of its own. A retry leaves these out.
pub type Progress = BTreeSet<String>;

/// What a receiver wants to know at its next message of the same lane (last Message-IDs, a card's
/// response code). At most 1 KiB, opaque.
pub type Memory = Bytes;

/// One rendered delivery, as stored before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Stable for all attempts with this content.
    pub id: DeliveryId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When it was rendered.
    pub created: Timestamp,
    /// What to send, in order.
    pub parts: Vec<Part>,
    /// What earlier attempts got through.
    pub progress: Progress,
}

impl Delivery {
    /// How many messages it still costs, from 1.
    pub(crate) fn messages(&self) -> u32 {
        let left = |part: &&Part| !self.progress.contains(&part.id);
        let parts = self.parts.iter().filter(left).count();
        u32::try_from(parts).unwrap_or(u32::MAX).max(1)
    }
}

/// A message to be rendered, and what the lane remembers.
#[derive(Clone, Debug)]
pub struct Rendering<'a> {
    /// What to say.
    pub message: &'a Message,
    /// What the receiver left at the lane's last delivery.
    pub memory: Option<&'a Memory>,
    /// The time zone and language of the receiver.
    pub locale: &'a crate::render::Locale,
}

/// The provider confirmed the delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's answer in its own words, redacted, at most 1 KiB.
    pub answer: String,
    /// Recipients who will never get it, with the reason; the others have it.
    pub refused: Vec<RefusedRecipient>,
    /// For the lane's next delivery.
    pub memory: Option<Memory>,
}

/// A recipient who was refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecipient {
    /// The address or user id.
    pub recipient: String,
    /// The provider's reason.
    pub reason: String,
}

/// How a delivery failed, in the engine's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may have arrived, or trying again makes sense.
    Failed {
        /// The provider's wish.
        retry_after: Option<Duration>,
    },
    /// It did not arrive and never will as it is.
    Refused,
    /// It never left: rate limit, open circuit. No attempt is counted.
    Deferred {
        /// How long to wait.
        wait: Duration,
    },
    /// The destination is misconfigured: nothing gets through until somebody changes something.
    Blocked {
        /// When a probe makes sense.
        probe_after: Duration,
    },
}

/// A delivery that was not confirmed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{answer}")]
pub struct SendError {
    /// What the engine makes of it.
    pub failure: Failure,
    /// A reason for metrics, such as `timeout`, `rate_limited`, `auth`, `recipient`; one of those
    /// in `receiver/reasons.rs`.
    pub reason: &'static str,
    /// The provider's code, if it gave one (`535`, `93000`).
    pub code: Option<String>,
    /// What happened, redacted, at most 1 KiB.
    pub answer: String,
    /// What the operator should do, if anything.
    pub fix: Option<Phrase>,
    /// What got through before it failed.
    pub progress: Progress,
}

impl SendError {
    /// Reason, code and answer on one line.
    pub(crate) fn words(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(" {code}"));
        format!(
            "{}{}: {}",
            self.reason,
            code.unwrap_or_default(),
            self.answer
        )
    }

    /// All of it for people; `before_fix` stands before what they should do.
    pub(crate) fn explained(&self, before_fix: &str) -> Phrase {
        let what = self.words();
        let fix = |language, to_do: &str| {
            let fix = self.fix.as_ref();
            fix.map_or_else(String::new, |fix| {
                format!("{before_fix}{to_do}{}", fix.in_language(language))
            })
        };
        Phrase::new(
            format!("not delivered: {what}{}", fix(Language::English, "to do: ")),
            format!("未送达：{what}{}", fix(Language::Chinese, "处理办法：")),
        )
    }
}

/// Why a message could not be rendered even with the fallback text.
#[derive(Debug, thiserror::Error)]
#[error("message does not fit {channel}: {why}")]
pub struct RenderError {
    /// The channel.
    pub channel: &'static str,
    /// The reason, and what to change.
    pub why: String,
}

/// Carries one rendered delivery to people, within a deadline.
pub trait Receiver: Send + Sync + 'static {
    /// Whom it reaches.
    fn destination(&self) -> &Destination;
    /// What its channel takes.
    fn limits(&self) -> &Limits;
    /// What the account takes through which it is reached, if that is limited.
    fn quota(&self) -> Option<&Quota> {
        None
    }
    /// Renders a message: pure, the same input gives the same bytes. At most three parts.
    ///
    /// A template error is not an error here: the fallback text says so.
    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError>;
    /// All settings on which [`render`](Self::render) depends, but for addresses and names: two
    /// receivers of a channel with the same render alike, so a check of one is a check of both.
    /// `None`: like no other.
    fn look(&self) -> Option<String> {
        None
    }
    /// Sends what `delivery.progress` does not hold yet. Returns within `limits().deadline`.
    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>>;
}
