//! The config file as types that cannot be wrong: parsed once at the border, with every problem
//! named by file, line, key and fix. Nothing here starts, connects or logs.

mod address;
mod changes;
mod document;
mod duplicate;
mod duration;
mod email;
mod fields;
mod header;
mod locate;
mod names;
mod oauth2;
mod problem;
mod read;
mod receiver;
mod route;
mod secret;
mod server;
mod smtp;
mod source;
mod suggest;
mod webhook;
mod wecom;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use alert_engine::{AlertKey, Ends, GroupBy, Matchers, RouteSpec, RouteTree, SourceName};
use jiff::tz::TimeZone;
use reqwest::Url;

pub use changes::Changes;
pub use email::{Email, Recipients, Thread};
pub use header::Header;
pub use oauth2::OAuth2;
pub use problem::{ConfigError, Problem};
pub use receiver::{Channel, Fallback, Integration, Receiver};
pub use secret::{Secret, SecretUrl};
pub use server::{Limits, StorePlace};
pub use smtp::{Smarthost, SmtpAuth, SmtpLimit, SmtpProof, SmtpTls, Trust};
pub use source::{Credential, RateLimit, Source};
pub use webhook::{HttpAuth, Webhook};
pub use wecom::{
    AppFormat, BotFormat, MentionWhen, People, TextCopy, WECOM_API, WecomApp, WecomBot,
};

pub(crate) use duration::show as show_duration;
pub(crate) use problem::not_shown;
pub(crate) use source::{built_in, test_button};

use crate::render::{Language, Locale};

/// Everything that a config file says, with defaults filled in and references checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the server listens: `listen`, default 127.0.0.1:9095.
    pub listen: SocketAddr,
    /// Where data is kept: `store`.
    pub store: StorePlace,
    /// How people reach this server's pages, for links: `external_url`. Ends with a slash.
    pub external_url: Option<Url>,
    /// What pages, the API, and sources without a credential of their own ask for: `auth`.
    pub auth: Option<Credential>,
    /// The language and time zone of receivers that name none: `language`, `time_zone`; default
    /// English and UTC.
    pub locale: Locale,
    /// Who hears what: `route`.
    pub routes: RouteTree,
    /// Who can be told: `receivers`.
    pub receivers: Vec<Receiver>,
    /// The receiver that hears of our own troubles: `operators`.
    pub operators: Option<String>,
    /// Who may post: `sources`.
    pub sources: BTreeMap<SourceName, Source>,
    /// Alerts that go before others: any of `priority`, by default
    /// `severity=~"critical|page|P0|P1"`.
    pub priority: Vec<Matchers>,
    /// Bounds: `limits`.
    pub limits: Limits,
    /// What is odd about the file, but no reason not to start.
    pub warnings: Vec<Problem>,
    /// How many there are beyond those.
    pub more_warnings: usize,
}

/// What the command line says about the config; it wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--store`.
    pub store: Option<StorePlace>,
    /// `--open`: no credentials although others can connect.
    pub open: bool,
}

/// What a config refers to beyond its own text.
pub struct Outside<'a> {
    /// An environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Config {
    /// Reads a config file, the secrets it names, and the environment; changes nothing.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and fix.
    pub fn load(file: &Path, flags: &Flags) -> Result<Self, ConfigError> {
        let outside = Outside {
            env: &|name| std::env::var(name).ok(),
            read: &read_bounded,
        };
        let text = (outside.read)(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            problems: vec![Problem {
                line: 0,
                key: String::new(),
                what: format!("cannot read it: {error}"),
                fix: "correct the path given by --config, or let this user read it".to_owned(),
            }],
            more: 0,
        })?;
        Self::parse(file, &text, flags, &outside)
    }

    /// Reads a config from its text. `file` names it in errors; paths in it are relative to its
    /// folder.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and fix.
    pub fn parse(
        file: &Path,
        text: &str,
        flags: &Flags,
        outside: &Outside<'_>,
    ) -> Result<Self, ConfigError> {
        document::parse(file, text, flags, outside)
    }

    /// What runs without a file: one receiver, the built-in inbox, and short waits.
    ///
    /// # Errors
    /// The address of `flags` is open to others, and nothing protects it.
    pub fn default_inbox(flags: &Flags) -> Result<Self, ConfigError> {
        document::default_inbox(flags)
    }

    /// The settings of a source, by its present name or its former one. One that is not listed has
    /// the defaults.
    #[must_use]
    pub fn source(&self, name: &SourceName) -> &Source {
        self.sources.get(self.shown(name)).unwrap_or(&source::PLAIN)
    }

    /// The name under which the alerts of a source are known: its former one if it has one.
    #[must_use]
    pub fn identity<'a>(&'a self, source: &'a SourceName) -> &'a SourceName {
        let former = self.sources.get(source).and_then(|s| s.formerly.as_ref());
        former.unwrap_or(source)
    }

    /// The name that people know a source by: the present one.
    #[must_use]
    pub fn shown<'a>(&'a self, identity: &'a SourceName) -> &'a SourceName {
        let mut sources = self.sources.iter();
        let now = sources.find(|(_, source)| source.formerly.as_ref() == Some(identity));
        now.map_or(identity, |(name, _)| name)
    }

    /// The names of the sources of alerts, as people know them.
    pub(crate) fn shown_all<'a>(&self, alerts: impl Iterator<Item = &'a AlertKey>) -> String {
        let sources: BTreeSet<&SourceName> = alerts.map(|alert| &alert.source).collect();
        let names = sources
            .into_iter()
            .map(|source| self.shown(source).as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// What a post of this source must show: its own credential, or `auth`.
    #[must_use]
    pub fn credential(&self, source: &SourceName) -> Option<&Credential> {
        let own = self.source(source).credential.as_ref();
        own.or(self.auth.as_ref())
    }

    /// The receiver of this name.
    #[must_use]
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|r| r.name == name)
    }

    fn zero(flags: &Flags) -> Self {
        let locale = Locale {
            language: Language::default(),
            zone: TimeZone::UTC,
        };
        let inbox = Receiver {
            name: "inbox".to_owned(),
            integrations: vec![Integration {
                ends: Ends::Together,
                channel: Channel::Inbox,
            }],
            fallback: None,
            locale: locale.clone(),
        };
        let names = ["alertname", "cluster"].map(str::to_owned);
        let root = RouteSpec {
            receiver: Some(inbox.name.clone()),
            group_by: Some(GroupBy::Labels(BTreeSet::from(names))),
            group_wait: Some(Duration::from_secs(1)),
            group_interval: Some(Duration::from_secs(10)),
            ..RouteSpec::default()
        };
        Self {
            listen: flags.listen.unwrap_or((Ipv4Addr::LOCALHOST, 9095).into()),
            store: flags.store.clone().unwrap_or_default(),
            external_url: None,
            auth: None,
            locale,
            routes: RouteTree::new(&root).expect("the root has a receiver and takes everything"),
            receivers: vec![inbox],
            operators: None,
            sources: BTreeMap::new(),
            priority: vec![urgent()],
            limits: Limits::default(),
            warnings: Vec::new(),
            more_warnings: 0,
        }
    }
}

/// The content of a file, unless it is larger than any config: a device or a log ends here, and
/// not when memory does.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(document::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > document::MAX_BYTES {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no UTF-8 text"))
}

/// What goes before others unless the file says otherwise.
fn urgent() -> Matchers {
    Matchers::parse("severity=~\"critical|page|P0|P1\"").expect("the text is a matcher")
}

#[cfg(test)]
mod tests;
