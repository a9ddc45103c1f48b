//! How a mail relay is reached: place, protection, credentials. Apart from whom mails go to, because
//! all of it is inherited from `global`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;

use super::fields::{Fields, Given};
use super::read::Node;
use super::{OAuth2, Secret, address};

/// Host and port of a mail relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smarthost {
    /// A name or an address, without brackets.
    pub host: String,
    /// By default 465 with implicit TLS, else 587.
    pub port: u16,
}

/// How an SMTP connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte: port 465, or `force_implicit_tls: true`.
    Implicit,
    /// By STARTTLS, without which nothing is sent. The default on other ports.
    StartTls,
    /// Not at all: `require_tls: false`. With credentials to this machine only.
    Plain,
}

/// Which certificates a TLS client accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM of further roots: the content of `tls_config.ca_file`.
    pub ca_pem: Option<Arc<str>>,
    /// The name to expect instead of the host: `tls_config.server_name`.
    pub server_name: Option<String>,
}

/// Credentials for AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpAuth {
    /// `auth_username`, or `global.smtp_auth_username`.
    pub username: String,
    /// How we prove it.
    pub proof: SmtpProof,
    /// `auth_identity`, for PLAIN; usually none.
    pub identity: Option<String>,
}

/// What an account is proved with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpProof {
    /// `auth_password`, `auth_password_file`, or `global`'s: AUTH PLAIN or LOGIN.
    Password(Secret),
    /// `auth_oauth2`, or `global.smtp_auth_oauth2`: AUTH XOAUTH2 with an access token.
    OAuth2(Box<OAuth2>),
}

/// What an account takes: at most `mails` in any span of `per`. A mail to several addresses counts
/// once for each, as providers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpLimit {
    /// How many.
    pub mails: u32,
    /// In how long a span.
    pub per: Duration,
}

/// `global`'s SMTP settings, which every entry inherits.
pub(super) struct SmtpDefaults {
    pub(super) from: Given<Mailbox>,
    smarthost: Given<(String, Option<u16>)>,
    hello: Given<String>,
    username: Given<String>,
    proof: Given<SmtpProof>,
    identity: Given<String>,
    require_tls: Given<bool>,
    force_implicit_tls: Given<bool>,
    trust: Given<Trust>,
    limits: Given<Vec<SmtpLimit>>,
}

impl fmt::Display for Smarthost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl SmtpDefaults {
    pub(super) fn none() -> Self {
        Self {
            from: Given::absent(),
            smarthost: Given::absent(),
            hello: Given::absent(),
            username: Given::absent(),
            proof: Given::absent(),
            identity: Given::absent(),
            require_tls: Given::absent(),
            force_implicit_tls: Given::absent(),
            trust: Given::absent(),
            limits: Given::absent(),
        }
    }

    pub(super) fn read(global: &mut Fields<'_>) -> Self {
        global.refuse(&["smtp_auth_secret", "smtp_auth_secret_file"], NO_CRAM);
        Self {
            from: global.given("smtp_from", |n| n.parse(address::mailbox)),
            smarthost: global.given("smtp_smarthost", |n| n.parse(address::host_and_port)),
            hello: global.given("smtp_hello", Node::text),
            username: global.given("smtp_auth_username", Node::text),
            proof: SmtpProof::read(global, &GLOBAL),
            identity: global.given("smtp_auth_identity", Node::text),
            require_tls: global.given("smtp_require_tls", Node::flag),
            force_implicit_tls: global.given("smtp_force_implicit_tls", Node::flag),
            trust: global.given("smtp_tls_config", Trust::read),
            limits: global.given("smtp_account_limits", SmtpLimit::all),
        }
    }
}

/// The keys of a proof.
struct ProofKeys {
    password: &'static str,
    password_file: &'static str,
    oauth2: &'static str,
}

const OWN: ProofKeys = ProofKeys {
    password: "auth_password",
    password_file: "auth_password_file",
    oauth2: "auth_oauth2",
};
const GLOBAL: ProofKeys = ProofKeys {
    password: "smtp_auth_password",
    password_file: "smtp_auth_password_file",
    oauth2: "smtp_auth_oauth2",
};

impl SmtpProof {
    fn read(f: &mut Fields<'_>, keys: &ProofKeys) -> Given<Self> {
        let password = f.secret(keys.password, keys.password_file);
        let oauth2 = f.given(keys.oauth2, OAuth2::read);
        let oauth2 = oauth2.map(|oauth2| Self::OAuth2(Box::new(oauth2)));
        if password.is_present() && oauth2.is_present() {
            let what = format!("{} is set too", keys.password);
            f.error_at(keys.oauth2, (what, "keep one of them"));
        }
        oauth2.or(&password.map(Self::Password))
    }
}

/// Why there is no CRAM-MD5.
pub(super) const NO_CRAM: &str = "remove it, and use PLAIN or LOGIN with auth_password over TLS";

