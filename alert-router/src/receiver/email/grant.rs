//! What a token endpoint answers: a grant, or why there is none and what to do about that.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::outcome::{PROBE, failed};
use crate::config::Secret;
use crate::receiver::http::Answer;
use crate::receiver::{Failure, SendError};
use crate::render::Phrase;

const BUSY: Phrase = Phrase::fixed(
    "the provider gives no tokens for now: wait, and look at its status page if it lasts",
    "服务商暂时不发放令牌：请等待；若持续不恢复，请查看其状态页",
);

/// What the provider gave.
pub(super) struct Grant {
    pub(super) token: Secret,
    /// Zero if it does not say.
    pub(super) lasts: Duration,
    /// In place of the refresh token that was used.
    pub(super) refresh: Option<Secret>,
}

impl Grant {
    #[expect(clippy::result_large_err, reason = "it is the seam's error")]
    pub(super) fn read(answer: &Answer) -> Result<Self, SendError> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = body["access_token"]
            .as_str()
            .filter(|token| !token.is_empty());
        match (answer.status.is_success(), token) {
            (true, Some(token)) => Ok(Self {
                token: Secret::new(token),
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
