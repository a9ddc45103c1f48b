//! The access token that an account logs in with (XOAUTH2): fetched once for all who use the
//! account, kept until shortly before its end, dropped when the relay refuses it.

use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use alert_engine::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::Url;
use tokio::sync::Mutex;

use super::grant::Grant;
use super::outcome::failed;
use crate::clock::Clock;
use crate::config::{OAuth2, Secret};
use crate::receiver::SendError;
use crate::receiver::http::{BuildError, Call, HttpClient};
use crate::receiver::redact::{self, Redaction};
use crate::render::Phrase;

/// For one call, from connecting to the last byte.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// A token whose end nobody tells is used for so long, and none for less.
const SHORTEST: Duration = Duration::from_secs(60);
/// A shorter value of `endpoint_params` is a word, whose hiding would spoil what is said.
const LIKE_A_SECRET: usize = 12;

const UNREACHED: Phrase = Phrase::fixed(
    "check token_url and proxy_url of auth_oauth2, and that no firewall stands before them",
    "请检查 auth_oauth2 的 token_url 和 proxy_url，并确认没有防火墙阻挡",
);

/// All of a process, by how they are got: a reload keeps them, and what a provider gave last.
#[derive(Clone, Default)]
pub struct AccessTokens(Arc<Shared<Vec<Arc<Tokens>>>>);

/// What an account needs to get its token.
pub(super) struct Tokens {
    settings: OAuth2,
    http: HttpClient,
    clock: Arc<dyn Clock>,
    /// What the endpoint is sent, and must not be shown when it repeats it.
    secrets: Vec<Secret>,
    state: Mutex<State>,
    /// What must not be shown, as long as somebody may repeat it: the last two tokens.
    recent: Shared<Vec<Token>>,
}

/// A token that may be used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Secret);

#[derive(Default)]
struct State {
    known: Known,
    /// The provider's latest, if it gives a new one with each token; a restart begins with the
    /// config's again.
    refresh: Option<Secret>,
}

#[derive(Default)]
enum Known {
    /// None yet, or dropped.
    #[default]
    Nothing,
    /// Good until it is to be renewed.
    Token { token: Token, renew_at: Timestamp },
    /// Not fetched; those who asked before that instant do not try again themselves.
    Failure { error: SendError, at: Timestamp },
}

impl AccessTokens {
    /// The one that is got in this way, known already or new. Those that nobody uses are forgotten.
    pub(super) fn of(
        &self,
        settings: &OAuth2,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Tokens>, BuildError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|tokens| Arc::strong_count(tokens) > 1);
        if let Some(known) = all.iter().find(|tokens| tokens.settings == *settings) {
            return Ok(known.clone());
        }
        let new = Arc::new(Tokens::new(settings, clock.clone())?);
        all.push(new.clone());
        Ok(new)
    }
}

impl Tokens {
    /// Fetches nothing yet.
    pub(super) fn new(settings: &OAuth2, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let proxy = settings.proxy_url.as_ref();
        let of_proxy = proxy.map(|proxy| redact::login(proxy.expose()));
        let own = [&settings.client_secret, &settings.refresh_token];
        let own = own.into_iter().flatten().cloned();
        let params = settings.endpoint_params.iter();
        let params = params.filter(|(_, value)| value.len() >= LIKE_A_SECRET);
        let params = params.map(|(_, value)| Secret::new(value));
        Ok(Self {
            http: HttpClient::new(proxy, &settings.trust)?,
            clock,
            secrets: own
                .chain(params)
                .chain(of_proxy.into_iter().flatten())
                .collect(),
            settings: settings.clone(),
            state: Mutex::default(),
            recent: Shared::default(),
        })
    }

    /// The token: the one at hand, or a new one. Callers that come meanwhile wait for the same, and
    /// share its failure.
    pub(super) async fn get(&self) -> Result<Token, SendError> {
        let asked = self.clock.now();
        let mut state = self.state.lock().await;
        match &state.known {
            Known::Token { token, renew_at } if self.clock.now() < *renew_at => {
                return Ok(token.clone());
            }
            Known::Failure { error, at } if asked < *at => return Err(error.clone()),
            Known::Nothing | Known::Token { .. } | Known::Failure { .. } => {}
        }
        let granted = self.fetch(state.refresh.as_ref()).await;
        let now = self.clock.now();
        match granted {
            Ok(grant) => {
                let token = Token(grant.token);
                self.remember(&token);
                state.refresh = grant.refresh.or(state.refresh.take());
                state.known = Known::Token {
                    token: token.clone(),
                    renew_at: now + grant.lasts.mul_f64(0.9).max(SHORTEST),
                };
                Ok(token)
            }
            Err(error) => {
                let known = error.clone();
                state.known = Known::Failure {
                    error: known,
                    at: now,
                };
                Err(error)
            }
        }
    }

    /// Forgets `used`, unless somebody has renewed it already.
    pub(super) async fn drop_used(&self, used: &Token) {
        let mut state = self.state.lock().await;
        if matches!(&state.known, Known::Token { token, .. } if token == used) {
            state.known = Known::Nothing;
        }
    }

    /// What a relay may repeat of a login as `user`.
    pub(super) fn secrets(&self, user: &str) -> Vec<Secret> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let forms = |token: &Token| [token.0.clone(), Secret::new(&token.proof(user))];
        recent.iter().flat_map(forms).collect()
    }

    fn remember(&self, token: &Token) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.insert(0, token.clone());
        recent.truncate(2);
    }

    async fn fetch(&self, refresh: Option<&Secret>) -> Result<Grant, SendError> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let call = Call {
            method: Method::POST,
            url: self.settings.token_url.clone(),
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, form)]),
            body: self.request(refresh).into(),
            deadline: CALL,
        };
        let answer = self.http.call(call).await;
        let answer = answer.map_err(|error| SendError {
            fix: Some(UNREACHED),
            ..failed("token", &error.to_string(), None)
        })?;
        Grant::read(&answer).map_err(|error| self.hide(error, refresh))
    }

    /// The endpoint may repeat all that it was sent.
    fn hide(&self, error: SendError, refresh: Option<&Secret>) -> SendError {
        let secrets = self.secrets.iter().chain(refresh).cloned();
        let redaction = Redaction::of(secrets);
        SendError {
            answer: redaction.clean(&error.answer),
            code: error.code.map(|code| redaction.clean(&code)),
            ..error
        }
    }

    /// The body of the request: a form.
    fn request(&self, refresh: Option<&Secret>) -> String {
        let OAuth2 {
            client_id,
            client_secret,
            scopes,
            ..
        } = &self.settings;
        let refresh = refresh.or(self.settings.refresh_token.as_ref());
        let mut form = vec![("client_id", client_id.as_str())];
        match refresh {
            Some(token) => form.extend([
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
            ]),
            None => form.push(("grant_type", "client_credentials")),
        }
        form.extend(
            client_secret
                .iter()
                .map(|secret| ("client_secret", secret.expose())),
        );
        let scopes = scopes.join(" ");
        form.extend((!scopes.is_empty()).then_some(("scope", scopes.as_str())));
        let more = self.settings.endpoint_params.iter();
        form.extend(more.map(|(name, value)| (name.as_str(), value.as_str())));
        let url = Url::parse_with_params("http://form/", form).expect("the base is a URL");
        url.query().unwrap_or_default().to_owned()
    }
}

impl Token {
    /// What AUTH XOAUTH2 sends.
    pub(super) fn proof(&self, user: &str) -> String {
        BASE64.encode(format!(
            "user={user}\x01auth=Bearer {}\x01\x01",
            self.0.expose()
        ))
    }
}
