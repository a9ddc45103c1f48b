//! Passes Alertmanager's webhook body on, so that routers chain and everything that reads from an
//! Alertmanager reads from us. The body itself is in `webhook/body.rs`.

use std::fmt;
use std::time::Duration;

use alert_engine::LaneKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use telemetry_lib::propagation::{self, HeaderCarrierMut};

use super::http::{Answer, BuildError, Call, HttpClient, HttpError};
use super::redact::{self, Redaction};
use super::{
    Delivery, Destination, Failure, Limits, Part, Progress, Receipt, Receiver, RenderError,
    Rendering, SendError,
};
use crate::config::{self, HttpAuth, Secret, SecretUrl};
use crate::render::Phrase;
use crate::trace;

mod body;
mod probe;

pub(crate) use body::raw_alert;
pub(super) use probe::{is_same_way, probe};

const CHANNEL: &str = "webhook";
/// The only part.
const PART: &str = "1";
/// When a server that refuses our credentials is worth another try.
const PROBE: Duration = Duration::from_secs(15 * 60);

/// A URL, ready to post to.
pub struct Webhook {
    destination: Destination,
    limits: Limits,
    url: SecretUrl,
    headers: HeaderMap,
    max_alerts: usize,
    http: HttpClient,
    redaction: Redaction,
}

impl Webhook {
    /// Builds the receiver; starts nothing.
    pub fn new(config: &config::Webhook) -> Result<Self, BuildError> {
        let key = LaneKey::of(&[CHANNEL.as_bytes(), config.url.expose().as_str().as_bytes()]);
        Ok(Self {
            destination: Destination {
                channel: CHANNEL,
                key,
                label: config.url.to_string(),
            },
            limits: Limits {
                windows: Vec::new(),
                shared: Vec::new(),
                deadline: config.timeout,
                priority_exempt_hourly: false,
            },
            url: config.url.clone(),
            headers: headers(config.auth.as_ref())?,
            max_alerts: match config.max_alerts {
                0 => usize::MAX,
                most => most as usize,
            },
            http: HttpClient::new(config.proxy_url.as_ref(), &config.trust)?,
            redaction: Redaction::of(secrets(config)),
        })
    }

    async fn post(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let mut headers = self.headers.clone();
        propagation::inject(&trace::ids_only(), &mut HeaderCarrierMut(&mut headers));
        let parts = delivery.parts.iter();
        for part in parts.filter(|part| !delivery.progress.contains(&part.id)) {
            let answer = self.http.call(Call {
                method: Method::POST,
                url: self.url.expose().clone(),
                headers: headers.clone(),
                body: part.body.clone(),
                deadline: self.limits.deadline,
            });
            let answer = match answer.await {
                // Only the status counts, as upstream, and pages of errors are long.
                Err(HttpError::TooLong { start, .. }) => start,
                answer => answer.map_err(|error| unanswered(&error))?,
            };
            if !answer.status.is_success() {
                return Err(self.refused(&answer));
            }
        }
        Ok(Receipt::default())
    }

    fn refused(&self, answer: &Answer) -> SendError {
        let status = answer.status;
        let said = String::from_utf8_lossy(&answer.body);
        let (failure, reason, fix) = classify(status, answer.retry_after);
        SendError {
            failure,
            reason,
            code: Some(status.as_u16().to_string()),
            answer: self
                .redaction
                .clean(&format!("HTTP status {status}: {said}")),
            fix,
            progress: Progress::new(),
        }
    }
}

impl Receiver for Webhook {
    fn destination(&self) -> &Destination {
        &self.destination
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let body = body::Body::of(rendering.message, self.max_alerts);
        let mut bytes = serde_json::to_vec(&body).map_err(|error| RenderError {
            channel: CHANNEL,
            why: error.to_string(),
        })?;
        // As Alertmanager ends its own.
        bytes.push(b'\n');
        Ok(vec![Part {
            id: PART.to_owned(),
            body: Bytes::from(bytes),
            recipients: Vec::new(),
        }])
    }

