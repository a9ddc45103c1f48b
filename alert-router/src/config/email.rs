//! `email_configs`: one mail account and whom it writes to, with `global`'s SMTP defaults applied.

use std::fmt;
use std::sync::Arc;

use lettre::Address;
use lettre::message::Mailbox;

use super::Secret;

/// One entry of `email_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// Who gets it: `to`, split at commas, in the order of the file. Never empty.
    pub to: Vec<Mailbox>,
    /// The author: `from`, or `global.smtp_from`.
    pub from: Mailbox,
    /// Where bounces go: `envelope_from`, by default the address of `from`.
    pub envelope_from: Address,
    /// Where answers go: `reply_to`.
    pub reply_to: Option<Mailbox>,
    /// The relay: `smarthost`, or `global.smtp_smarthost`.
    pub smarthost: Smarthost,
    /// The name in EHLO: `hello`, or `global.smtp_hello`; `None`: this machine's name.
    pub hello: Option<String>,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// What is trusted besides the public roots, and under which name.
    pub trust: Trust,
    /// Who we say we are; `None`: nobody.
    pub auth: Option<SmtpAuth>,
    /// Additional headers, in the order of the file. Names are valid, values are one line.
    pub headers: Vec<(String, String)>,
    /// One mail for each address (the default), or one for all of them.
    pub recipients: Recipients,
    /// Which mails form a thread: `thread`, by default those of one life of a group.
    pub thread: Thread,
    /// Whether the subject shows the state (`subject_status`, default false: it breaks threads).
    pub subject_status: bool,
    /// The right-hand side of Message-ID: `id_domain`, by default the domain of `from`.
    pub id_domain: String,
    /// At most so many mails to one address in an hour: `hourly_limit`, default 60.
    pub hourly_limit: u32,
}

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
    /// `auth_password`, `auth_password_file`, or `global`'s.
    pub password: Secret,
    /// `auth_identity`, for PLAIN; usually none.
    pub identity: Option<String>,
}

/// Who sees whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Recipients {
    /// One mail for each address: each has its own result, and nobody sees the others.
    #[default]
    Individual,
    /// One mail with all addresses in To.
    Shared,
}

/// Which mails form a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Thread {
    /// One life of a group, until all is over.
    #[default]
    Episode,
    /// All of a group on one day.
    Day,
    /// All of a group.
    Forever,
    /// None.
    Off,
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
