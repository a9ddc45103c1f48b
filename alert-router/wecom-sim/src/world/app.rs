//! `gettoken` and `message/send`: an application speaks to members. Its oddities are the
//! service's: partial failure is success, and what exceeds a member's limit vanishes in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::envelope::{Channel, Envelope};
use super::rate::MemberRate;
use super::recipients::Recipients;
use super::token::Tokens;
use super::{Call, Content, ErrCode, Fate, Message, Receipt, Refused, ReplyFate, Sender, World};
use crate::config::{AgentId, App, Rules};

/// The duplicate check reaches so far back if the message does not say (documented).
const DUPLICATE_INTERVAL: u64 = 1800;
/// And at most so far (documented); a longer wish is cut to it (assumed).
const DUPLICATE_INTERVAL_MAX: u64 = 14_400;

/// The applications of the corporation with what each has said.
pub(crate) struct Apps {
    corp_id: String,
    apps: BTreeMap<AgentId, App>,
    tokens: Tokens,
    rates: BTreeMap<(AgentId, String), MemberRate>,
    /// Digest of a body to when its interval ends.
    said: BTreeMap<(AgentId, [u8; 32]), Timestamp>,
    task_ids: BTreeSet<(AgentId, String)>,
    sent: u64,
}

impl Apps {
    pub(super) fn new(corp_id: &str, apps: &[App]) -> Self {
        Self {
            corp_id: corp_id.into(),
            apps: apps.iter().map(|app| (app.agent, app.clone())).collect(),
            tokens: Tokens::default(),
            rates: BTreeMap::new(),
            said: BTreeMap::new(),
            task_ids: BTreeSet::new(),
            sent: 0,
        }
    }

    /// The name of the application with this `agentid`.
    pub(crate) fn name(&self, agent: AgentId) -> Option<&str> {
        self.apps.get(&agent).map(|app| app.name.as_str())
    }

    /// Ends every token before its time.
    pub(crate) fn revoke_tokens(&mut self) {
        for agent in self.apps.keys() {
            self.tokens.revoke(*agent);
        }
    }

    pub(super) fn agent_of_token(&self, token: &str) -> Option<AgentId> {
        self.tokens.owner(token)
    }

    pub(super) fn agent_of_secret(&self, secret: &str) -> Option<AgentId> {
        self.apps
            .values()
            .find(|app| app.secret.expose() == secret)
            .map(|app| app.agent)
    }

    /// GET as documented; POST works too, because a widespread client uses it.
    pub(super) fn get_token(
        &mut self,
        now: Timestamp,
        call: &Call,
        rules: &Rules,
    ) -> Result<Receipt, Refused> {
        if self.tokens.is_banned(now, call.peer, rules) {
            return Err(Refused::code_only(ErrCode::RATE_LIMIT));
        }
        let given = |name: &str, missing| match call.query.get(name) {
            Some(value) if !value.is_empty() => Ok(value.as_str()),
            Some(_) | None => Err(Refused::code_only(missing)),
        };
        let corp_id = given("corpid", ErrCode::MISSING_CORP)?;
        let secret = given("corpsecret", ErrCode::MISSING_SECRET)?;
        if corp_id != self.corp_id {
            return Err(Refused::code_only(ErrCode::BAD_CORP));
        }
        let Some(agent) = self.agent_of_secret(secret) else {
            self.tokens.wrong_secret(now, call.peer);
            return Err(Refused::code_only(ErrCode::BAD_SECRET));
        };
        let (token, left) = self.tokens.issue(now, agent, rules)?;
        let mut receipt = Receipt::default();
        receipt.fields.insert("access_token".into(), token.into());
        receipt
            .fields
            .insert("expires_in".into(), left.as_secs().into());
        Ok(receipt)
    }

    /// The application that may send this call: its token, address and `agentid` agree.
    fn admit(&self, now: Timestamp, call: &Call, rules: &Rules) -> Result<&App, Refused> {
        let token = call
            .query
            .get("access_token")
            .map(String::as_str)
            .unwrap_or_default();
        let agent = self.tokens.check(now, token, rules)?;
        let app = self
            .apps
            .get(&agent)
            .ok_or(Refused::code_only(ErrCode::BAD_AGENT))?;
        if !app.trusts(call.peer) {
            return Err(Refused::code_only(ErrCode::IP_NOT_TRUSTED));
        }
        call.require_post()?;
        Ok(app)
    }

