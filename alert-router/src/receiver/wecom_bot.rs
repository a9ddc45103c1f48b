//! A group robot of WeCom: one key, one room, 20 messages a minute, no idempotency and no message
//! ids. What the codes mean stands in `wecom/classify.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::LaneKey;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};

use super::http::{BuildError, HttpClient};
use super::probe::Findings;
use super::redact::Redaction;
use super::wecom::content::{Content, Markup, Room};
use super::wecom::reply::{Accepted, Trouble};
use super::wecom::{self, CALL, Hold, Post};
use super::{
    Delivery, Destination, Limits, Part, Receipt, Receiver, RenderError, Rendering, SendError,
    Window,
};
use crate::clock::Clock;
use crate::config::{self, BotFormat, People, Trust};
use crate::render::Renderer;
use mentions::{Calls, Mentions};

mod mentions;

const CHANNEL: &str = "wecom_bot";
/// Messages of one delivery, the one that mentions included.
const PARTS: usize = 3;
/// The vendor allows 20; two are left for a message that must be halved, and for clocks that
/// disagree.
const WINDOW: Window = Window {
    messages: 18,
    per: Duration::from_secs(60),
};
/// Each part once, and one of them in halves.
const DEADLINE: Duration = CALL.saturating_mul(PARTS as u32 + 2);
/// What is sent as markdown may have so many bytes.
const MARKDOWN_BYTES: usize = 4096;
/// What is sent as text may have so many bytes.
const TEXT_BYTES: usize = 2048;

/// A robot, ready to send.
#[derive(Debug)]
pub struct WecomBot {
    destination: Destination,
    limits: Limits,
    format: Format,
    mentions: Mentions,
    /// Whether the same follows as text, for whoever sees no markdown.
    text_copy: bool,
    renderer: Arc<Renderer>,
    robot: Robot,
}

/// The formats that this receiver writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Markdown,
    MarkdownV2,
    Text,
}

/// The way to the provider.
struct Robot {
    http: HttpClient,
    /// Holds the key.
    url: Url,
    redaction: Redaction,
    hold: Hold,
    clock: Arc<dyn Clock>,
}

impl WecomBot {
    /// Builds the receiver; starts nothing.
    pub fn new(
        config: &config::WecomBot,
        renderer: Arc<Renderer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let key = LaneKey::of(&[CHANNEL.as_bytes(), config.key.expose().as_bytes()]);
        Ok(Self {
            destination: Destination {
                channel: CHANNEL,
                key,
                label: format!("WeCom robot {}", &key.to_string()[..8]),
            },
            limits: Limits {
                windows: vec![WINDOW],
                shared: vec![key],
                deadline: DEADLINE,
                priority_exempt_hourly: false,
            },
            format: Format::of(config.format)?,
            mentions: Mentions::of(config),
            text_copy: config.text_copy && config.format != BotFormat::Text,
            renderer,
            robot: Robot::new(config, clock)?,
        })
    }
}

/// A robot has no call but the one that writes.
pub(super) fn probe(receiver: &str) -> Findings {
    let how = format!(
        "a robot can only be tried by a message: alert-router send-test --receiver {receiver:?}"
    );
    Findings::default().saw("not tried", how)
}

impl WecomBot {
    /// The content once more, as one text, which calls people if there is a reason to.
    fn copy(&self, content: &Content<'_>, people: &People) -> (String, Value) {
        let texts = content.fit(&Room {
            markup: Format::Text.markup(),
            bytes: Format::Text.bytes(),
            parts: 1,
        });
        let mut copy = body(Format::Text, &texts.concat());
        if self
            .mentions
            .calls(Format::Text, people, content.is_urgent())
            == Calls::Listed
        {
            people.list(&mut copy);
        }
        ("copy".to_owned(), copy)
    }
}

