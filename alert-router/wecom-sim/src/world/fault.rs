//! Troubles on request: what goes wrong, on which interface, for whom and how often. Apart
//! because the rules of the service must not know that somebody breaks it on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Api, ErrCode};

/// What goes wrong with a call. The first group never reaches the service: nobody sees the
/// message. The second group is handled normally (it may still be refused) and only the reply
/// suffers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Not handled: HTTP 200 with this `errcode`.
    Errcode {
        /// For instance -1, 40014, 42001, 45009, 60020, 93000.
        code: ErrCode,
    },
    /// Not handled: this HTTP status with an HTML body.
    Status {
        /// For instance 500, 502, 503, 429.
        status: u16,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// Not handled: HTTP 200 with the HTML page of a captive portal.
    Html,
    /// Not handled: a redirect to another host.
    Redirect,
    /// Not handled: the connection closes without a byte of answer.
    Close,
    /// Not handled, and never answered.
    Hang,
    /// Handled; the connection closes without a byte of answer.
    LoseReply,
    /// Handled, and never answered.
    DeliverThenHang,
    /// Handled; the answer begins after this time on the machine's clock.
    Slow {
        /// Milliseconds.
        millis: u64,
    },
    /// Handled; the JSON of the answer ends in the middle.
    TruncatedJson,
    /// Handled; HTTP 200 without a body.
    EmptyBody,
    /// Handled; the answer begins with a byte order mark.
    Bom,
    /// Handled; `errcode` is a string.
    StringErrcode,
}

/// A fault with its aim. Made by [`Fault::on`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// On which interface.
    pub api: Api,
    /// For which bot key or `agentid` only; `None` for everyone.
    #[serde(default)]
    pub who: Option<String>,
    /// How often. Default once.
    #[serde(default)]
    pub times: Times,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// So many calls.
    Count(u32),
    /// Every call until the faults are cleared.
    Always,
}

/// The faults in waiting, the oldest that fits strikes first.
#[derive(Default)]
pub(crate) struct Faults(Vec<FaultRule>);

impl Fault {
    /// Aims this fault at the next call of `api`.
    pub fn on(self, api: Api) -> FaultRule {
        FaultRule {
            fault: self,
            api,
            who: None,
            times: Times::default(),
        }
    }

    /// Whether the client cannot learn from the answer what became of a handled call.
    pub(super) fn loses_reply(&self) -> bool {
        match self {
            Self::LoseReply | Self::DeliverThenHang => true,
            Self::TruncatedJson | Self::EmptyBody | Self::StringErrcode => true,
            Self::Bom | Self::Slow { .. } => false,
            Self::Errcode { .. } | Self::Status { .. } | Self::Html => false,
            Self::Redirect | Self::Close | Self::Hang => false,
        }
    }

    pub(super) fn code(&self) -> Option<ErrCode> {
        if let Self::Errcode { code } = self {
            Some(*code)
        } else {
            None
        }
    }
}

impl FaultRule {
    /// Strikes so many calls.
    pub fn times(mut self, count: u32) -> Self {
        self.times = Times::Count(count);
        self
    }

    /// Strikes every call until the faults are cleared.
    pub fn always(mut self) -> Self {
        self.times = Times::Always;
        self
    }

    /// Strikes only this bot key, or this `agentid`.
    pub fn only(mut self, who: impl fmt::Display) -> Self {
        self.who = Some(who.to_string());
        self
    }

    fn fits(&self, api: Api, who: &str) -> bool {
        self.api == api && self.who.as_deref().is_none_or(|only| only == who)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.0.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this call, used up by one.
    pub(super) fn take(&mut self, api: Api, who: &str) -> Option<Fault> {
        self.0.retain(|rule| rule.times != Times::Count(0));
        let rule = self.0.iter_mut().find(|rule| rule.fits(api, who))?;
        if let Times::Count(left) = &mut rule.times {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errcode { code } => write!(f, "{code} {}", code.reason()),
            Self::Status { status, .. } => write!(f, "HTTP {status}"),
            Self::Html => f.write_str("HTTP 200 with an HTML page"),
            Self::Redirect => f.write_str("redirect to another host"),
            Self::Close => f.write_str("connection closed unread"),
            Self::Hang => f.write_str("never answered"),
            Self::LoseReply => f.write_str("reply lost"),
            Self::DeliverThenHang => f.write_str("handled, never answered"),
            Self::Slow { millis } => write!(f, "answer after {millis} ms"),
            Self::TruncatedJson => f.write_str("truncated answer"),
            Self::EmptyBody => f.write_str("empty answer"),
            Self::Bom => f.write_str("answer with a byte order mark"),
            Self::StringErrcode => f.write_str("errcode as a string"),
        }
    }
}
