//! The client that commands talk to a running server with: the same outgoing rules as for all
//! others, and the credential of the config.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use reqwest::Url;

use super::http::{Call, HttpClient};
use crate::config::{Credential, Trust};

/// Two hundred rows, or one message of the largest kind, with room to spare.
const LONGEST: usize = 16 << 20;

/// What a command asks a running server for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// How long the answer may take.
    pub within: Duration,
}

/// Why a running server did not do what a command asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It cannot be asked.
    #[error("cannot ask the server at {address}: {why}; is it the one that holds the data folder?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened.
        why: String,
    },
    /// It refused.
    #[error("the server answered {status}: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reason.
        body: String,
    },
}

/// Asks the server at `address` (host and port); returns the answer's text.
///
/// # Errors
///
/// If it cannot be asked, or refuses.
pub async fn ask_server(
    address: &str,
    question: &Question,
    credential: Option<&Credential>,
) -> Result<String, AdminError> {
    let unreachable = |why: String| AdminError::Unreachable {
        address: address.to_owned(),
        why,
    };
    let url = Url::parse(&format!("http://{address}{}", question.path));
    let url = url.map_err(|error| unreachable(error.to_string()))?;
    let client = HttpClient::new(None, &Trust::default());
    let client = client.map_err(|error| unreachable(error.to_string()))?;
    let client = client.reading(LONGEST);
    let call = Call {
        method: question.method.clone(),
        url,
        headers: headers(credential),
        body: Bytes::new(),
        deadline: question.within,
    };
    let answer = client
        .call(call)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status.is_success() {
        Ok(body)
    } else {
        Err(AdminError::Refused {
            status: answer.status.as_u16(),
            body,
        })
    }
}

fn headers(credential: Option<&Credential>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let shown = credential.map(|credential| match credential {
        Credential::Bearer(token) => format!("Bearer {}", token.expose()),
        Credential::Basic { username, password } => {
            format!(
                "Basic {}",
                STANDARD.encode(format!("{username}:{}", password.expose()))
            )
        }
    });
    // A credential that is no header value cannot be one that the server takes.
    if let Some(mut value) = shown.and_then(|shown| HeaderValue::from_str(&shown).ok()) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}
