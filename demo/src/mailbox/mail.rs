//! A mail as a reader's program understands it. Read by a parser that the sender does not use.

use mail_parser::{Address, HeaderValue, Message, MessageParser};

/// A mail that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Counts from 1.
    pub(crate) number: u64,
    /// The envelope's recipients.
    pub(crate) to: Vec<String>,
    pub(crate) from: String,
    pub(crate) subject: String,
    /// As the sender says, in RFC 3339.
    pub(crate) date: String,
    /// The first mail of its conversation, by Message-ID.
    pub(crate) thread: String,
    pub(crate) text: String,
    /// Empty if there is none.
    pub(crate) html: String,
}

impl Mail {
    /// Reads what can be read of `raw`; what is no mail has no subject and no text.
    pub(super) fn read(number: u64, to: Vec<String>, raw: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(raw) else {
            return Self {
                number,
                to,
                ..Self::default()
            };
        };
        let body =
            |found: Option<std::borrow::Cow<'_, str>>| found.unwrap_or_default().into_owned();
        // A plain mail is not shown twice: the parser makes HTML of it.
        let has_html = message.html_body.iter().any(|part| {
            let part = message
                .parts
                .get(usize::try_from(*part).unwrap_or(usize::MAX));
            part.is_some_and(mail_parser::MessagePart::is_text_html)
        });
        Self {
            number,
            to,
            from: message.from().map(sender).unwrap_or_default(),
            subject: message.subject().unwrap_or_default().to_owned(),
            date: message
                .date()
                .map(mail_parser::DateTime::to_rfc3339)
                .unwrap_or_default(),
            thread: thread(&message),
            text: body(message.body_text(0)),
            html: if has_html {
                body(message.body_html(0))
            } else {
                String::new()
            },
        }
    }
}

fn sender(from: &Address<'_>) -> String {
    let Some(first) = from.first() else {
        return String::new();
    };
    let address = first.address().unwrap_or_default();
    first
        .name()
        .map_or(address.to_owned(), |name| format!("{name} <{address}>"))
}

/// The root of the conversation: the first of References, else the mail itself.
fn thread(message: &Message<'_>) -> String {
    let references: &HeaderValue<'_> = message.references();
    let root = references
        .as_text_list()
        .and_then(|ids| ids.first().map(ToString::to_string));
    root.or_else(|| message.message_id().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: =?utf-8?B?5ZGK6K2m?= <a@b.test>\r\n\
        Subject: =?utf-8?B?56OB55uY?= full\r\n\
        Date: Fri, 27 Nov 2026 14:00:00 +0000\r\n\
        Message-ID: <2@b.test>\r\n\
        References: <root@b.test> <1@b.test>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain\r\n\
        --x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>=E5=91=8A</b>\r\n\
        --x--\r\n";

    #[test]
    fn a_mail_is_shown_as_its_reader_sees_it() {
        let mail = Mail::read(7, vec!["me@b.test".into()], MAIL.as_bytes());
        assert_eq!(mail.from, "告警 <a@b.test>");
        assert_eq!(mail.subject, "磁盘 full");
        assert_eq!(mail.date, "2026-11-27T14:00:00Z");
        assert_eq!(mail.thread, "root@b.test");
        assert_eq!((mail.text.trim(), mail.html.trim()), ("plain", "<b>告</b>"));
    }

    #[test]
    fn a_first_mail_is_its_own_thread_and_rubbish_is_no_panic() {
        let first = Mail::read(1, Vec::new(), b"Message-ID: <1@b.test>\r\n\r\nhi\r\n");
        assert_eq!(first.thread, "1@b.test");
        assert_eq!(first.html, "");
        for rubbish in [
            &b""[..],
            b"\xff\xfe\x00",
            b":::\r\n\r\n",
            b"Content-Type: multipart/x",
        ] {
            let mail = Mail::read(1, Vec::new(), rubbish);
            assert_eq!(mail.number, 1);
        }
    }
}
