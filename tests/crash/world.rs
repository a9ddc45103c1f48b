//! Who is told what: the places that alerts go to, the destinations of each, and the config of both
//! the router and the simulated providers.

use std::net::SocketAddr;

use serde_json::{Value, json};
use wecom_sim::{App, Bot, Clock, Config, Directory};

/// Webhook consumers, each with a group of its own.
const HOOKS: usize = 24;
/// WeCom rooms, each with a group of its own that a robot and a member of the application hear of.
/// So many that their limits per minute leave room for what a kill repeats.
const ROOMS: usize = 32;

const CORP: &str = "crash-corp";
const SECRET: &str = "crash-secret";
const AGENT: u64 = 1_000_002;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Hook,
    Bot,
    App,
}

/// Where an alert goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Hook(usize),
    Room(usize),
}

/// Who hears of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    pub(crate) channel: Channel,
    pub(crate) number: usize,
}

impl Channel {
    pub(crate) const ALL: [Self; 3] = [Self::Hook, Self::Bot, Self::App];
}

impl Place {
    pub(crate) fn hooks() -> impl Iterator<Item = Self> {
        (0..HOOKS).map(Self::Hook)
    }

    pub(crate) fn rooms() -> impl Iterator<Item = Self> {
        (0..ROOMS).map(Self::Room)
    }

    pub(crate) fn destinations(self) -> Vec<Destination> {
        let to = |channel, number| Destination { channel, number };
        match self {
            Self::Hook(number) => vec![to(Channel::Hook, number)],
            Self::Room(number) => vec![to(Channel::Bot, number), to(Channel::App, number)],
        }
    }

    fn receiver(self, providers: SocketAddr) -> Value {
        match self {
            Self::Hook(number) => json!({
                "name": self.to_string(),
                "webhook_configs": [{
                    "url": format!("http://{providers}/hook/{number}"),
                    "separate_resolved": tells_ends_apart(number),
                }],
            }),
            Self::Room(number) => json!({
                "name": self.to_string(),
                "wecom_configs": [
                    {"bot": {
                        "webhook_url": format!("http://{providers}/cgi-bin/webhook/send?key={}", bot(number)),
                    }},
                    {"app": {
                        "corp_id": CORP, "secret": SECRET, "agent_id": AGENT,
                        "to_user": member(number),
                        "api_url": format!("http://{providers}/cgi-bin/"),
                    }},
                ],
            }),
        }
    }
}

/// As the label `to` spells it.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hook(number) => write!(f, "hook-{number}"),
            Self::Room(number) => write!(f, "room-{number}"),
        }
    }
}

/// The router's config: every destination is at `providers`.
pub(crate) fn router_config(providers: SocketAddr) -> Value {
    let places: Vec<Place> = Place::hooks().chain(Place::rooms()).collect();
    let route = |place: &Place| {
        let name = place.to_string();
        json!({"matchers": [format!("to=\"{name}\"")], "receiver": name})
    };
    json!({
        // What is over is remembered so long. With the default of 5 minutes a group of a long run
        // grows past 500 alerts, and messages tell of the rest as a count: then nobody can check by
        // name who has heard of what.
        "sources": {"default": {"doubt": "1s"}},
        "route": {
            "receiver": "hook-0",
            "group_by": ["to"],
            "group_wait": "50ms",
            "group_interval": "100ms",
            "routes": places.iter().map(route).collect::<Vec<_>>(),
        },
        "receivers": places.iter().map(|place| place.receiver(providers)).collect::<Vec<_>>(),
    })
}

/// The robots, and the application with its members.
pub(crate) fn sim_config() -> Config {
    let members: Vec<String> = (0..ROOMS).map(member).collect();
    let people = members.iter().map(|id| (id.as_str(), id.as_str()));
    Config {
        bots: (0..ROOMS).map(|n| Bot::new(&bot(n), &bot(n))).collect(),
        corp_id: CORP.to_owned(),
        apps: vec![App::new(AGENT, SECRET, "crash")],
        directory: Directory::of(people),
        clock: Clock::system(),
        ..Config::demo()
    }
}

/// Whom a message to this path is for; `None` if it is no message.
pub(crate) fn addressee(path: &str, body: &[u8]) -> Option<Destination> {
    let to = |channel, number: &str| {
        let number = number.parse().expect("the config numbers them");
        Some(Destination { channel, number })
    };
    if let Some(number) = path.strip_prefix("/hook/") {
        return to(Channel::Hook, number);
    }
    if let Some(number) = path.strip_prefix("/cgi-bin/webhook/send?key=bot-") {
        return to(Channel::Bot, number);
    }
    if path.starts_with("/cgi-bin/message/send?") {
        let message: Value = serde_json::from_slice(body).expect("a message is JSON");
        let member = message["touser"].as_str().expect("it is for a member");
        return to(Channel::App, member.trim_start_matches("member-"));
    }
    None
}

/// Two messages for one change: a death between them must repeat neither.
fn tells_ends_apart(hook: usize) -> bool {
    hook.is_multiple_of(3)
}

fn bot(number: usize) -> String {
    format!("bot-{number}")
}

fn member(number: usize) -> String {
    format!("member-{number}")
}
