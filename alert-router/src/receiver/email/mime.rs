//! A letter to bytes: pure, the same letter gives the same bytes, so that a retry repeats them.
//! The bytes are seven-bit, with lines that every server takes.

use std::time::{Duration, UNIX_EPOCH};

use alert_engine::{DeliveryId, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::thread::Place;
use crate::config::Header;
use crate::render::{clean, cut};

/// Characters of a subject at most: one line even where a reader shows no more.
const SUBJECT: usize = 200;

/// The end of year 9999 in milliseconds: lettre panics on later dates.
const LAST_DATE: i64 = 253_402_300_799_000;

/// What is the same on every mail of one receiver.
#[derive(Clone, Debug)]
pub(super) struct Stationery {
    /// The author.
    pub(super) from: Mailbox,
    /// Where bounces go.
    pub(super) envelope_from: Address,
    /// Where answers go.
    pub(super) reply_to: Option<Mailbox>,
    /// Whom the mail names in To.
    pub(super) to: Vec<Mailbox>,
    /// Further headers of the config.
    pub(super) headers: Vec<Header>,
    /// The right-hand side of ids.
    pub(super) domain: String,
    /// The receiver's name, for filters at the readers' end.
    pub(super) list: String,
}

/// What is said this time.
#[derive(Clone, Debug)]
pub(super) struct Letter<'a> {
    pub(super) id: DeliveryId,
    pub(super) date: Timestamp,
    pub(super) subject: &'a str,
    pub(super) text: String,
    pub(super) html: String,
    /// Its place in a conversation, if it has one.
    pub(super) place: Option<&'a Place>,
    /// `firing`, `resolved`, `missed` or `test`, for filters.
    pub(super) status: &'static str,
    /// The group's id, for filters.
    pub(super) group: Option<&'a str>,
    /// Whether it asks to be shown as important.
    pub(super) urgent: bool,
}

impl Stationery {
    /// The bytes of `letter`.
    pub(super) fn write(&self, letter: &Letter<'_>) -> Result<Vec<u8>, lettre::error::Error> {
        let subject = subject(letter.subject);
        let millis = letter.date.as_millis().clamp(0, LAST_DATE);
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(&subject)
            .date(UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs()))
            .message_id(Some(self.id(letter)));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.clone());
        }
        if let Some(place) = letter.place {
            if let (Some(last), Some(all)) = (place.in_reply_to(), place.references()) {
                mail = raw(mail, "In-Reply-To", last);
                mail = raw(mail, "References", &all);
            }
            mail = raw(mail, "Thread-Topic", &subject);
            mail = raw(mail, "Thread-Index", place.index());
        }
        for (name, value) in self.notes(letter) {
            mail = raw(mail, name, &value);
        }
        // One that is there already is replaced: the config knows better how urgent its mails are.
        for header in &self.headers {
            mail = raw(mail, header.name(), header.value());
        }
        Ok(mail.multipart(body(letter))?.formatted())
    }

    /// The delivery's own, unless the mail is the root of its conversation.
    fn id(&self, letter: &Letter<'_>) -> String {
        let root = letter.place.and_then(Place::id).map(str::to_owned);
        root.unwrap_or_else(|| format!("<n.{}@{}>", letter.id, self.domain))
    }

    /// Headers for machines: no automatic answers, no loops, and something to filter by.
    fn notes(&self, letter: &Letter<'_>) -> Vec<(&'static str, String)> {
        let list = slug(&self.list);
        let mut notes = vec![
            ("Auto-Submitted", "auto-generated".to_owned()),
            // Not `All`, which would also suppress the bounces that we want.
            (
                "X-Auto-Response-Suppress",
                "OOF, AutoReply, DR, RN, NRN".to_owned(),
            ),
            ("List-Id", format!("{} <{list}.{}>", list, self.domain)),
            ("X-Alert-Status", letter.status.to_owned()),
        ];
        if let Some(group) = letter.group {
            notes.push(("X-Alert-Group", group.to_owned()));
        }
        if letter.urgent {
            notes.push(("X-Priority", "1".to_owned()));
            notes.push(("Importance", "high".to_owned()));
        }
        notes
    }
}

/// Plain text first, the richer form last, as readers expect. The boundary cannot occur in
/// encoded text, because of its first two characters, nor be guessed, because of the rest.
fn body(letter: &Letter<'_>) -> MultiPart {
    let part = |kind, text: &str| SinglePart::builder().header(kind).body(text.to_owned());
    MultiPart::alternative()
        .boundary(format!("=_{}", letter.id))
        .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
        .singlepart(part(ContentType::TEXT_HTML, &letter.html))
}

/// One line of bounded length, in which nothing is decoded that was not encoded by us: readers
/// decode `=?…?=` wherever it stands.
fn subject(text: &str) -> String {
    cut(&clean(text), SUBJECT).replace("=?", "=\u{200b}?")
}

/// Adds a header, encoded and folded.
fn raw(mail: MessageBuilder, name: &str, value: &str) -> MessageBuilder {
    match HeaderName::new_from_ascii(name.to_owned()) {
        Ok(name) => mail.raw_header(HeaderValue::new(name, clean(value))),
        // The config refuses such a name; a mail without the header is better than no mail.
        Err(_) => mail,
    }
}

/// A name as part of a domain name.
fn slug(name: &str) -> String {
    let mut slug: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(50)
        .collect();
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() {
        "alerts".to_owned()
    } else {
        slug
    }
}
