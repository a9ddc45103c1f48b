//! `wecom_configs` (a group robot, or an application) and upstream's `wechat_configs`, which is the
//! application under other names.

use alert_engine::Matchers;
use reqwest::Url;

use super::fields::{Fields, Given};
use super::problem::Complaint;
use super::read::Node;
use super::{Channel, Secret, SecretUrl, address, route, webhook};

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
    /// Whom every message about new alerts mentions.
    pub mention: People,
    /// Whom it mentions besides, by alert: `mention_when`.
    pub mention_when: Vec<MentionWhen>,
    /// Whether a short text follows that really mentions, where the format cannot: `mention_text`,
    /// default true. Costs one more message.
    pub mention_text: bool,
    /// Whether the same follows as text, for people who read in personal WeChat: `text_copy`,
    /// default false. Costs one more message, which also mentions.
    pub text_copy: bool,
    /// The proxy for these calls. May hold credentials.
    pub proxy_url: Option<SecretUrl>,
}

/// People whom a robot mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// User ids, `@all` for everybody: `mention`.
    pub users: Vec<String>,
    /// Mobile numbers: `mention_mobile`.
    pub mobiles: Vec<String>,
}

/// People whom a robot mentions for some alerts only, such as those of a severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MentionWhen {
    /// Which alerts.
    pub matchers: Matchers,
    /// Whom.
    pub people: People,
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
    /// Who gets text, because they read in personal WeChat, which shows no markdown.
    pub text_copy: TextCopy,
    /// The kind of message; default markdown (`wechat_configs`: text).
    pub format: AppFormat,
    /// Base of all calls, ends with `/`: `api_url`, `global.wechat_api_url`, or [`WECOM_API`].
    pub api_url: Url,
    /// The proxy for these calls. May hold credentials.
    pub proxy_url: Option<SecretUrl>,
}

/// Who gets the message of an application as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextCopy {
    /// These members, instead of markdown. They need not be among the others.
    Members(Vec<String>),
    /// Everybody, beside markdown: nobody knows who of a department or tag reads where.
    Everybody,
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
    /// A card with a link. No file can ask for it yet: no receiver renders it.
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

/// `global`'s settings of the application API.
pub(super) struct WecomDefaults {
    api_url: Given<Url>,
    secret: Given<Secret>,
    corp_id: Given<String>,
}

impl WecomDefaults {
    pub(super) fn none() -> Self {
        Self {
            api_url: Given::absent(),
            secret: Given::absent(),
            corp_id: Given::absent(),
        }
    }

    pub(super) fn read(global: &mut Fields<'_>) -> Self {
        Self {
            api_url: api_url(global, "wechat_api_url"),
            secret: global.secret("wechat_api_secret", "wechat_api_secret_file"),
            corp_id: global.given("wechat_api_corp_id", Node::text),
        }
    }
}

const BOT_FORMATS: &[(&str, BotFormat)] = &[
    ("markdown", BotFormat::Markdown),
    ("markdown_v2", BotFormat::MarkdownV2),
    ("text", BotFormat::Text),
];

const APP_FORMATS: &[(&str, AppFormat)] =
    &[("markdown", AppFormat::Markdown), ("text", AppFormat::Text)];

/// Reads one entry of `wecom_configs`: a robot or an application.
pub(super) fn read(f: &mut Fields<'_>, global: &WecomDefaults) -> Option<Channel> {
    let (bot, app, format) = (f.get("bot"), f.get("app"), f.get("format"));
    let mentions = Mentions::read(f);
    let text_copy = f.get("text_copy");
    let proxy_url = webhook::proxy(f);
    match (bot, app) {
        (Some(bot), None) => {
            let format = format.and_then(|n| n.choice(BOT_FORMATS));
            let place = bot.fields(BotPlace::read)?;
            Some(Channel::WecomBot(WecomBot {
                key: place.key,
                api_url: place.api_url,
                format: format.unwrap_or_default(),
                mention: mentions.people,
                mention_when: mentions.when,
                mention_text: mentions.text.unwrap_or(true),
                text_copy: text_copy.and_then(|n| n.flag()).unwrap_or(false),
                proxy_url,
            }))
        }
        (None, Some(app)) => {
            mentions.refuse(f);
            if text_copy.is_some() {
                let fix = "put it into app: true, or a list of those who read in WeChat";
                f.error_at("text_copy", ("that of an application stands in app", fix));
            }
            let format = format.and_then(|n| n.choice(APP_FORMATS));
            let app = app.fields(|f| WecomApp::read(f, global))?;
            Some(Channel::WecomApp(WecomApp {
                format: format.unwrap_or_default(),
                proxy_url,
                ..app
            }))
        }
        (Some(_), Some(app)) => {
            app.error(("both bot and app", "make two entries of them"));
            None
        }
        (None, None) => {
            let fix = "add bot: {key_file: …} or app: {corp_id: …}";
            f.error(("neither bot nor app", fix));
            None
        }
    }
}

