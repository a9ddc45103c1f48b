//! `headers` of an `email_configs` entry. In Alertmanager they replace what it writes itself; here
//! they stand beside it, and names that mean something to the mailer have keys of their own.

use lettre::message::Mailbox;

use super::address;
use super::problem::Complaint;
use super::read::Node;
use crate::render::visible;

/// A further header of each mail. What a value of this type holds can be written as it is: it is
/// one header, on lines that every server takes, and none that the mailer answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

/// What `headers` says.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// `Reply-To`, which is the same as `reply_to`.
    pub(super) reply_to: Option<Mailbox>,
    /// The others, in the order of the file.
    pub(super) others: Vec<Header>,
}

/// What RFC 5322 leaves of a line of 78 for the name, so that the value has a place beside it.
const LONGEST_NAME: usize = 76;

/// A word cannot be folded: with the longest name it still fits into a line of 998.
const LONGEST_VALUE: usize = 900;

/// Headers that the mailer answers for, and what to write instead.
const TAKEN: &[(&[&str], &str)] = &[
    (
        &["subject"],
        "remove it: the subject names the group, and stays the same so that mails form a thread; subject_status: true adds the state",
    ),
    (
        &["from", "sender"],
        "write the author in from, and where bounces go in envelope_from",
    ),
    (
        &["to"],
        "write who gets the mail in to, and whom nobody shall see in bcc",
    ),
    (
        &["cc"],
        "write the address in to, with recipients: shared; the header alone brings nobody a mail",
    ),
    (
        &["bcc"],
        "write the address in bcc, beside to; the header would show it to everyone, and bring it no mail",
    ),
    (
        &[
            "date",
            "message-id",
            "references",
            "in-reply-to",
            "thread-topic",
            "thread-index",
            "auto-submitted",
            "mime-version",
            "x-alert-status",
            "x-alert-group",
        ],
        "remove it: alert-router writes it",
    ),
    (
        &["received", "return-path", "dkim-signature"],
        "remove it: mail servers write it",
    ),
];

/// Families of them.
const TAKEN_FAMILIES: [(&str, &str); 2] = [
    ("content-", "remove it: alert-router writes it"),
    ("resent-", "remove it: no mail is sent on"),
];

impl Header {
    /// A header, if it is one and may be set.
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, Complaint> {
        // RFC 5322, 3.6.8: printable ASCII without the colon.
        let printable = |c: char| c.is_ascii_graphic() && c != ':';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(printable) {
            let fix = format!("use at most {LONGEST_NAME} letters, digits and dashes");
            return Err(Complaint::new("no header name", fix));
        }
        if let Some(fix) = instead_of(name) {
            return Err(Complaint::new("this header cannot be set here", fix));
        }
        address::templates(value)?;
        if value.contains('\n') || visible(value) != value {
            let what = "a header is one line of visible characters";
            return Err(Complaint::new(
                what,
                "remove line breaks, control characters and invisible marks",
            ));
        }
        if value.chars().count() > LONGEST_VALUE {
            let fix = format!("write at most {LONGEST_VALUE} characters");
            return Err(Complaint::new("the header is too long", fix));
        }
        let (name, value) = (name.to_owned(), value.trim().to_owned());
        Ok(Self { name, value })
    }

    /// Its name, as it stands in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, in plain characters.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl Headers {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut headers = Self::default();
        for (name, value) in node.entries() {
            let same = |known: &Header| known.name.eq_ignore_ascii_case(&name);
            let is_reply_to = name.eq_ignore_ascii_case("reply-to");
            if headers.others.iter().any(same) || (is_reply_to && headers.reply_to.is_some()) {
                value.error(("the header is there twice", "keep one"));
            } else if is_reply_to {
                headers.reply_to = value.parse(address::mailbox);
            } else {
                let header = value.parse(|value| Header::new(&name, value));
                headers.others.extend(header);
            }
        }
        headers
    }
}

/// What to write instead of a header that is not the config's to set.
fn instead_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let taken = TAKEN
        .iter()
        .find(|(names, _)| names.contains(&name.as_str()));
    let family = || {
        TAKEN_FAMILIES
            .iter()
            .find(|(start, _)| name.starts_with(start))
    };
    taken
        .map(|(_, fix)| *fix)
        .or_else(|| family().map(|(_, fix)| *fix))
}
