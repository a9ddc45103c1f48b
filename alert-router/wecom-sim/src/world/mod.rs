//! The simulated service as a state machine: a call and the time in, a reply out, and a memory of
//! what people were shown. No I/O, no clock, no randomness, so that every rule is a table test.

mod app;
mod bot;
mod card;
mod content;
mod envelope;
mod errcode;
mod fault;
mod outbox;
mod rate;
mod recipients;
mod token;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{Config, Directory, Rules};

pub use card::Card;
pub(crate) use card::{Button, Jump, Pair, Title};
pub use content::Content;
pub use envelope::Sender;
pub use errcode::ErrCode;
pub use fault::{Fault, FaultRule, Times};
pub(crate) use outbox::Outbox;
pub use outbox::{Fate, Message, Refusal, ReplyFate};
pub(crate) use wire::{MAX_BODY, Reply, Sent};

/// A simulated interface of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Api {
    /// `cgi-bin/gettoken`
    #[serde(rename = "gettoken")]
    GetToken,
    /// `cgi-bin/message/send`: messages of applications to members
    #[serde(rename = "message/send")]
    MessageSend,
    /// `cgi-bin/webhook/send`: messages of bots to their group
    #[serde(rename = "webhook/send")]
    WebhookSend,
}

/// An HTTP request as far as the service looks at it.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: IpAddr,
}

/// Everything the service knows.
pub(crate) struct World {
    pub(crate) directory: Directory,
    pub(crate) bots: bot::Bots,
    pub(crate) apps: app::Apps,
    pub(crate) faults: fault::Faults,
    pub(crate) outbox: Outbox,
    rules: Rules,
    replies: u64,
}

/// Why a call was not taken.
#[derive(Debug)]
enum Refused {
    /// The service's answer.
    Code { code: ErrCode, reason: String },
    /// The real service has it, the simulator has not: never to be mistaken for an answer.
    NotSimulated(String),
}

/// The fields of a successful answer beside `errcode` and `errmsg`.
#[derive(Default)]
struct Receipt {
    fields: Map<String, Value>,
    /// The vendor's "ok, but your JSON has wrong types".
    sloppy: bool,
}

impl Api {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/cgi-bin/gettoken" => Some(Self::GetToken),
            "/cgi-bin/message/send" => Some(Self::MessageSend),
            "/cgi-bin/webhook/send" => Some(Self::WebhookSend),
            _ => None,
        }
    }

    /// The path below `cgi-bin/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetToken => "gettoken",
            Self::MessageSend => "message/send",
            Self::WebhookSend => "webhook/send",
        }
    }
}

impl Call {
    /// Another method cannot carry the message: "cannot read the body", says the vendor.
    fn require_post(&self) -> Result<(), Refused> {
        if self.method == Method::POST {
            Ok(())
        } else {
            Err(Refused::invalid("POST only"))
        }
    }
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            directory: config.directory.clone(),
            bots: bot::Bots::new(&config.bots),
            apps: app::Apps::new(&config.corp_id, &config.apps),
            faults: fault::Faults::default(),
            outbox: Outbox::new(config.rules.keep),
            rules: config.rules.clone(),
            replies: 0,
        }
    }

    /// Answers one call. A message that people get to see is in the outbox when this returns,
    /// whatever then happens to the reply.
    pub(crate) fn call(&mut self, now: Timestamp, call: &Call) -> Reply {
        let Some(api) = Api::of(&call.path) else {
            return wire::unknown_path(&call.path);
        };
        let who = self.who(api, call);
        let fault = self.faults.take(api, &who.id);
        let wire = self.wire(now, call);
        if let Some(fault) = &fault
            && let Some(reply) = wire.instead(fault)
        {
            let refusal = outbox::Draft {
                api,
                who: who.name,
                answer: fault.to_string(),
            };
            self.outbox.refuse(now, refusal, fault.code(), call, true);
            return reply;
        }
        let lost = fault.as_ref().is_some_and(Fault::loses_reply);
        let outcome = match api {
            Api::GetToken => self.apps.get_token(now, call, &self.rules),
            Api::MessageSend => self.message_send(now, call, lost),
            Api::WebhookSend => self.webhook_send(now, call, lost),
        };
        if let Err(refused) = &outcome {
            let refusal = outbox::Draft {
                api,
                who: who.name,
                answer: refused.to_string(),
            };
            self.outbox
                .refuse(now, refusal, refused.code(), call, false);
        }
        wire.reply(outcome, fault.as_ref())
    }

    fn wire(&mut self, now: Timestamp, call: &Call) -> wire::Wire {
        self.replies += 1;
        let varied = self.rules.varied_wording;
        wire::Wire {
            now,
            peer: call.peer,
            serial: self.replies,
            varied,
        }
    }

    /// Who is calling: the id that faults are aimed at, and a name without secrets.
    fn who(&self, api: Api, call: &Call) -> Who {
        let query = |name: &str| call.query.get(name).map(String::as_str).unwrap_or_default();
        let agent = match api {
            Api::WebhookSend => {
                let key = query("key");
                let name = self.bots.name(key).unwrap_or("an unknown key");
                return Who {
                    id: key.into(),
                    name: name.into(),
                };
            }
            Api::MessageSend => self.apps.agent_of_token(query("access_token")),
            Api::GetToken => self.apps.agent_of_secret(query("corpsecret")),
        };
        match agent {
            Some(agent) => Who {
                id: agent.to_string(),
                name: format!("application {agent}"),
            },
            None => Who {
                id: String::new(),
                name: "an unknown application".into(),
            },
        }
    }
}

struct Who {
    id: String,
    name: String,
}

impl Refused {
    /// A refusal in the service's own words for `code`.
    fn code_only(code: ErrCode) -> Self {
        Self::Code {
            code,
            reason: code.reason().into(),
        }
    }

    /// The service's general answer to a parameter it does not like (40058).
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Code {
            code: ErrCode::INVALID_PARAMETER,
            reason: reason.into(),
        }
    }

    fn code(&self) -> Option<ErrCode> {
        match self {
            Self::Code { code, .. } => Some(*code),
            Self::NotSimulated(_) => None,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code { code, reason } => write!(f, "{code} {reason}"),
            Self::NotSimulated(what) => write!(f, "{what} is not simulated"),
        }
    }
}
