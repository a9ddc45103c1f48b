//! The access token that an account logs in with (XOAUTH2): fetched once for all who use the
//! account, kept until shortly before its end, dropped when the relay refuses it.

use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use alert_engine::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::Mutex;

use super::outcome::{PROBE, failed};
use crate::clock::Clock;
use crate::config::{OAuth2, Secret};
use crate::receiver::http::{Answer, BuildError, Call, HttpClient};
use crate::receiver::redact::{self, Redaction};
use crate::receiver::{Failure, SendError};
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
const BUSY: Phrase = Phrase::fixed(
    "the provider gives no tokens for now: wait, and look at its status page if it lasts",
    "服务商暂时不发放令牌：请等待；若持续不恢复，请查看其状态页",
);

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

/// What the provider gave.
struct Grant {
    token: Token,
    lasts: Duration,
    refresh: Option<Secret>,
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

    /// Whether they are got in this way.
    pub(super) fn are_of(&self, settings: &OAuth2) -> bool {
        self.settings == *settings
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
                self.remember(&grant.token);
                state.refresh = grant.refresh.or(state.refresh.take());
                state.known = Known::Token {
                    token: grant.token.clone(),
                    renew_at: now + grant.lasts.mul_f64(0.9).max(SHORTEST),
                };
                Ok(grant.token)
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
        read(&answer).map_err(|error| self.hide(error, refresh))
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

#[expect(clippy::result_large_err, reason = "it is the seam's error")]
fn read(answer: &Answer) -> Result<Grant, SendError> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = body["access_token"]
        .as_str()
        .filter(|token| !token.is_empty());
    match (answer.status.is_success(), token) {
        (true, Some(token)) => Ok(Grant {
            token: Token(Secret::new(token)),
            lasts: seconds(&body["expires_in"]),
            refresh: body["refresh_token"].as_str().map(Secret::new),
        }),
        // Some say no with a 200.
        (true, None) if body["error"].is_string() => Err(no_grant(answer, &body)),
        (true, None) => Err(refused(
            None,
            "the token endpoint gave no access_token".to_owned(),
        )),
        (false, _) => Err(no_grant(answer, &body)),
    }
}

/// A number, which some write as a text.
pub(super) fn seconds(value: &Value) -> Duration {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Duration::from_secs(number.unwrap_or_default())
}

fn no_grant(answer: &Answer, body: &Value) -> SendError {
    let status = answer.status;
    let error = body["error"].as_str();
    let said = body["error_description"].as_str().unwrap_or_default();
    let words = format!(
        "no access token: HTTP status {status}: {} {said}",
        error.unwrap_or_default()
    );
    let words = words.trim_end().to_owned();
    let code = error.filter(|error| is_code(error));
    let is_late = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
        || matches!(code, Some("temporarily_unavailable" | "server_error"));
    if is_late {
        SendError {
            fix: Some(BUSY),
            ..failed("token", &words, answer.retry_after)
        }
    } else {
        refused(code, words)
    }
}

/// Such as `invalid_grant`; some write sentences there.
fn is_code(error: &str) -> bool {
    (1..=64).contains(&error.len()) && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Nobody gets a token until somebody changes something.
fn refused(code: Option<&str>, answer: String) -> SendError {
    let fix = match code {
        Some("invalid_grant") => Phrase::fixed(
            "the refresh token has expired or was revoked: let the account's owner agree again, and put \
             the new one into auth_oauth2.refresh_token",
            "刷新令牌已过期或被撤销：请让账号所有者重新授权，并把新的令牌写入 auth_oauth2.refresh_token",
        ),
        Some("invalid_client" | "unauthorized_client") => Phrase::fixed(
            "check client_id and client_secret of auth_oauth2, and that the application may use this grant",
            "请检查 auth_oauth2 的 client_id 和 client_secret，并确认该应用有权使用此授权方式",
        ),
        Some("invalid_scope") => Phrase::fixed(
            "check auth_oauth2.scopes against the provider's manual",
            "请对照服务商的文档检查 auth_oauth2.scopes",
        ),
        Some(_) | None => Phrase::fixed(
            "check auth_oauth2.token_url: this is not the provider's token endpoint, or it wants more",
            "请检查 auth_oauth2.token_url：应答的不是服务商的令牌端点，或它需要更多参数",
        ),
    };
    SendError {
        failure: Failure::Blocked { probe_after: PROBE },
        code: code.map(str::to_owned),
        fix: Some(fix),
        ..failed("auth", &answer, None)
    }
}
