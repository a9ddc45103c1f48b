//! `receivers`: a name, the channels behind it, and who is asked when they fail.

use std::fmt;
use std::time::Duration;

use alert_engine::Ends;

use super::fields::Fields;
use super::names::Names;
use super::read::Node;
use super::smtp::SmtpDefaults;
use super::wecom::{self, WecomDefaults};
use super::{Email, Webhook, WecomApp, WecomBot, server};
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
    /// How it hears that alerts are over: `send_resolved`, by default true, but false in
    /// `wechat_configs`, as upstream, and `separate_resolved`, by default false.
    pub ends: Ends,
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

/// As people see it in reports: whom it reaches, and no secret.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(mail) => {
                let to: Vec<String> = mail.to.iter().map(|m| m.email.to_string()).collect();
                write!(f, "email {} through {}", to.join(", "), mail.smarthost)
            }
            Self::WecomBot(bot) => {
                let host = bot.api_url.host_str().unwrap_or_default();
                write!(f, "wecom robot at {host}")
            }
            Self::WecomApp(app) => {
                let to = [
                    ("", &app.to_user),
                    ("party ", &app.to_party),
                    ("tag ", &app.to_tag),
                ];
                let to = to
                    .iter()
                    .flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id)));
                let to: Vec<String> = to.map(|(kind, id)| format!("{kind}{id}")).collect();
                write!(f, "wecom application {} to {}", app.agent_id, to.join(", "))
            }
            Self::Webhook(hook) => write!(f, "webhook {}", hook.url),
            Self::Inbox => f.write_str("inbox"),
        }
    }
}

/// What the entries of all receivers inherit.
pub(super) struct Defaults {
    pub(super) smtp: SmtpDefaults,
    pub(super) wecom: WecomDefaults,
    pub(super) locale: Locale,
}

const ELSEWHERE: &str = "keep this receiver in Alertmanager, or send it through webhook_configs";
const NOT_OURS: [&str; 16] = [
    "discord_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "zoom_configs",
];

impl Receiver {
    /// Reads one entry of `receivers`.
    pub(super) fn read(node: &Node<'_>, names: &Names, defaults: &Defaults) -> Option<Self> {
        node.fields(|f| {
            let name = f
                .given("name", Node::text)
                .required(f, "name", "name the receiver");
            let mut integrations = Vec::new();
            let mut add = |f: &mut Fields<'_>, key, resolved, read: Read<'_>| {
                let entries = f.get(key).map(|node| node.list()).unwrap_or_default();
                let read = |node: &Node<'_>| Integration::read(node, resolved, read);
                integrations.extend(entries.iter().filter_map(read));
            };
            add(f, "email_configs", true, &|f| {
                Email::read(f, &defaults.smtp).map(Channel::Email)
            });
            add(f, "wecom_configs", true, &|f| {
                wecom::read(f, &defaults.wecom)
            });
            add(f, "wechat_configs", false, &|f| {
                WecomApp::read_wechat(f, &defaults.wecom).map(Channel::WecomApp)
            });
            add(f, "webhook_configs", true, &|f| {
                Webhook::read(f).map(Channel::Webhook)
            });
            add(f, "inbox_configs", true, &|_| Some(Channel::Inbox));
            f.refuse(&NOT_OURS, ELSEWHERE);
            let fallback = Fallback::read(f, names);
            let locale = server::locale(f, &defaults.locale);
            Some(Self {
                name: name?,
                integrations,
                fallback,
                locale,
            })
        })
    }
}

type Read<'r> = &'r dyn Fn(&mut Fields<'_>) -> Option<Channel>;

impl Integration {
    fn read(node: &Node<'_>, resolved: bool, read: Read<'_>) -> Option<Self> {
        node.fields(|f| {
            let ends = read_ends(f, resolved);
            let channel = read(f);
            Some(Self {
                ends,
                channel: channel?,
            })
        })
    }
}

fn read_ends(f: &mut Fields<'_>, resolved: bool) -> Ends {
    let told = f.read("send_resolved", Node::flag);
    let apart = f.read("separate_resolved", Node::flag).unwrap_or(false);
    match (told.unwrap_or(resolved), apart) {
        (true, true) => Ends::Apart,
        (true, false) => Ends::Together,
        (false, false) => Ends::Untold,
        (false, true) => {
            let what = "separate_resolved without send_resolved";
            f.error((what, "set `send_resolved: true`, or remove it"));
            Ends::Untold
        }
    }
}

impl Fallback {
    fn read(f: &mut Fields<'_>, names: &Names) -> Option<Self> {
        let receiver = f.read("fallback", |n| names.reference(n));
        let after = f.read("fallback_after", Node::duration);
        if receiver.is_none() && after.is_some() {
            let what = "fallback_after without fallback";
            f.error((what, "name the receiver in fallback, or remove it"));
        }
        Some(Self {
            receiver: receiver?,
            after: after.unwrap_or(Duration::from_secs(5 * 60)),
        })
    }
}

/// Reads `receivers`. Names are unique; fallbacks end.
pub(super) fn read(node: &Node<'_>, names: &Names, defaults: &Defaults) -> Vec<Receiver> {
    let mut receivers: Vec<Receiver> = Vec::new();
    let mut nodes = Vec::new();
    if node.elements().is_some_and(|all| all.is_empty()) {
        node.error(("there is no receiver", "add at least one"));
    }
    for node in node.list() {
        let Some(receiver) = Receiver::read(&node, names, defaults) else {
            continue;
        };
        if receivers.iter().any(|known| known.name == receiver.name) {
            let what = format!("there are two receivers {:?}", receiver.name);
            node.error((what, "rename one, or put their channels together"));
            continue;
        }
        receivers.push(receiver);
        nodes.push(node);
    }
    for (receiver, node) in receivers.iter().zip(&nodes) {
        if let Some(circle) = circle(receiver, &receivers) {
            let what = format!("fallbacks in a circle: {}", circle.join(" → "));
            node.error_at("fallback", (what, "remove one of them"));
        }
    }
    receivers
}

/// The fallbacks from a receiver back to itself. One that only leads into a circle is not in it.
fn circle<'r>(receiver: &'r Receiver, all: &'r [Receiver]) -> Option<Vec<&'r str>> {
    let mut chain = vec![receiver.name.as_str()];
    let mut at = receiver;
    while chain.len() <= all.len() {
        let next = at.fallback.as_ref()?.receiver.as_str();
        chain.push(next);
        if next == receiver.name {
            return Some(chain);
        }
        at = all.iter().find(|r| r.name == next)?;
    }
    None
}