impl Receiver for WecomBot {
    fn destination(&self) -> &Destination {
        &self.destination
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let content = Content::of(rendering.message, rendering.locale, &self.renderer);
        let people = self.mentions.people(rendering.message);
        let calls = match self.text_copy {
            // The copy is a text, so it calls for sure.
            true => Calls::Nobody,
            false => self
                .mentions
                .calls(self.format, &people, content.is_urgent()),
        };
        let prefix = people.prefix(calls);
        let follows = self.text_copy || calls == Calls::Afterwards;
        let mut texts = content.fit(&Room {
            markup: self.format.markup(),
            bytes: self.format.bytes() - prefix.len(),
            parts: PARTS - usize::from(follows),
        });
        if let Some(first) = texts.first_mut() {
            first.insert_str(0, &prefix);
        }
        let bodies = texts.iter().map(|text| body(self.format, text));
        let mut parts: Vec<_> = (1..).map(|n| n.to_string()).zip(bodies).collect();
        match calls {
            Calls::Nobody | Calls::Inline => {}
            Calls::Listed => parts[..1]
                .iter_mut()
                .for_each(|(_, body)| people.list(body)),
            Calls::Afterwards => {
                let mut text = body(Format::Text, &content.title(TEXT_BYTES));
                people.list(&mut text);
                parts.push(("mention".to_owned(), text));
            }
        }
        parts.extend(self.text_copy.then(|| self.copy(&content, &people)));
        Ok(parts.into_iter().map(part).collect())
    }

    fn look(&self) -> Option<String> {
        let Self {
            format,
            mentions,
            text_copy,
            ..
        } = self;
        Some(format!("{format:?} {text_copy} {mentions:?}"))
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let redaction = &self.robot.redaction;
        Box::pin(wecom::deliver(&self.robot, delivery, DEADLINE, redaction))
    }
}

impl Format {
    fn of(format: BotFormat) -> Result<Self, BuildError> {
        match format {
            BotFormat::Markdown => Ok(Self::Markdown),
            BotFormat::MarkdownV2 => Ok(Self::MarkdownV2),
            BotFormat::Text => Ok(Self::Text),
            BotFormat::TemplateCard => Err(BuildError::Unsupported {
                what: "format: template_card",
                fix: "write markdown, markdown_v2 or text",
            }),
        }
    }

    /// As `msgtype` names it.
    fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::MarkdownV2 => "markdown_v2",
            Self::Text => "text",
        }
    }

    fn markup(self) -> Markup {
        match self {
            Self::Markdown => Markup::Coloured,
            Self::MarkdownV2 => Markup::Plain,
            Self::Text => Markup::None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Markdown | Self::MarkdownV2 => MARKDOWN_BYTES,
            Self::Text => TEXT_BYTES,
        }
    }
}

fn body(format: Format, content: &str) -> Value {
    let name = format.name();
    json!({"msgtype": name, name: {"content": content}})
}

fn part((id, body): (String, Value)) -> Part {
    Part {
        id,
        body: body.to_string().into(),
        recipients: Vec::new(),
    }
}

impl Robot {
    fn new(config: &config::WecomBot, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let mut url = config
            .api_url
            .join("webhook/send")
            .map_err(|_| BuildError::ApiUrl)?;
        url.query_pairs_mut()
            .append_pair("key", config.key.expose());
        Ok(Self {
            http: HttpClient::new(config.proxy_url.as_ref(), &Trust::default())?,
            url,
            redaction: Redaction::of(wecom::secrets(&config.key, config.proxy_url.as_ref())),
            hold: Hold::default(),
            clock,
        })
    }
}

impl Post for Robot {
    async fn post(&self, body: Bytes) -> Result<Accepted, Trouble> {
        self.hold.check(self.clock.now())?;
        let answer = wecom::post_json(&self.http, self.url.clone(), body).await;
        self.hold.note(&answer, self.clock.now());
        answer
    }
}

/// Without the URL and the key in it.
impl fmt::Debug for Robot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Robot")
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