/// Whom a robot mentions.
struct Mentions {
    people: People,
    when: Vec<MentionWhen>,
    text: Option<bool>,
}

impl People {
    fn read(f: &mut Fields<'_>) -> Self {
        let list = |node: &Node<'_>| Some(node.texts());
        Self {
            users: f.read("mention", list).unwrap_or_default(),
            mobiles: f.read("mention_mobile", list).unwrap_or_default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.mobiles.is_empty()
    }
}

impl MentionWhen {
    fn read(f: &mut Fields<'_>) -> Option<Self> {
        let selects = ["matchers", "match", "match_re"].map(|key| f.get(key).is_some());
        let matchers = route::matchers_of(f);
        let people = People::read(f);
        if !selects.contains(&true) {
            let fix = "add matchers: ['severity=\"critical\"'], or mention these people beside it";
            f.error(("it says for no alert whom to mention", fix));
        }
        if people.is_empty() {
            f.error(("it mentions nobody", "add mention or mention_mobile"));
        }
        Some(Self { matchers, people })
    }
}

impl Mentions {
    fn read(f: &mut Fields<'_>) -> Self {
        let people = People::read(f);
        let when = f.get("mention_when").map(|node| node.list());
        let when = when.unwrap_or_default();
        Self {
            people,
            when: when
                .iter()
                .filter_map(|node| node.fields(MentionWhen::read))
                .collect(),
            text: f.read("mention_text", Node::flag),
        }
    }

    fn refuse(&self, f: &Fields<'_>) {
        if !self.people.is_empty() || !self.when.is_empty() || self.text.is_some() {
            let fix = "remove it: an application writes to the members in to_user";
            f.error_at("mention", ("an application mentions nobody", fix));
        }
    }
}

impl TextCopy {
    fn read(node: &Node<'_>) -> Option<Self> {
        if node.elements().is_some() {
            return Some(Self::Members(node.texts()));
        }
        Some(match node.flag()? {
            true => Self::Everybody,
            false => Self::default(),
        })
    }

    /// The members who get text and no markdown.
    pub(crate) fn members(&self) -> &[String] {
        match self {
            Self::Members(members) => members,
            Self::Everybody => &[],
        }
    }
}

impl Default for TextCopy {
    fn default() -> Self {
        Self::Members(Vec::new())
    }
}

/// Where a robot is, and its key.
struct BotPlace {
    key: Secret,
    api_url: Url,
}

impl BotPlace {
    fn read(f: &mut Fields<'_>) -> Option<Self> {
        let url = f.secret("webhook_url", "webhook_url_file");
        let key = f.secret("key", "key_file");
        let api_url = api_url(f, "api_url").optional();
        if url.is_present() == key.is_present() {
            let what = if key.is_present() {
                "both a URL and a key"
            } else {
                "no key"
            };
            let fix = "set one of webhook_url, webhook_url_file, key, key_file";
            f.error((what, fix));
            return None;
        }
        if !url.is_present() {
            let key = bot_key(key.optional()?.expose());
            return Some(Self {
                key: key.map_err(|complaint| f.error_at("key", complaint)).ok()?,
                api_url: api_url.unwrap_or_else(vendor),
            });
        }
        let place = bot_url(url.optional()?.expose());
        let place = place.map_err(|complaint| f.error_at("webhook_url", complaint));
        let (key, base) = place.ok()?;
        warn_if_readable(f, "webhook_url", &base);
        Some(Self {
            key,
            api_url: api_url.unwrap_or(base),
        })
    }
}

impl WecomApp {
    /// Reads an `app`; what stands beside it is the caller's.
    fn read(f: &mut Fields<'_>, global: &WecomDefaults) -> Option<Self> {
        let secret = f.secret("secret", "secret_file").or(&global.secret);
        let fix = "add secret or secret_file, or wechat_api_secret in global";
        let secret = secret.required(f, "secret", fix);
        let text_copy = f.read("text_copy", TextCopy::read);
        let app = Self::common(f, global, secret)?;
        Some(Self {
            text_copy: text_copy.unwrap_or_default(),
            ..app
        })
    }

    /// Reads one entry of upstream's `wechat_configs`.
    pub(super) fn read_wechat(f: &mut Fields<'_>, global: &WecomDefaults) -> Option<Self> {
        let secret = f.secret("api_secret", "api_secret_file").or(&global.secret);
        let fix = "add api_secret here, or wechat_api_secret in global";
        let secret = secret.required(f, "api_secret", fix);
        let format = f.read("message_type", |n| n.choice(APP_FORMATS));
        f.refuse(&["message"], "remove it: the built-in text is used");
        f.refuse(
            &["http_config"],
            "remove it; for a proxy use wecom_configs with proxy_url",
        );
        let app = Self::common(f, global, secret)?;
        Some(Self {
            format: format.unwrap_or(AppFormat::Text),
            ..app
        })
    }

