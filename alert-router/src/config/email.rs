//! `email_configs`: one mail account and whom it writes to, with `global`'s SMTP defaults applied.

use lettre::Address;
use lettre::message::Mailbox;

use super::address;
use super::fields::Fields;
use super::header::{Header, Headers};
use super::read::Node;
use super::smtp::{
    Connection, NO_CRAM, Smarthost, SmtpAuth, SmtpDefaults, SmtpLimit, SmtpTls, Trust,
};

/// One entry of `email_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// Who gets it: `to`, split at commas, in the order of the file. Never empty.
    pub to: Vec<Mailbox>,
    /// Who gets it too, and is named in no mail: `bcc`. Nobody of `to`.
    pub bcc: Vec<Mailbox>,
    /// The author: `from`, or `global.smtp_from`.
    pub from: Mailbox,
    /// Where bounces go: `envelope_from`, by default the address of `from`.
    pub envelope_from: Address,
    /// Where answers go: `reply_to`, or Reply-To among `headers`.
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
    /// Additional headers, in the order of the file.
    pub headers: Vec<Header>,
    /// One mail for each address (the default), or one for all of them.
    pub recipients: Recipients,
    /// Which mails form a thread: `thread`, by default those of one life of a group.
    pub thread: Thread,
    /// Whether the subject shows the state (`subject_status`, default false: it breaks threads).
    pub subject_status: bool,
    /// The right-hand side of Message-ID: `id_domain`, by default the domain of `from`.
    pub id_domain: String,
    /// What the account takes, whoever is written to: `account_limits`, or
    /// `global.smtp_account_limits`; `None`: what is known of the provider.
    pub account_limits: Option<Vec<SmtpLimit>>,
    /// At most so many mails to one address in an hour: `hourly_limit`, default 60.
    pub hourly_limit: u32,
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
        let bcc = f.read("bcc", |n| n.parse(address::mailboxes));
        let reply_to = f.read("reply_to", |n| n.parse(address::mailbox));
        let connection = Connection::read(f, global);
        let headers = f.read("headers", |n| Some(Headers::read(n)));
        let headers = headers.unwrap_or_default();
        let recipients = f.read("recipients", |n| n.choice(RECIPIENTS));
        let thread = f.read("thread", |n| n.choice(THREADS));
        let subject_status = f.read("subject_status", Node::flag).unwrap_or(false);
        let id_domain = f.read("id_domain", |n| n.parse(address::domain));
        let hourly_limit = f
            .read("hourly_limit", |n| n.number(1, 10_000))
            .unwrap_or(60);
        if reply_to.is_some() && headers.reply_to.is_some() {
            let what = "Reply-To stands among the headers too";
            f.error_at("reply_to", (what, "keep one of them"));
        }
        let (to, from, connection) = (to?, from?, connection?);
        let bcc = bcc.unwrap_or_default();
        refuse_named(f, &to, &bcc);
        warn_about_sender(f, &from, &connection);
        Some(Self {
            to,
            bcc,
            envelope_from: envelope_from.map_or_else(|| from.email.clone(), |m| m.email),
            reply_to: reply_to.or(headers.reply_to),
            smarthost: connection.smarthost,
            hello: connection.hello,
            tls: connection.tls,
            trust: connection.trust,
            auth: connection.auth,
            account_limits: connection.limits,
            headers: headers.others,
            recipients: recipients.unwrap_or_default(),
            thread: thread.unwrap_or_default(),
            subject_status,
            id_domain: id_domain.unwrap_or_else(|| from.email.domain().to_owned()),
            hourly_limit: u32::try_from(hourly_limit).expect("the range was checked"),
            from,
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

/// Whoever is named in `to` is no secret.
fn refuse_named(f: &Fields<'_>, to: &[Mailbox], bcc: &[Mailbox]) {
    let named = |hidden: &&Mailbox| to.iter().any(|seen| address::same(seen, hidden));
    if let Some(named) = bcc.iter().find(named) {
        let what = format!("{} stands in to as well", named.email);
        f.error_at("bcc", (what, "keep it in one of them"));
    }
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
            (what, "make from and auth_username the same address"),
        );
    }
}
