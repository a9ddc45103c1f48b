//! The content of a message and the rules that decide whether it is taken, above all its size in
//! bytes of UTF-8.

use serde_json::{Map, Value};

use super::card::{self, Card};
use super::envelope::{Channel, Envelope, MsgType};
use super::{ErrCode, Refused};
use crate::config::{Directory, Rules};
use crate::markup::{self, Dialect, Warning};

/// Bytes of a bot's `markdown` and `markdown_v2` (documented, and enforced in public logs).
const BOT_MARKDOWN_MAX: usize = 4096;
/// Bytes of an application's `text`: what is longer is cut in silence (documented).
const APP_TEXT_MAX: usize = 2048;
/// Bytes of an application's `markdown` (documented).
const APP_MARKDOWN_MAX: usize = 2048;

/// What people are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Plain text, with the people and phone numbers that a bot's text calls.
    Text {
        /// After a silent cut, if there was one.
        text: String,
        /// `mentioned_list`
        userids: Vec<String>,
        /// `mentioned_mobile_list`
        mobiles: Vec<String>,
    },
    /// The older subset, with colours and mentions.
    Markdown(String),
    /// The newer subset, with tables and code.
    MarkdownV2(String),
    /// A template card.
    Card(Box<Card>),
}

impl Content {
    /// The `msgtype` it came as.
    pub fn msgtype(&self) -> &'static str {
        let msgtype = match self {
            Self::Text { .. } => MsgType::Text,
            Self::Markdown(_) => MsgType::Markdown,
            Self::MarkdownV2(_) => MsgType::MarkdownV2,
            Self::Card(_) => MsgType::TemplateCard,
        };
        msgtype.name()
    }

    /// Checks what `msgtype` names.
    pub(super) fn parse(
        envelope: &Envelope,
        channel: Channel,
        rules: &Rules,
    ) -> Result<Self, Refused> {
        let part = &envelope.part;
        match envelope.msgtype {
            MsgType::Text => text(part, channel, rules),
            MsgType::Markdown => {
                let max = match channel {
                    Channel::Bot => BOT_MARKDOWN_MAX,
                    Channel::App => APP_MARKDOWN_MAX,
                };
                Ok(Self::Markdown(limited(part, envelope.msgtype, max)?))
            }
            MsgType::MarkdownV2 => Ok(Self::MarkdownV2(limited(
                part,
                envelope.msgtype,
                BOT_MARKDOWN_MAX,
            )?)),
            MsgType::TemplateCard => Ok(Self::Card(Box::new(card::parse(part, channel)?))),
        }
    }

    /// What people see differently from what the author had in mind.
    pub(super) fn warnings(&self, envelope: &Envelope, directory: &Directory) -> Vec<Warning> {
        let (dialect, content) = match self {
            Self::Markdown(content) => (Dialect::Markdown, content),
            Self::MarkdownV2(content) => (Dialect::MarkdownV2, content),
            Self::Text { .. } => return self.text_warnings(envelope, directory),
            Self::Card(_) => return Vec::new(),
        };
        let mut warnings = markup::warnings(dialect, content, directory);
        let lists = ["mentioned_list", "mentioned_mobile_list"];
        if lists.iter().any(|list| envelope.part.contains_key(*list)) {
            warnings.push(Warning::MentionedListIgnored);
        }
        warnings
    }

    pub(super) fn source(&self) -> String {
        match self {
            Self::Text { text, .. } => text.clone(),
            Self::Markdown(content) | Self::MarkdownV2(content) => content.clone(),
            Self::Card(card) => card.words(),
        }
    }

    fn text_warnings(&self, envelope: &Envelope, directory: &Directory) -> Vec<Warning> {
        let Self::Text { text, userids, .. } = self else {
            return Vec::new();
        };
        let mut warnings = Vec::new();
        let sent = envelope
            .part
            .get("content")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if text.len() < sent.len() {
            warnings.push(Warning::CutAt(text.len()));
        }
        if text.contains('\u{fffd}') {
            warnings.push(Warning::ReplacementCharacter);
        }
        let unknown = |id: &&String| *id != "@all" && directory.name(id).is_none();
        warnings.extend(
            userids
                .iter()
                .filter(unknown)
                .cloned()
                .map(Warning::UnknownMention),
        );
        warnings
    }
}

fn text(part: &Map<String, Value>, channel: Channel, rules: &Rules) -> Result<Content, Refused> {
    match channel {
        Channel::Bot => Ok(Content::Text {
            text: limited(part, MsgType::Text, rules.bot_text_max)?,
            userids: strings(part, "mentioned_list")?,
            mobiles: strings(part, "mentioned_mobile_list")?,
        }),
        Channel::App => {
            let text = filled(part)?;
            let text = text[..text.floor_char_boundary(APP_TEXT_MAX)].to_owned();
            Ok(Content::Text {
                text,
                userids: Vec::new(),
                mobiles: Vec::new(),
            })
        }
    }
}

/// `content`, if it is there and at most `max` bytes long.
fn limited(part: &Map<String, Value>, kind: MsgType, max: usize) -> Result<String, Refused> {
    let content = filled(part)?;
    if content.len() > max {
        let kind = kind.name();
        let general = ErrCode::INVALID_PARAMETER.reason();
        let reason = format!("{kind}.content exceed max length {max}. {general}");
        return Err(Refused::invalid(reason));
    }
    Ok(content.to_owned())
}

fn filled(part: &Map<String, Value>) -> Result<&str, Refused> {
    match part.get("content") {
        None | Some(Value::Null) => Err(Refused::code_only(ErrCode::EMPTY_CONTENT)),
        Some(Value::String(content)) if content.trim().is_empty() => {
            Err(Refused::code_only(ErrCode::EMPTY_CONTENT))
        }
        Some(Value::String(content)) => Ok(content),
        Some(_) => Err(Refused::invalid("content is not a string")),
    }
}

fn strings(part: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refused> {
    let bad = || Refused::invalid(format!("{name} is not a list of strings"));
    match part.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(bad))
            .collect(),
        Some(_) => Err(bad()),
    }
}
