//! The outer object of a message: JSON, `msgtype`, and the object named by it. Apart because bots
//! and applications share it, with different lists of types.

use serde_json::{Map, Value};

use super::{ErrCode, Refused};
use crate::config::{AgentId, Rules, Secret};

/// Who sends a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The bot with this key.
    Bot(Secret),
    /// The application with this `agentid`.
    App(AgentId),
}

/// The two interfaces that take messages, which differ in what they take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Bot,
    App,
}

/// A type of message that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MsgType {
    Text,
    Markdown,
    MarkdownV2,
    TemplateCard,
}

/// A parsed request body.
pub(super) struct Envelope {
    pub(super) msgtype: MsgType,
    /// The object named by `msgtype`.
    pub(super) part: Map<String, Value>,
    /// Everything else.
    pub(super) object: Map<String, Value>,
}

impl Envelope {
    /// Reads a body. JSON that does not parse is "invalid message type" in the service's words.
    pub(super) fn parse(body: &[u8], channel: Channel, rules: &Rules) -> Result<Self, Refused> {
        let bad = || Refused::code_only(ErrCode::BAD_MESSAGE_TYPE);
        let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else {
            return Err(bad());
        };
        let name = object
            .get("msgtype")
            .and_then(Value::as_str)
            .ok_or_else(bad)?
            .to_owned();
        let Some(msgtype) = MsgType::of(&name, channel) else {
            let known = not_simulated(channel).contains(&name.as_str());
            return Err(if known {
                Refused::NotSimulated(format!("msgtype {name}"))
            } else {
                bad()
            });
        };
        match object.remove(&name) {
            Some(Value::Object(part)) => Ok(Self {
                msgtype,
                part,
                object,
            }),
            Some(_) | None => Err(Refused::code_only(rules.missing_object)),
        }
    }
}

impl MsgType {
    fn of(name: &str, channel: Channel) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "markdown" => Some(Self::Markdown),
            "markdown_v2" if channel == Channel::Bot => Some(Self::MarkdownV2),
            "template_card" => Some(Self::TemplateCard),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::MarkdownV2 => "markdown_v2",
            Self::TemplateCard => "template_card",
        }
    }
}

fn not_simulated(channel: Channel) -> &'static [&'static str] {
    match channel {
        Channel::Bot => &["image", "news", "file", "voice"],
        Channel::App => &[
            "image",
            "voice",
            "video",
            "file",
            "textcard",
            "news",
            "mpnews",
            "miniprogram_notice",
        ],
    }
}
