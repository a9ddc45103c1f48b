//! `wecom_configs` (a group robot, or an application) and upstream's `wechat_configs`, which is the
//! application under other names.

use reqwest::Url;

use super::{Secret, SecretUrl};

/// The vendor's API; what paths are appended to.
pub const WECOM_API: &str = "https://qyapi.weixin.qq.com/cgi-bin/";

/// A group robot: `wecom_configs: [{bot: {…}}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WecomBot {
    /// The robot's key, however it was given (`webhook_url`, `key`, or a file of either).
    pub key: Secret,
    /// Base of all calls, ends with `/cgi-bin/`: from `webhook_url` or `api_url`, by default
    /// [`WECOM_API`].
    pub api_url: Url,
    /// The kind of message; default markdown.
    pub format: BotFormat,
    /// User ids to mention, `@all` for everybody.
    pub mention: Vec<String>,
    /// Mobile numbers to mention: `mention_mobile`.
    pub mention_mobile: Vec<String>,
    /// Whether a short text follows that really mentions, where the format cannot: `mention_text`,
    /// default true. Costs one more message.
    pub mention_text: bool,
    /// The proxy for these calls. May hold credentials.
    pub proxy_url: Option<SecretUrl>,
}

/// An application's messages to members: `wecom_configs: [{app: {…}}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WecomApp {
    /// The corporation, or `global.wechat_api_corp_id`.
    pub corp_id: String,
    /// The application's secret (`secret`, `secret_file`), or `global.wechat_api_secret`.
    pub secret: Secret,
    /// The application's number.
    pub agent_id: u64,
    /// Members: `to_user`, split at `|`. `@all` stands alone.
    pub to_user: Vec<String>,
    /// Departments: `to_party`, split at `|`.
    pub to_party: Vec<String>,
    /// Tags: `to_tag`, split at `|`.
    pub to_tag: Vec<String>,
    /// Members who read in personal WeChat, which shows no markdown: they get text.
    pub text_copy: Vec<String>,
    /// The kind of message; default markdown (`wechat_configs`: text).
    pub format: AppFormat,
    /// Base of all calls, ends with `/`: `api_url`, `global.wechat_api_url`, or [`WECOM_API`].
    pub api_url: Url,
    /// The proxy for these calls. May hold credentials.
    pub proxy_url: Option<SecretUrl>,
}

/// What a robot sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BotFormat {
    /// Colours and mentions.
    #[default]
    Markdown,
    /// Tables and code, neither colours nor mentions.
    MarkdownV2,
    /// Readable in personal WeChat too.
    Text,
    /// A card with a link.
    TemplateCard,
}

/// What an application sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AppFormat {
    /// Colours.
    #[default]
    Markdown,
    /// Readable in personal WeChat too.
    Text,
}