impl Trust {
    /// Reads a `tls_config`.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.fields(|f| {
            let verify = "remove it: certificates are verified; name your own CA with ca_file";
            f.refuse(
                &[
                    "cert",
                    "cert_file",
                    "key",
                    "key_file",
                    "key_ref",
                    "ca",
                    "ca_ref",
                ],
                verify,
            );
            f.refuse(&["max_version"], "remove it: TLS 1.2 and 1.3 are spoken");
            // Nothing older than TLS 1.2 is spoken anyway.
            let old = [("TLS10", ()), ("TLS11", ()), ("TLS12", ())];
            let _floor = f.read("min_version", |n| n.choice(&old));
            if f.read("insecure_skip_verify", Node::flag) == Some(true) {
                f.error_at("insecure_skip_verify", ("that is not possible", verify));
            }
            let server_name = f.read("server_name", |n| n.parse(address::domain));
            let ca_pem = f.file("ca_file").map(Arc::from);
            Some(Self {
                ca_pem,
                server_name,
            })
        })
    }
}

/// How a relay is reached.
pub(super) struct Connection {
    pub(super) smarthost: Smarthost,
    pub(super) hello: Option<String>,
    pub(super) tls: SmtpTls,
    pub(super) trust: Trust,
    pub(super) auth: Option<SmtpAuth>,
    pub(super) limits: Option<Vec<SmtpLimit>>,
}

impl SmtpLimit {
    /// A week is the longest span that providers count in, and thousands of mails are no alerts.
    fn all(node: &Node<'_>) -> Option<Vec<Self>> {
        const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
        let one = |f: &mut Fields<'_>| {
            let mails = f.given("mails", |n| n.number(1, 10_000));
            let mails = mails.required(f, "mails", "say how many");
            let per = f.given("per", Node::interval);
            let per = per.required(f, "per", "say in how long, such as 1m");
            if per.is_some_and(|per| per > LONGEST) {
                f.error_at("per", ("it is longer than a week", "write at most 7d"));
            }
            Some(Self {
                mails: u32::try_from(mails?).ok()?,
                per: per?,
            })
        };
        let all = node.list();
        Some(all.iter().filter_map(|node| node.fields(one)).collect())
    }
}

impl Connection {
    pub(super) fn read(f: &mut Fields<'_>, global: &SmtpDefaults) -> Option<Self> {
        let place = f.given("smarthost", |n| n.parse(address::host_and_port));
        let fix = "add it here, or smtp_smarthost in global";
        let place = place.or(&global.smarthost).required(f, "smarthost", fix);
        let hello = f
            .given("hello", |n| n.parse(address::domain))
            .or(&global.hello)
            .optional();
        let required = f.given("require_tls", Node::flag).or(&global.require_tls);
        let implicit = f
            .given("force_implicit_tls", Node::flag)
            .or(&global.force_implicit_tls);
        let trust = f.given("tls_config", Trust::read).or(&global.trust);
        let limits = f.given("account_limits", SmtpLimit::all);
        let limits = limits.or(&global.limits).optional();
        let auth = auth(f, global);
        let (host, port) = place?;
        let implicit = implicit.optional().unwrap_or(port == Some(465));
        let tls = match (implicit, required.optional().unwrap_or(true)) {
            (true, _) => SmtpTls::Implicit,
            (false, true) => SmtpTls::StartTls,
            (false, false) => SmtpTls::Plain,
        };
        let connection = Self {
            smarthost: Smarthost {
                host,
                port: port.unwrap_or(if implicit { 465 } else { 587 }),
            },
            hello,
            tls,
            trust: trust.optional().unwrap_or_default(),
            auth: auth?,
            limits,
        };
        connection.check(f);
        Some(connection)
    }

    fn check(&self, f: &Fields<'_>) {
        let near = address::is_loopback(&self.smarthost.host);
        if self.tls == SmtpTls::Plain && self.auth.is_some() && !near {
            let what = format!(
                "the password would travel unprotected to {}",
                self.smarthost.host
            );
            f.error_at(
                "require_tls",
                (what, "remove require_tls: false, or auth_username"),
            );
        }
        if self.hello.as_deref() == Some("localhost") && !near {
            let what = "many relays refuse the name localhost";
            f.error_at("hello", (what, "set hello to this machine's full name"));
        }
    }
}

/// The credentials: `None` if they are wrong, `Some(None)` if there are none.
fn auth(f: &mut Fields<'_>, global: &SmtpDefaults) -> Option<Option<SmtpAuth>> {
    let own_username = f.given("auth_username", Node::text);
    let own_proof = SmtpProof::read(f, &OWN);
    let identity = f.given("auth_identity", Node::text).or(&global.identity);
    let username = own_username.or(&global.username);
    let proof = own_proof.or(&global.proof);
    if !username.is_present() {
        if proof.is_present() {
            let (key, what) = match proof.peek() {
                Some(SmtpProof::OAuth2(_)) => (OWN.oauth2, "auth_oauth2 without auth_username"),
                Some(SmtpProof::Password(_)) | None => {
                    (OWN.password, "a password without auth_username")
                }
            };
            f.error_at(key, (what, "add auth_username, or remove this"));
            return None;
        }
        return Some(None);
    }
    let fix = "add auth_password, auth_password_file or auth_oauth2, or remove auth_username";
    let proof = proof.required(f, "auth_password", fix);
    Some(Some(SmtpAuth {
        username: username.optional()?,
        proof: proof?,
        identity: identity.optional(),
    }))
}