    fn check_agent(&self, app: &App, said: AgentId) -> Result<(), Refused> {
        if said != app.agent {
            let foreign = self.apps.contains_key(&said);
            let code = if foreign {
                ErrCode::FOREIGN_AGENT
            } else {
                ErrCode::BAD_AGENT
            };
            return Err(Refused::code_only(code));
        }
        if !app.enabled {
            return Err(Refused::code_only(ErrCode::APP_DISABLED));
        }
        Ok(())
    }

    /// A task id names one card for good.
    fn take_task_id(&mut self, agent: AgentId, content: &Content) -> Result<(), Refused> {
        let Content::Card(card) = content else {
            return Ok(());
        };
        if card.task_id.is_empty() || self.task_ids.insert((agent, card.task_id.clone())) {
            return Ok(());
        }
        Err(Refused::invalid("template_card: task_id was used before"))
    }

    /// Whether these bytes were said within their interval; notes them otherwise.
    fn is_duplicate(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        sent: &Map<String, Value>,
        body: &[u8],
    ) -> bool {
        let asked = sent
            .get("enable_duplicate_check")
            .and_then(number)
            .unwrap_or(0);
        if asked == 0 {
            return false;
        }
        let interval = sent.get("duplicate_check_interval").and_then(number);
        let interval = interval
            .unwrap_or(DUPLICATE_INTERVAL)
            .min(DUPLICATE_INTERVAL_MAX);
        self.said.retain(|_, until| now < *until);
        let key = (agent, Sha256::digest(body).into());
        if self.said.contains_key(&key) {
            return true;
        }
        self.said.insert(key, now + Duration::from_secs(interval));
        false
    }

    /// Splits members into those who are shown the message and those over their limit.
    fn deliver(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        members: BTreeSet<String>,
        rules: &Rules,
    ) -> (Vec<String>, Vec<String>) {
        members.into_iter().partition(|member| {
            self.rates
                .entry((agent, member.clone()))
                .or_default()
                .admit(now, rules)
        })
    }

    fn opaque(&mut self, what: &str) -> Value {
        self.sent += 1;
        URL_SAFE_NO_PAD
            .encode(Sha256::digest(format!("{what} {}", self.sent)))
            .into()
    }
}

impl World {
    pub(super) fn message_send(
        &mut self,
        now: Timestamp,
        call: &Call,
        lost: bool,
    ) -> Result<Receipt, Refused> {
        let app = self.apps.admit(now, call, &self.rules)?;
        let agent = app.agent;
        let envelope = Envelope::parse(&call.body, Channel::App, &self.rules)?;
        let said = envelope.object.get("agentid");
        let said_agent = said
            .and_then(number)
            .ok_or(Refused::code_only(ErrCode::BAD_AGENT))?;
        self.apps.check_agent(app, said_agent)?;
        let mut recipients = Recipients::resolve(&envelope.object, &self.directory)?;
        let content = Content::parse(&envelope, Channel::App, &self.rules)?;
        let duplicate = self
            .apps
            .is_duplicate(now, agent, &envelope.object, &call.body);
        let (shown_to, dropped_for) = if duplicate {
            (Vec::new(), Vec::new())
        } else {
            self.apps.take_task_id(agent, &content)?;
            let members = std::mem::take(&mut recipients.members);
            self.apps.deliver(now, agent, members, &self.rules)
        };
        let fate = match (duplicate, shown_to.is_empty()) {
            (true, _) => Fate::Duplicate,
            (false, true) => Fate::Dropped,
            (false, false) => Fate::Shown,
        };
        let sloppy = said.is_some_and(Value::is_string);
        let interactive = matches!(&content, Content::Card(card) if card.is_interactive());
        let warnings = content.warnings(&envelope, &self.directory);
        self.outbox.accept(Message {
            seq: 0,
            at: now,
            sender: Sender::App(agent),
            content,
            body: call.body.clone(),
            shown_to,
            dropped_for,
            fate,
            reply: ReplyFate::of(lost),
            warnings,
        });
        Ok(self.receipt(&recipients, interactive, sloppy))
    }

    fn receipt(&mut self, recipients: &Recipients, interactive: bool, sloppy: bool) -> Receipt {
        let mut fields = Map::new();
        let mut list = |name: &str, ids: &[String]| {
            fields.insert(name.into(), ids.join("|").into());
        };
        list("invaliduser", &recipients.invalid_users);
        list("invalidparty", &recipients.invalid_parties);
        list("invalidtag", &recipients.invalid_tags);
        list("unlicenseduser", &recipients.unlicensed);
        fields.insert("msgid".into(), self.apps.opaque("msgid"));
        if interactive {
            fields.insert("response_code".into(), self.apps.opaque("response_code"));
        }
        Receipt { fields, sloppy }
    }
}

/// Numbers may come as strings: widespread clients send `"agentid":"1000002"` and are served.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
