//! An application's account with WeCom: one token and one limit, however many receivers write
//! through it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use alert_engine::LaneKey;
use bytes::Bytes;
use reqwest::Url;

use super::recipients::Recipients;
use super::token::{Token, Tokens};
use crate::clock::Clock;
use crate::config::{self, Trust};
use crate::receiver::http::{BuildError, HttpClient};
use crate::receiver::probe::Findings;
use crate::receiver::redact::Redaction;
use crate::receiver::wecom::classify::{Class, classify};
use crate::receiver::wecom::reply::{Accepted, Trouble};
use crate::receiver::wecom::{self, Hold, Post};

/// All applications of a config.
pub struct Applications {
    clock: Arc<dyn Clock>,
    accounts: BTreeMap<LaneKey, Arc<App>>,
    members: BTreeMap<LaneKey, BTreeSet<String>>,
}

/// The way to the provider.
pub(super) struct App {
    http: HttpClient,
    send: Url,
    tokens: Tokens,
    pub(super) redaction: Redaction,
    hold: Hold,
    clock: Arc<dyn Clock>,
}

impl Applications {
    /// Opens an account for each application of these settings; starts nothing.
    ///
    /// # Errors
    /// If the proxy or the API's URL of one of them cannot be used.
    pub fn of<'a>(
        configs: impl IntoIterator<Item = &'a config::WecomApp>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let mut accounts = BTreeMap::new();
        let mut members = BTreeMap::<_, BTreeSet<String>>::new();
        for config in configs {
            let app = App::new(config, clock.clone())?;
            accounts.entry(account(config)).or_insert(Arc::new(app));
            let named = Recipients::of(config).users;
            members.entry(agent(config)).or_default().extend(named);
        }
        Ok(Self {
            clock,
            accounts,
            members,
        })
    }

    /// The account that these settings name; one of its own if they were not among those given.
    pub(super) fn account(&self, config: &config::WecomApp) -> Result<Arc<App>, BuildError> {
        match self.accounts.get(&account(config)) {
            Some(app) => Ok(app.clone()),
            None => Ok(Arc::new(App::new(config, self.clock.clone())?)),
        }
    }

    /// All users whom a receiver of this application names.
    pub(super) fn members(&self, config: &config::WecomApp) -> BTreeSet<String> {
        let members = self.members.get(&agent(config));
        members.cloned().unwrap_or_default()
    }
}

/// Whether receivers of these settings share a token.
pub(in crate::receiver) fn is_same_account(
    one: &config::WecomApp,
    other: &config::WecomApp,
) -> bool {
    account(one) == account(other)
}

/// Fetches a token, as the first message would.
pub(in crate::receiver) async fn probe(
    config: &config::WecomApp,
    clock: &Arc<dyn Clock>,
) -> Result<Findings, BuildError> {
    let app = App::new(config, clock.clone())?;
    let host = config.api_url.host_str().unwrap_or_default();
    let found = Findings::default().saw("server", host);
    Ok(match app.tokens.get().await {
        Ok(_) => found
            .saw("token", "errcode 0: corp_id and secret are accepted")
            .saw(
                "not tried",
                "recipients and trusted IPs, which only a message shows: use send-test",
            ),
        Err(trouble) => found.ended(wecom::failed(&trouble, 1, &app.redaction)),
    })
}

/// What must be the same for a token to be the same.
fn account(config: &config::WecomApp) -> LaneKey {
    let proxy = config
        .proxy_url
        .as_ref()
        .map_or("", |url| url.expose().as_str());
    LaneKey::of(&[
        &agent(config).0,
        config.secret.expose().as_bytes(),
        config.api_url.as_str().as_bytes(),
        proxy.as_bytes(),
    ])
}

/// What must be the same for a member's limit to be the same.
fn agent(config: &config::WecomApp) -> LaneKey {
    LaneKey::of(&[config.corp_id.as_bytes(), &config.agent_id.to_be_bytes()])
}

impl App {
    fn new(config: &config::WecomApp, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let http = HttpClient::new(config.proxy_url.as_ref(), &Trust::default())?;
        let endpoint = |path| config.api_url.join(path).map_err(|_| BuildError::ApiUrl);
        let mut gettoken = endpoint("gettoken")?;
        gettoken
            .query_pairs_mut()
            .append_pair("corpid", &config.corp_id)
            .append_pair("corpsecret", config.secret.expose());
        Ok(Self {
            tokens: Tokens::new(http.clone(), clock.clone(), gettoken),
            http,
            send: endpoint("message/send")?,
            redaction: Redaction::of(wecom::secrets(&config.secret, config.proxy_url.as_ref())),
            hold: Hold::default(),
            clock,
        })
    }

    async fn post_with(&self, token: &Token, body: Bytes) -> Result<Accepted, Trouble> {
        let mut url = self.send.clone();
        url.query_pairs_mut()
            .append_pair("access_token", token.expose());
        let answer = wecom::post_json(&self.http, url, body).await;
        self.hold.note(&answer, self.clock.now());
        // The token is no secret that the redaction knows.
        answer.map_err(|trouble| match trouble {
            Trouble::Code { code, errmsg } => Trouble::Code {
                code,
                errmsg: errmsg.replace(token.expose(), "***"),
            },
            other @ (Trouble::Status { .. }
            | Trouble::NotWeCom(_)
            | Trouble::Http(_)
            | Trouble::Held { .. }
            | Trouble::TokenLater(_)
            | Trouble::NoToken { .. }) => other,
        })
    }
}

impl Post for App {
    /// A refused token is dropped and the same bytes go out once more with a fresh one.
    async fn post(&self, body: Bytes) -> Result<Accepted, Trouble> {
        self.hold.check(self.clock.now())?;
        let token = self.tokens.get().await?;
        let answer = self.post_with(&token, body.clone()).await;
        let Err(Trouble::Code { code, .. }) = &answer else {
            return answer;
        };
        if *classify(*code) != Class::Token {
            return answer;
        }
        self.tokens.drop_used(&token).await;
        let token = self.tokens.get().await?;
        self.post_with(&token, body).await
    }
}

/// Without the URLs and the secret in them.
impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}
