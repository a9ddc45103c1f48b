//! `receivers`: a name, the channels behind it, and who is asked when they fail.

use std::time::Duration;

use super::{Email, Webhook, WecomApp, WecomBot};
use crate::render::Locale;

/// One entry of `receivers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Unique within the file.
    pub name: String,
    /// Its channels, in the order of the file; none: its alerts are kept and told to nobody.
    pub integrations: Vec<Integration>,
    /// Who is told instead when a channel of this one fails.
    pub fallback: Option<Fallback>,
    /// Language and time zone of its people: its own, or the file's.
    pub locale: Locale,
}

/// One channel of a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Integration {
    /// Whether it hears that alerts are over. Default true, but false in `wechat_configs`, as
    /// upstream.
    pub send_resolved: bool,
    /// Which channel, with its settings.
    pub channel: Channel,
}

/// A channel with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Channel {
    /// `email_configs`.
    Email(Email),
    /// `wecom_configs` with `bot`.
    WecomBot(WecomBot),
    /// `wecom_configs` with `app`, and `wechat_configs`.
    WecomApp(WecomApp),
    /// `webhook_configs`.
    Webhook(Webhook),
    /// `inbox_configs`: the page of this server.
    Inbox,
}

/// Who is told instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The receiver: `fallback`.
    pub receiver: String,
    /// After the channel has owed something for so long: `fallback_after`, default 5 m.
    pub after: Duration,
}