    fn look(&self) -> Option<String> {
        Some(format!("{:?}", self.max_alerts))
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(delivery))
    }
}

/// Without the URL and the credentials.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("destination", &self.destination)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What an HTTP status asks for.
///
/// 401, 403 and 407 are about the credentials, not about the message: they block the destination
/// until somebody changes something, and what it is owed is kept.
fn classify(
    status: StatusCode,
    retry_after: Option<Duration>,
) -> (Failure, &'static str, Option<Phrase>) {
    let blocked = Failure::Blocked { probe_after: PROBE };
    match status.as_u16() {
        401 | 403 => (
            blocked,
            "auth",
            Some(Phrase::fixed(
                "correct http_config.authorization or basic_auth",
                "请更正 http_config.authorization 或 basic_auth",
            )),
        ),
        407 => (
            blocked,
            "auth",
            Some(Phrase::fixed(
                "put the proxy's user and password into proxy_url",
                "请把代理的用户名和密码写入 proxy_url",
            )),
        ),
        408 | 425 | 429 | 500.. => (Failure::Failed { retry_after }, "http_status", None),
        _ => (
            Failure::Refused,
            "http_status",
            Some(Phrase::fixed(
                "check that the URL takes the webhook body of Alertmanager, version 4",
                "请检查该 URL 是否接受 Alertmanager 第 4 版的 webhook 请求体",
            )),
        ),
    }
}

fn unanswered(error: &HttpError) -> SendError {
    let (failure, fix) = match error {
        HttpError::Redirect { .. } => (
            Failure::Blocked { probe_after: PROBE },
            Some(Phrase::fixed(
                "put the final URL into the config",
                "请把最终的 URL 写入配置",
            )),
        ),
        HttpError::Connect { .. }
        | HttpError::Timeout { .. }
        | HttpError::Lost { .. }
        | HttpError::TooLong { .. } => (Failure::Failed { retry_after: None }, None),
    };
    SendError {
        failure,
        reason: error.reason(),
        code: None,
        answer: error.to_string(),
        fix,
        progress: Progress::new(),
    }
}

fn headers(auth: Option<&HttpAuth>) -> Result<HeaderMap, BuildError> {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
    let credentials = match auth {
        None => return Ok(headers),
        Some(HttpAuth::Bearer(token)) => format!("Bearer {}", token.expose()),
        Some(HttpAuth::Basic { username, password }) => {
            let pair = format!("{username}:{}", password.expose());
            format!("Basic {}", STANDARD.encode(pair))
        }
    };
    let mut value = HeaderValue::try_from(credentials).map_err(|_| BuildError::Unsupported {
        what: "a credential with line breaks",
        fix: "write the token on one line",
    })?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(headers)
}

/// Everything that a server could echo: credentials, and the URL's own path and query.
fn secrets(config: &config::Webhook) -> Vec<Secret> {
    let url = config.url.expose();
    let of_url = [url.query(), Some(url.path()).filter(|path| path.len() > 1)];
    let proxy = config.proxy_url.as_ref().map(SecretUrl::expose);
    let of_auth = match &config.auth {
        Some(HttpAuth::Bearer(secret)) => vec![secret.clone()],
        Some(HttpAuth::Basic { username, password }) => {
            let pair = format!("{username}:{}", password.expose());
            vec![password.clone(), Secret::new(&STANDARD.encode(pair))]
        }
        None => Vec::new(),
    };
    let of_url = of_url.into_iter().flatten().map(Secret::new);
    let of_logins = std::iter::once(url).chain(proxy).flat_map(redact::login);
    of_auth.into_iter().chain(of_url).chain(of_logins).collect()
}

#[cfg(test)]
pub(super) mod document;
#[cfg(test)]
mod tests;
