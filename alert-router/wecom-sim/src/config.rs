//! What exists in the simulated corporation and which of the service's open questions is answered
//! how. Apart so that a test can state its world in one value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::world::ErrCode;

/// The numeric id of an application (`agentid`).
pub type AgentId = u64;

/// A whole simulated corporation, and where to listen for its clients.
#[derive(Clone, Debug)]
pub struct Config {
    /// Default `127.0.0.1:0`, a free port.
    pub listen: SocketAddr,
    /// Group bots, one group chat each.
    pub bots: Vec<Bot>,
    /// The `corpid` that `gettoken` knows.
    pub corp_id: String,
    /// Applications of the corporation.
    pub apps: Vec<App>,
    /// Who can receive messages of applications.
    pub directory: Directory,
    /// Limits and open questions.
    pub rules: Rules,
    /// Default: stands still on a Monday morning, 2026-01-05 09:00 Beijing time.
    pub clock: Clock,
}

/// A group bot.
#[derive(Clone, Debug)]
pub struct Bot {
    /// The `key` of its webhook address.
    pub key: Secret,
    /// The name that people see.
    pub name: String,
    /// Whether the service still takes its messages.
    pub standing: Standing,
}

/// What the service thinks of a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Takes messages.
    Active,
    /// Switched off by an administrator: 93004.
    Disabled,
    /// Taken out of its group: 93008.
    NotInGroup,
}

/// An application that may send messages to members.
#[derive(Clone, Debug)]
pub struct App {
    /// Its `agentid`.
    pub agent: AgentId,
    /// Its `corpsecret`.
    pub secret: Secret,
    /// The name that people see.
    pub name: String,
    /// A disabled application gets 50003.
    pub enabled: bool,
    /// Trusted caller addresses; others get 60020. `None` trusts everyone.
    pub trusted_ips: Option<BTreeSet<IpAddr>>,
}

/// The members, departments and tags of the corporation. Userids are compared without case.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Lower-case userid to member.
    pub members: BTreeMap<String, Member>,
    /// Department id to the userids in it.
    pub parties: BTreeMap<String, BTreeSet<String>>,
    /// Tag id to the userids in it.
    pub tags: BTreeMap<String, BTreeSet<String>>,
}

/// A person.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name that people see.
    pub name: String,
    /// For `mentioned_mobile_list`.
    pub mobile: Option<String>,
    /// Without a licence a member appears in `unlicenseduser` and gets nothing.
    pub licensed: bool,
}

/// Limits of the service. Defaults are the documented ones; where the documentation is silent the
/// default is an assumption and the alternatives are here.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Bytes of a bot's `text`. Default 2048 (documented); 5120 was enforced in 2021.
    pub bot_text_max: usize,
    /// Messages of one bot per minute. Default 20.
    pub bot_per_minute: usize,
    /// How that minute is counted. Default rolling (assumed).
    pub window: Window,
    /// What follows on an excess. Default blocked for 60 s from the first refusal (assumed).
    pub block: Block,
    /// Whether a refused message uses up a place of the minute. Default yes (assumed).
    pub refused_counts: bool,
    /// The answer when the object named by `msgtype` is absent. Default 40008 (assumed).
    pub missing_object: ErrCode,
    /// Messages of one application to one member per minute; more is dropped in silence. Default 30.
    pub member_per_minute: usize,
    /// The same per hour. Default 1000.
    pub member_per_hour: usize,
    /// Life of an access token. Default 7200 s.
    pub token_life: Duration,
    /// What a repeated `gettoken` returns. Default fresh tokens.
    pub token_mode: TokenMode,
    /// The answer to a revoked token. Default 40014.
    pub revoked_code: ErrCode,
    /// `gettoken` calls of one application per minute, 45009 beyond. Default unlimited.
    pub gettoken_per_minute: Option<usize>,
    /// Wrong secrets from one address within an hour before it is banned for one. Default 20.
    pub wrong_secrets_per_hour: usize,
    /// Answers in other words than the documented ones, with unknown fields added and empty ones
    /// left out: a client that reads `errmsg` breaks. Default off.
    pub varied_wording: bool,
    /// Messages and refusals kept, the oldest are forgotten first. Default 100,000 each.
    pub keep: usize,
}

/// How "per minute" is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last 60 s.
    Rolling,
    /// The calendar minute.
    FixedMinute,
}

/// What an excess over the bot's limit leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Refused until the window has room again.
    None,
    /// Refused for 60 s from the first refusal.
    Minute,
    /// Refused for 60 s from the latest attempt.
    MinuteFromLastAttempt,
}

/// What a repeated `gettoken` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// A new token; older ones stay valid.
    Fresh,
    /// The same token until it expires, with what is left of its life.
    Same,
    /// A new token; older ones are revoked.
    Evicting,
}

/// A key or secret: never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Config {
    /// One bot, one application, three members: enough to try things, and what the binary
    /// starts with. The keys are public and worthless.
    pub fn demo() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            bots: vec![Bot::new("sim-bot-key", "告警机器人")],
            corp_id: "sim-corp".into(),
            apps: vec![App::new(1_000_002, "sim-secret", "alert-router")],
            directory: Directory::of([("wangqing", "王青"), ("lina", "李娜"), ("zhaolei", "赵磊")]),
            rules: Rules::default(),
            clock: Clock::fixed(Timestamp::constant(1_767_574_800, 0)),
        }
    }
}

impl Bot {
    /// An active bot.
    pub fn new(key: &str, name: &str) -> Self {
        Self {
            key: Secret::new(key),
            name: name.into(),
            standing: Standing::Active,
        }
    }
}

impl App {
    /// An enabled application that trusts every caller.
    pub fn new(agent: AgentId, secret: &str, name: &str) -> Self {
        let secret = Secret::new(secret);
        Self {
            agent,
            secret,
            name: name.into(),
            enabled: true,
            trusted_ips: None,
        }
    }

    pub(crate) fn trusts(&self, caller: IpAddr) -> bool {
        self.trusted_ips
            .as_ref()
            .is_none_or(|trusted| trusted.contains(&caller))
    }
}

impl Directory {
    /// Licensed members without phone numbers, from (userid, name) pairs, all of them in
    /// department `1`, as the root department of a real corporation holds everybody.
    pub fn of<'a>(people: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut directory = Self::default();
        for (id, name) in people {
            let id = id.to_lowercase();
            directory
                .parties
                .entry("1".into())
                .or_default()
                .insert(id.clone());
            let member = Member {
                name: name.into(),
                mobile: None,
                licensed: true,
            };
            directory.members.insert(id, member);
        }
        directory
    }

    /// The name of a member, if there is one with this userid.
    pub(crate) fn name(&self, id: &str) -> Option<&str> {
        self.members
            .get(&id.to_lowercase())
            .map(|member| member.name.as_str())
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            bot_text_max: 2048,
            bot_per_minute: 20,
            window: Window::Rolling,
            block: Block::Minute,
            refused_counts: true,
            missing_object: ErrCode::BAD_MESSAGE_TYPE,
            member_per_minute: 30,
            member_per_hour: 1000,
            token_life: Duration::from_secs(7200),
            token_mode: TokenMode::Fresh,
            revoked_code: ErrCode::INVALID_TOKEN,
            gettoken_per_minute: None,
            wrong_secrets_per_hour: 20,
            varied_wording: false,
            keep: 100_000,
        }
    }
}

impl Secret {
    /// Takes a key or secret in.
    pub fn new(value: &str) -> Self {
        Self(value.into())
    }

    /// The value itself: for building an address, not for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
