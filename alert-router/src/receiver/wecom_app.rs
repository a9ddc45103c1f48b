//! An application of WeCom that writes to members, departments and tags. Its messages can be
//! repeated safely (`enable_duplicate_check`), and its limits are silent: what goes over the limit
//! of a member is dropped with "ok", so only our own counting prevents a loss.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::http::BuildError;
use super::wecom::content::{Content, Markup, Room};
use super::wecom::{self, CALL};
use super::{
    Delivery, Destination, Limits, Part, Receipt, Receiver, RenderError, Rendering, SendError,
    Window,
};
use crate::config::{self, AppFormat};
use crate::render::Renderer;
use account::App;
use recipients::Recipients;

mod account;
mod recipients;
mod token;

pub use account::Applications;
pub(super) use account::{is_same_account, probe};

const CHANNEL: &str = "wecom_app";
/// Messages of one delivery, the copy as text included.
const PARTS: usize = 3;
/// What one application may send to one member. The second more is for messages that travel at
/// different speeds: beyond the limit WeCom drops them and says "ok".
const WINDOWS: [Window; 2] = [
    Window {
        messages: 30,
        per: Duration::from_secs(61),
    },
    Window {
        messages: 1000,
        per: Duration::from_secs(3601),
    },
];
/// A token, each part, one of them in halves, and once more with a fresh token.
const DEADLINE: Duration = CALL.saturating_mul(PARTS as u32 + 5);
/// Text and markdown alike; a longer text would be cut without a word.
const BYTES: usize = 2048;
/// Seconds in which WeCom recognises a repetition: the most that it offers, because a delivery is
/// tried again for hours. Two messages are never alike by chance, for each shows its second.
const DUPLICATE_CHECK: u32 = 14_400;

/// A receiver of an application, ready to send.
#[derive(Debug)]
pub struct WecomApp {
    destination: Destination,
    limits: Limits,
    format: AppFormat,
    agent_id: u64,
    main: Recipients,
    /// Readers in personal WeChat, which shows no markdown: they get text.
    copy: Recipients,
    renderer: Arc<Renderer>,
    app: Arc<App>,
}

impl WecomApp {
    /// Builds the receiver; starts nothing.
    ///
    /// `applications` are those of the whole config: receivers of one application share its token,
    /// and a message to a department, a tag or `@all` uses up the limit of every member whom any
    /// of them names.
    ///
    /// # Errors
    /// If the proxy or the API's URL cannot be used.
    pub fn new(
        config: &config::WecomApp,
        applications: &Applications,
        renderer: Arc<Renderer>,
    ) -> Result<Self, BuildError> {
        let everybody = Recipients::of(config);
        let (main, copy) = Recipients::readers(config);
        Ok(Self {
            destination: everybody.destination(config),
            limits: Limits {
                windows: WINDOWS.to_vec(),
                shared: everybody.counters(config, &applications.members(config)),
                deadline: DEADLINE,
                priority_exempt_hourly: false,
            },
            format: config.format,
            agent_id: config.agent_id,
            main,
            copy,
            renderer,
            app: applications.account(config)?,
        })
    }

    /// The content for some readers in one format.
    fn parts(
        &self,
        content: &Content<'_>,
        prefix: &str,
        (format, to): (AppFormat, &Recipients),
        parts: usize,
    ) -> Vec<Part> {
        if to.is_empty() {
            return Vec::new();
        }
        let texts = content.fit(&Room {
            markup: match format {
                AppFormat::Markdown => Markup::Coloured,
                AppFormat::Text => Markup::None,
            },
            bytes: BYTES,
            parts,
        });
        let part =
            |(n, text): (usize, String)| self.part(format!("{prefix}{n}"), format, to, &text);
        (1..).zip(texts).map(part).collect()
    }

    fn part(&self, id: String, format: AppFormat, to: &Recipients, content: &str) -> Part {
        let name = match format {
            AppFormat::Markdown => "markdown",
            AppFormat::Text => "text",
        };
        let body = json!({
            "touser": to.users.join("|"),
            "toparty": to.parties.join("|"),
            "totag": to.tags.join("|"),
            "agentid": self.agent_id,
            "msgtype": name,
            name: {"content": content},
            "enable_duplicate_check": 1,
            "duplicate_check_interval": DUPLICATE_CHECK,
        });
        Part {
            id,
            body: body.to_string().into(),
            recipients: to.names(),
        }
    }
}

impl Receiver for WecomApp {
    fn destination(&self) -> &Destination {
        &self.destination
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let content = Content::of(rendering.message, rendering.locale, &self.renderer);
        let copies = match (self.main.is_empty(), self.copy.is_empty()) {
            (_, true) => 0,
            (false, false) => 1,
            (true, false) => PARTS,
        };
        let (main, copy) = ((self.format, &self.main), (AppFormat::Text, &self.copy));
        let mut parts = self.parts(&content, "", main, PARTS - copies);
        parts.extend(self.parts(&content, "copy-", copy, copies));
        Ok(parts)
    }

    fn look(&self) -> Option<String> {
        let readers = (self.main.is_empty(), self.copy.is_empty());
        Some(format!("{:?} {readers:?}", self.format))
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let redaction = &self.app.redaction;
        Box::pin(wecom::deliver(&*self.app, delivery, DEADLINE, redaction))
    }
}

#[cfg(test)]
mod tests;
