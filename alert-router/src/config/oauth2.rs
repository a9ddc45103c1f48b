//! `auth_oauth2`: where an account gets the access token that it logs in with. The names are those of
//! Alertmanager's `http_config.oauth2`, and a refresh token, which mail accounts of people have.

use reqwest::Url;

use super::fields::Fields;
use super::read::Node;
use super::smtp::Trust;
use super::{Secret, SecretUrl, address, webhook};

/// How access tokens are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Which application asks.
    pub client_id: String,
    /// `client_secret` or `client_secret_file`; some applications with a refresh token have none.
    pub client_secret: Option<Secret>,
    /// Whom it asks.
    pub token_url: Url,
    /// What for.
    pub scopes: Vec<String>,
    /// What else this provider wants to hear.
    pub endpoint_params: Vec<(String, String)>,
    /// `refresh_token` or `refresh_token_file`: in the name of a person who has agreed. `None`: in
    /// the application's own name (client credentials).
    pub refresh_token: Option<Secret>,
    /// The proxy for these calls. May hold credentials.
    pub proxy_url: Option<SecretUrl>,
    /// What is trusted besides the public roots.
    pub trust: Trust,
}

impl OAuth2 {
    /// Reads an `auth_oauth2`.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.fields(|f| {
            let client_id = f.given("client_id", Node::text);
            let client_id = client_id.required(f, "client_id", "add the application's id");
            let client_secret = f.secret("client_secret", "client_secret_file");
            let refresh_token = f.secret("refresh_token", "refresh_token_file");
            if !client_secret.is_present() && !refresh_token.is_present() {
                let what = "neither client_secret nor refresh_token is there";
                f.error((what, "add one of them, or its form with _file"));
            }
            let token_url = f.given("token_url", |n| n.parse(address::http_url));
            let token_url = token_url.required(f, "token_url", "add the provider's token endpoint");
            let scopes = f.read("scopes", |n| Some(n.list()));
            let scopes = scopes.unwrap_or_default();
            let params = f.read("endpoint_params", |n| Some(n.entries()));
            let params = params.unwrap_or_default().into_iter();
            let params = params.filter_map(|(name, value)| Some((name, value.text()?)));
            let (proxy_url, trust) = (webhook::proxy(f), f.read("tls_config", Trust::read));
            let token_url = token_url?;
            refuse_plain(f, &token_url);
            Some(Self {
                client_id: client_id?,
                client_secret: client_secret.optional(),
                token_url,
                scopes: scopes.iter().filter_map(Node::text).collect(),
                endpoint_params: params.collect(),
                refresh_token: refresh_token.optional(),
                proxy_url,
                trust: trust.unwrap_or_default(),
            })
        })
    }
}

/// The secrets go there, and its address is no secret.
fn refuse_plain(f: &Fields<'_>, url: &Url) {
    if !url.username().is_empty() || url.password().is_some() {
        let what = "a login in the URL of the token endpoint";
        f.error_at(
            "token_url",
            (what, "write it as client_id and client_secret"),
        );
    }
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" && !address::is_loopback(host) {
        let what = format!("the secrets would travel unprotected to {host}");
        f.error_at("token_url", (what, "write https://"));
    }
}