    /// What both forms have.
    fn common(f: &mut Fields<'_>, global: &WecomDefaults, secret: Option<Secret>) -> Option<Self> {
        let corp_id = f.given("corp_id", Node::text).or(&global.corp_id);
        let fix = "add it here, or wechat_api_corp_id in global";
        let corp_id = corp_id.required(f, "corp_id", fix);
        let agent_id = f.given("agent_id", |n| n.number(1, u64::from(u32::MAX)));
        let agent_id = agent_id.required(f, "agent_id", "add the application's number");
        let api_url = api_url(f, "api_url").or(&global.api_url);
        let to = ["to_user", "to_party", "to_tag"].map(|key| f.given(key, |n| n.parse(ids)));
        if !to.iter().any(Given::is_present) {
            let fix = "add to_user, to_party or to_tag";
            f.error(("it is sent to nobody", fix));
        }
        let [to_user, to_party, to_tag] = to.map(|ids| ids.optional().unwrap_or_default());
        if to_user.len() > 1 && to_user.iter().any(|user| user == "@all") {
            f.error_at(
                "to_user",
                ("@all and others in to_user", "keep @all, or the others"),
            );
        }
        Some(Self {
            corp_id: corp_id?,
            secret: secret?,
            agent_id: agent_id?,
            to_user,
            to_party,
            to_tag,
            text_copy: TextCopy::default(),
            format: AppFormat::default(),
            api_url: api_url.optional().unwrap_or_else(vendor),
            proxy_url: None,
        })
    }
}

/// The base of the API. The vendor's paths begin with `/cgi-bin/`, which is easily left out.
fn api_url(f: &mut Fields<'_>, key: &'static str) -> Given<Url> {
    let url = f.given(key, |n| n.parse(address::base_url));
    let odd = |url: &Url| !url.path().ends_with("/cgi-bin/");
    if url.peek().is_some_and(odd) {
        let fix = "add cgi-bin/ at its end, unless a proxy does";
        f.warn_at(key, ("the base of the API does not end in /cgi-bin/", fix));
    }
    if let Some(url) = url.peek() {
        warn_if_readable(f, key, url);
    }
    url
}

/// Keys, secrets and tokens stand in the URLs of this API.
fn warn_if_readable(f: &Fields<'_>, key: &str, url: &Url) {
    let near = url.host_str().is_some_and(address::is_loopback);
    if url.scheme() == "http" && !near {
        let what = "the key travels in plain text";
        f.warn_at(
            key,
            (what, "write https://, unless a proxy of yours adds it"),
        );
    }
}

fn vendor() -> Url {
    Url::parse(WECOM_API).expect("the constant is a URL")
}

/// A robot's key. No error repeats it.
fn bot_key(text: &str) -> Result<Secret, Complaint> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.contains("://") {
        return Err(Complaint::new("a URL instead of a key", "use webhook_url"));
    }
    if text.is_empty() || !text.chars().all(good) {
        let fix = "copy what follows key= in the robot's address";
        return Err(Complaint::new("it is no robot's key", fix));
    }
    Ok(Secret::new(text))
}

/// The key of a robot's address, and the base in front of `webhook/send`. No error repeats either.
fn bot_url(text: &str) -> Result<(Secret, Url), Complaint> {
    let fix = "copy the robot's address as WeCom shows it: https://…/cgi-bin/webhook/send?key=…";
    let mut url = address::http_url(text)?;
    let key = url
        .query_pairs()
        .find(|(name, _)| name == "key")
        .map(|(_, key)| key.into_owned());
    let key = key.ok_or_else(|| Complaint::new("the address has no key=", fix))?;
    let base = url.path().strip_suffix("webhook/send").map(str::to_owned);
    let base =
        base.ok_or_else(|| Complaint::new("the address does not end in webhook/send", fix))?;
    url.set_path(&base);
    url.set_query(None);
    Ok((bot_key(&key)?, url))
}

/// Ids separated by `|`, with or without blanks.
fn ids(text: &str) -> Result<Vec<String>, Complaint> {
    address::templates(text)?;
    let ids: Vec<String> = text.split('|').map(|id| id.trim().to_owned()).collect();
    if ids
        .iter()
        .any(|id| id.is_empty() || id.contains([',', ' ']))
    {
        let what = format!("{text:?} is no list of ids");
        return Err(Complaint::new(
            what,
            "separate ids by |, such as \"wangqing|lihua\"",
        ));
    }
    Ok(ids)
}
