//! What an account logs in with: a password as it stands in the config, or an access token that
//! is fetched first.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::outcome::trouble_error;
use super::smtp::{Proof, Trouble, plain_proof};
use super::token::Tokens;
use crate::config::{Secret, SmtpAuth};
use crate::receiver::SendError;
use crate::render::Phrase;

/// How an account proves who it is, each time that it logs in.
pub(super) enum Login {
    /// It says nothing of itself.
    Nobody,
    /// The same each time.
    Password(Secret),
    /// A token, which others may use too.
    Tokens(Arc<Tokens>),
}

impl Login {
    /// What to log in with now.
    pub(super) async fn proof(&self) -> Result<Option<Proof>, SendError> {
        Ok(match self {
            Self::Nobody => None,
            Self::Password(password) => Some(Proof::Password(password.clone())),
            Self::Tokens(tokens) => Some(Proof::Token(tokens.get().await?)),
        })
    }

    /// What to log in with once more after `refused`: the relay may know better than the clock when a
    /// token ends, but no password gets better.
    pub(super) async fn another(&self, refused: &Proof) -> Option<Result<Proof, SendError>> {
        let (Self::Tokens(tokens), Proof::Token(token)) = (self, refused) else {
            return None;
        };
        tokens.drop_used(token).await;
        Some(tokens.get().await.map(Proof::Token))
    }

    /// What a server may repeat of what it was told, in each form in which it travels.
    pub(super) fn secrets(&self, auth: &SmtpAuth) -> Vec<Secret> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Password(password) => vec![
                password.clone(),
                Secret::new(&BASE64.encode(password.expose())),
                Secret::new(&plain_proof(auth, password)),
            ],
            Self::Tokens(tokens) => tokens.secrets(&auth.username),
        }
    }
}

/// The end of a session that began with `proof`: what to do about a login depends on it.
pub(super) fn ended(host: &str, proof: Option<&Proof>, trouble: Trouble) -> SendError {
    let error = trouble_error(host, trouble);
    if !matches!(proof, Some(Proof::Token(_))) || error.reason != "auth" {
        return error;
    }
    let fix = match error.code {
        Some(_) => Phrase::fixed(
            "check that auth_username is the account for which auth_oauth2 gets tokens, and that its \
             scopes allow SMTP",
            "请确认 auth_username 就是 auth_oauth2 取得令牌的账号，并且其 scopes 允许 SMTP",
        ),
        None => Phrase::fixed(
            "this relay takes no access tokens: use auth_password, or the relay of the account's provider",
            "该中继服务器不接受访问令牌：请改用 auth_password，或使用该账号服务商的中继服务器",
        ),
    };
    SendError {
        fix: Some(fix),
        ..error
    }
}
