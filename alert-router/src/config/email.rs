//! `email_configs`: one mail account and whom it writes to, with `global`'s SMTP defaults applied.

use std::fmt;
use std::sync::Arc;

use lettre::Address;
use lettre::message::Mailbox;

use super::problem::Complaint;
use super::read::{Fields, Given, Node};
use super::{Secret, address};

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

/// `global`'s SMTP settings, which every entry inherits.
pub(super) struct SmtpDefaults {
    from: Given<Mailbox>,
    smarthost: Given<(String, Option<u16>)>,
    hello: Given<String>,
    username: Given<String>,
    password: Given<Secret>,
    identity: Given<String>,
    require_tls: Given<bool>,
    force_implicit_tls: Given<bool>,
    trust: Given<Trust>,
}

impl SmtpDefaults {
    pub(super) fn none() -> Self {
        Self {
            from: Given::absent(),
            smarthost: Given::absent(),
            hello: Given::absent(),
            username: Given::absent(),
            password: Given::absent(),
            identity: Given::absent(),
            require_tls: Given::absent(),
            force_implicit_tls: Given::absent(),
            trust: Given::absent(),
        }
    }

    pub(super) fn read(global: &mut Fields<'_>) -> Self {
        global.refuse(&["smtp_auth_secret", "smtp_auth_secret_file"], NO_CRAM);
        Self {
            from: global.given("smtp_from", |n| n.parse(address::mailbox)),
            smarthost: global.given("smtp_smarthost", |n| n.parse(address::host_and_port)),
            hello: global.given("smtp_hello", Node::text),
            username: global.given("smtp_auth_username", Node::text),
            password: global.secret("smtp_auth_password", "smtp_auth_password_file"),
            identity: global.given("smtp_auth_identity", Node::text),
            require_tls: global.given("smtp_require_tls", Node::flag),
            force_implicit_tls: global.given("smtp_force_implicit_tls", Node::flag),
            trust: global.given("smtp_tls_config", Trust::read),
        }
    }
}

const NO_CRAM: &str = "remove it, and use PLAIN or LOGIN with auth_password over TLS";
const LATER_TEMPLATES: &str = "remove it: the built-in text is used";

impl Email {
    /// Reads one entry of `email_configs`; `send_resolved` is the caller's.
    pub(super) fn read(f: &mut Fields<'_>, global: &SmtpDefaults) -> Option<Self> {
        f.refuse(&["auth_secret", "auth_secret_file"], NO_CRAM);
        f.refuse(&["html", "text"], LATER_TEMPLATES);
        f.refuse(
            &["threading"],
            "remove it: mails of a group form a thread; see `thread`",
        );
        let to = f.given("to", |n| n.parse(address::mailboxes));
        let to = to.required(f, "to", "name who gets the mail");
        let from = f
            .given("from", |n| n.parse(address::mailbox))
            .or(&global.from);
        let from = from.required(f, "from", "add it here, or smtp_from in global");
        let envelope_from = f.read("envelope_from", |n| n.parse(address::mailbox));
        let reply_to = f.read("reply_to", |n| n.parse(address::mailbox));
        let connection = Connection::read(f, global);
        let headers = f.read("headers", |n| Some(headers(n))).unwrap_or_default();
        let recipients = f.read("recipients", |n| n.choice(RECIPIENTS));
        let thread = f.read("thread", |n| n.choice(THREADS));
        let subject_status = f.read("subject_status", Node::flag).unwrap_or(false);
        let id_domain = f.read("id_domain", |n| n.parse(domain));
        let hourly_limit = f
            .read("hourly_limit", |n| n.number(1, 10_000))
            .unwrap_or(60);
        let (from, connection) = (from?, connection?);
        warn_about_sender(f, &from, &connection);
        Some(Self {
            to: to?,
            envelope_from: envelope_from.map_or_else(|| from.email.clone(), |m| m.email),
            reply_to,
            smarthost: connection.smarthost,
            hello: connection.hello,
            tls: connection.tls,
            trust: connection.trust,
            auth: connection.auth,
            headers,
            recipients: recipients.unwrap_or_default(),
            thread: thread.unwrap_or_default(),
            subject_status,
            id_domain: id_domain.unwrap_or_else(|| from.email.domain().to_owned()),
            hourly_limit: u32::try_from(hourly_limit).expect("the range was checked"),
            from,
        })
    }
}

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
                f.error_at(
                    "insecure_skip_verify",
                    Complaint::new("that is not possible", verify),
                );
            }
            let server_name = f.read("server_name", |n| n.parse(domain));
            let ca_pem = f.file("ca_file").map(Arc::from);
            Some(Self {
                ca_pem,
                server_name,
            })
        })
    }
}

