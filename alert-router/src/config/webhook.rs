//! `webhook_configs`: where Alertmanager's webhook body goes on, so that routers chain.

use std::time::Duration;

use super::email::Trust;
use super::{Secret, SecretUrl};

/// One entry of `webhook_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where to post: `url` or `url_file`. May hold credentials.
    pub url: SecretUrl,
    /// `http_config.authorization` or `http_config.basic_auth`.
    pub auth: Option<HttpAuth>,
    /// `http_config.proxy_url`.
    pub proxy_url: Option<SecretUrl>,
    /// `http_config.tls_config`.
    pub trust: Trust,
    /// For the whole request: `timeout`, default 10 s.
    pub timeout: Duration,
    /// At most so many alerts in a body, 0 for all: `max_alerts`.
    pub max_alerts: u32,
}

/// Credentials of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuth {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
}
