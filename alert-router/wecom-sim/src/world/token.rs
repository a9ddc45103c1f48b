//! Access tokens: issued per application, expiring, revocable. Apart because the service says
//! three different things about repeated calls, and each is a mode here.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::rate::Tally;
use super::{ErrCode, Refused};
use crate::config::{AgentId, Rules, TokenMode};

/// Tokens remembered; a forgotten one is unknown (40014) instead of expired.
const REMEMBERED: usize = 10_000;

/// All tokens of the corporation.
#[derive(Default)]
pub(super) struct Tokens {
    /// By token text.
    live: BTreeMap<String, Token>,
    /// Token texts, oldest first, so that old ones can be forgotten.
    order: VecDeque<String>,
    issued: u64,
    calls: BTreeMap<AgentId, Tally>,
    wrong_secrets: BTreeMap<IpAddr, Tally>,
}

struct Token {
    agent: AgentId,
    expires: Timestamp,
    revoked: bool,
}

impl Tokens {
    /// Whether `peer` has tried so many wrong secrets that the service no longer listens.
    pub(super) fn is_banned(&self, now: Timestamp, peer: IpAddr, rules: &Rules) -> bool {
        let wrong = self
            .wrong_secrets
            .get(&peer)
            .map_or(0, |tally| tally.hour(now));
        wrong >= rules.wrong_secrets_per_hour
    }

    pub(super) fn wrong_secret(&mut self, now: Timestamp, peer: IpAddr) {
        self.wrong_secrets.entry(peer).or_default().add(now);
    }

    /// A token for `agent` and what is left of its life.
    pub(super) fn issue(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        rules: &Rules,
    ) -> Result<(String, Duration), Refused> {
        if let Some(limit) = rules.gettoken_per_minute {
            let calls = self.calls.entry(agent).or_default();
            if calls.minute(now) >= limit {
                return Err(Refused::code_only(ErrCode::RATE_LIMIT));
            }
            calls.add(now);
        }
        match rules.token_mode {
            TokenMode::Fresh => {}
            TokenMode::Same => {
                if let Some((text, token)) = self.current(now, agent) {
                    let left = Duration::try_from(token.expires - now).unwrap_or_default();
                    return Ok((text.clone(), left));
                }
            }
            TokenMode::Evicting => self.revoke(agent),
        }
        Ok((self.fresh(agent, now + rules.token_life), rules.token_life))
    }

    /// The application whose token this is, if it is still good.
    pub(super) fn check(
        &self,
        now: Timestamp,
        text: &str,
        rules: &Rules,
    ) -> Result<AgentId, Refused> {
        if text.is_empty() {
            return Err(Refused::code_only(ErrCode::MISSING_TOKEN));
        }
        let Some(token) = self.live.get(text) else {
            return Err(Refused::code_only(ErrCode::INVALID_TOKEN));
        };
        if token.revoked {
            return Err(Refused::code_only(rules.revoked_code));
        }
        if now >= token.expires {
            return Err(Refused::code_only(ErrCode::TOKEN_EXPIRED));
        }
        Ok(token.agent)
    }

    /// Whose token this is or was.
    pub(super) fn owner(&self, text: &str) -> Option<AgentId> {
        self.live.get(text).map(|token| token.agent)
    }

    /// Ends all tokens of `agent` before their time, as the service may.
    pub(super) fn revoke(&mut self, agent: AgentId) {
        for token in self.live.values_mut().filter(|token| token.agent == agent) {
            token.revoked = true;
        }
    }

    fn current(&self, now: Timestamp, agent: AgentId) -> Option<(&String, &Token)> {
        let good = |token: &Token| token.agent == agent && !token.revoked && now < token.expires;
        self.live.iter().find(|(_, token)| good(token))
    }

    fn fresh(&mut self, agent: AgentId, expires: Timestamp) -> String {
        self.issued += 1;
        let digest = Sha256::digest(format!("{agent} {}", self.issued));
        let text = URL_SAFE_NO_PAD.encode(digest);
        self.live.insert(
            text.clone(),
            Token {
                agent,
                expires,
                revoked: false,
            },
        );
        self.order.push_back(text.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.live.remove(&oldest);
        }
        text
    }
}
