//! `webhook_configs`: where Alertmanager's webhook body goes on, so that routers chain.

use std::time::Duration;

use super::fields::Fields;
use super::read::Node;
use super::smtp::Trust;
use super::{Secret, SecretUrl, address};

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

impl Webhook {
    /// Reads one entry of `webhook_configs`; `send_resolved` is the caller's.
    pub(super) fn read(f: &mut Fields<'_>) -> Option<Self> {
        f.refuse(
            &["payload"],
            "remove it: Alertmanager's webhook body is sent",
        );
        let url = f.secret("url", "url_file");
        let url = url.required(f, "url", "name where to post, by url or url_file");
        let http = f.read("http_config", |n| n.fields(HttpConfig::read));
        let http = http.unwrap_or_default();
        let timeout = f.read("timeout", Node::interval);
        let max_alerts = f.read("max_alerts", |n| n.number(0, u64::from(u32::MAX)));
        let url = address::secret_url(&url?);
        let url = url.map_err(|complaint| f.error_at("url", complaint)).ok()?;
        Some(Self {
            url,
            auth: http.auth,
            proxy_url: http.proxy_url,
            trust: http.trust,
            timeout: timeout.unwrap_or(Duration::from_secs(10)),
            max_alerts: max_alerts.map_or(0, |n| u32::try_from(n).expect("the range was checked")),
        })
    }
}

/// `proxy_url`.
pub(super) fn proxy(f: &mut Fields<'_>) -> Option<SecretUrl> {
    let url = f.secret("proxy_url", "proxy_url_file").optional()?;
    address::proxy_url(&url)
        .map_err(|complaint| f.error_at("proxy_url", complaint))
        .ok()
}

/// `username` and `password` of a `basic_auth`.
pub(super) fn basic_auth(node: &Node<'_>) -> Option<(String, Secret)> {
    node.fields(|f| {
        let username = f
            .given("username", Node::text)
            .required(f, "username", "add it");
        let password = f.secret("password", "password_file");
        let password = password.required(f, "password", "add password or password_file");
        Some((username?, password?))
    })
}

#[derive(Default)]
struct HttpConfig {
    auth: Option<HttpAuth>,
    proxy_url: Option<SecretUrl>,
    trust: Trust,
}

impl HttpConfig {
    fn read(f: &mut Fields<'_>) -> Option<Self> {
        f.refuse(
            &["oauth2"],
            "remove it, and use authorization or basic_auth",
        );
        f.refuse(
            &["http_headers", "no_proxy", "proxy_from_environment"],
            "remove it",
        );
        if f.read("follow_redirects", Node::flag) == Some(true) {
            let what = "redirects are not followed";
            f.warn_at(
                "follow_redirects",
                (what, "remove follow_redirects, and use the final URL"),
            );
        }
        let _either = f.read("enable_http2", Node::flag);
        let bearer = f.read("authorization", |n| n.fields(authorization));
        let token = f.secret("bearer_token", "bearer_token_file").optional();
        let basic = f.read("basic_auth", basic_auth);
        let proxy_url = proxy(f);
        let trust = f.read("tls_config", Trust::read).unwrap_or_default();
        let basic = basic.map(|(username, password)| HttpAuth::Basic { username, password });
        let given = [bearer, token]
            .into_iter()
            .flatten()
            .map(HttpAuth::Bearer)
            .chain(basic);
        let mut given: Vec<HttpAuth> = given.collect();
        if given.len() > 1 {
            let what = "more than one kind of credentials";
            f.error((what, "keep one of authorization, bearer_token, basic_auth"));
        }
        Some(Self {
            auth: given.pop(),
            proxy_url,
            trust,
        })
    }
}

fn authorization(f: &mut Fields<'_>) -> Option<Secret> {
    // The only one there is; another one is reported.
    let _bearer = f.read("type", |n| n.choice(&[("Bearer", ())]));
    let credentials = f.secret("credentials", "credentials_file");
    credentials.required(f, "credentials", "add credentials or credentials_file")
}