const RECIPIENTS: &[(&str, Recipients)] = &[
    ("individual", Recipients::Individual),
    ("shared", Recipients::Shared),
];

const THREADS: &[(&str, Thread)] = &[
    ("episode", Thread::Episode),
    ("day", Thread::Day),
    ("forever", Thread::Forever),
    ("off", Thread::Off),
];

/// Headers that the mailer writes itself.
const OWN_HEADERS: [&str; 15] = [
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "references",
    "in-reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
];

/// Relays that refuse a mail whose author is not the account.
const STRICT_RELAYS: [&str; 7] = [
    "smtp.qq.com",
    "smtp.exmail.qq.com",
    "smtp.163.com",
    "smtp.126.com",
    "smtp.yeah.net",
    "smtp.qiye.163.com",
    "smtpdm.aliyun.com",
];

/// How a relay is reached.
struct Connection {
    smarthost: Smarthost,
    hello: Option<String>,
    tls: SmtpTls,
    trust: Trust,
    auth: Option<SmtpAuth>,
}

impl Connection {
    fn read(f: &mut Fields<'_>, global: &SmtpDefaults) -> Option<Self> {
        let place = f.given("smarthost", |n| n.parse(address::host_and_port));
        let fix = "add it here, or smtp_smarthost in global";
        let place = place.or(&global.smarthost).required(f, "smarthost", fix);
        let hello = f
            .given("hello", |n| n.parse(domain))
            .or(&global.hello)
            .optional();
        let required = f.given("require_tls", Node::flag).or(&global.require_tls);
        let implicit = f
            .given("force_implicit_tls", Node::flag)
            .or(&global.force_implicit_tls);
        let trust = f.given("tls_config", Trust::read).or(&global.trust);
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
                Complaint::new(what, "remove require_tls: false, or auth_username"),
            );
        }
        if self.hello.as_deref() == Some("localhost") && !near {
            let what = "many relays refuse the name localhost";
            f.error_at(
                "hello",
                Complaint::new(what, "set hello to this machine's full name"),
            );
        }
    }
}

/// The credentials: `None` if they are wrong, `Some(None)` if there are none.
fn auth(f: &mut Fields<'_>, global: &SmtpDefaults) -> Option<Option<SmtpAuth>> {
    let own_username = f.given("auth_username", Node::text);
    let own_password = f.secret("auth_password", "auth_password_file");
    let identity = f.given("auth_identity", Node::text).or(&global.identity);
    let username = own_username.or(&global.username);
    let password = own_password.or(&global.password);
    if !username.is_present() {
        if password.is_present() {
            let what = "a password without auth_username";
            f.error_at(
                "auth_password",
                Complaint::new(what, "add auth_username, or remove the password"),
            );
            return None;
        }
        return Some(None);
    }
    let fix = "add auth_password or auth_password_file, or remove auth_username";
    let password = password.required(f, "auth_password", fix);
    Some(Some(SmtpAuth {
        username: username.optional()?,
        password: password?,
        identity: identity.optional(),
    }))
}

fn warn_about_sender(f: &Fields<'_>, from: &Mailbox, connection: &Connection) {
    let Some(auth) = &connection.auth else {
        return;
    };
    let host = connection.smarthost.host.to_ascii_lowercase();
    let same = from.email.to_string().eq_ignore_ascii_case(&auth.username);
    if STRICT_RELAYS.contains(&host.as_str()) && !same {
        let what = format!(
            "{host} refuses mail from {} for the account {}",
            from.email, auth.username
        );
        f.warn_at(
            "from",
            Complaint::new(what, "make from and auth_username the same address"),
        );
    }
}

/// A host name, ASCII.
fn domain(text: &str) -> Result<String, Complaint> {
    let good = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.[]:".contains(c));
    if !good {
        let what = format!("{text:?} is no host name");
        return Err(Complaint::new(what, "write such as alerts.example.com"));
    }
    Ok(text.to_owned())
}

fn headers(node: &Node<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in node.entries() {
        let token = |c: char| c.is_ascii_graphic() && c != ':';
        if name.is_empty() || !name.chars().all(token) {
            value.error(Complaint::new(
                "no header name",
                "use letters, digits and dashes",
            ));
            continue;
        }
        if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            let fix = "remove it; for the sender and answers see from and reply_to";
            value.error(Complaint::new(
                "this header is written by alert-router",
                fix,
            ));
            continue;
        }
        if headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            value.error(Complaint::new("the header is there twice", "keep one"));
            continue;
        }
        if let Some(value) = value.parse(one_line) {
            headers.push((name, value));
        }
    }
    headers
}

fn one_line(text: &str) -> Result<String, Complaint> {
    address::templates(text)?;
    if text.chars().any(char::is_control) {
        return Err(Complaint::new("a header is one line", "remove line breaks"));
    }
    Ok(text.to_owned())
}
