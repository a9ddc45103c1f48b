//! Bytes to replies: pure, and generous to old and foreign servers. lettre's own reader is not
//! used, because it takes a reply without text, a code such as 561, a bare line feed, a keyword in
//! lower case or an explanation in GBK for a broken connection.

use lettre::transport::smtp::authentication::Mechanism;

/// Bytes of a reply at most; one that is meant well is far shorter.
const LONGEST: usize = 16 * 1024;

/// One reply: its code, and its text line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) text: String,
}

/// What came is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoReply {
    /// A line does not begin with a code.
    #[error("the server does not speak SMTP")]
    Gibberish,
    /// It does not end.
    #[error("the server's reply is longer than {LONGEST} bytes")]
    TooLong,
}

impl Reply {
    /// Takes the first whole reply off the front of `bytes`; `None` until it is whole.
    pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Option<Self>, NoReply> {
        let (mut text, mut at) = (Vec::new(), 0);
        while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[at..at + length].trim_ascii_end();
            let (code, rest) = line.split_at_checked(3).ok_or(NoReply::Gibberish)?;
            let code = code_of(code).ok_or(NoReply::Gibberish)?;
            at += length + 1;
            text.push(visible(rest.get(1..).unwrap_or_default()));
            if rest.first() != Some(&b'-') {
                bytes.drain(..at);
                return Ok(Some(Self {
                    code,
                    text: text.join("\n"),
                }));
            }
        }
        if bytes.len() > LONGEST {
            Err(NoReply::TooLong)
        } else {
            Ok(None)
        }
    }

    /// Code and text on one line, as people read it.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.code, self.text.replace('\n', " "))
            .trim_end()
            .to_owned()
    }

    /// The extensions that a reply to EHLO offers.
    pub(super) fn offers(&self) -> Offers {
        let mut offers = Offers::default();
        // The first line is the server's name.
        for line in self.text.to_ascii_uppercase().lines().skip(1) {
            // Some write AUTH=LOGIN, after a draft.
            let mut words = line.split([' ', '=']);
            match words.next() {
                Some("STARTTLS") => offers.start_tls = true,
                Some("SIZE") => {
                    offers.size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0)
                }
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("AUTH") => {
                    // Those who write it both ways say it twice.
                    let new = |name: &&str| {
                        !name.is_empty() && !offers.auth.iter().any(|known| known == name)
                    };
                    let new: Vec<_> = words.filter(new).map(str::to_owned).collect();
                    offers.auth.extend(new);
                }
                Some(_) | None => {}
            }
        }
        offers
    }
}

/// What a server can do, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) start_tls: bool,
    /// The largest mail in bytes, if it says.
    pub(super) size: Option<usize>,
    /// 8BITMIME.
    pub(super) eight_bit: bool,
    /// SMTPUTF8.
    pub(super) utf8: bool,
    /// The mechanisms for AUTH, those too that are not spoken here.
    pub(super) auth: Vec<String>,
}

impl Offers {
    /// How to log in with a password: as simply as possible, because TLS protects it.
    pub(super) fn for_password(&self) -> Option<Mechanism> {
        [Mechanism::Plain, Mechanism::Login]
            .into_iter()
            .find(|known| self.has(*known))
    }

    /// How to log in with an access token.
    pub(super) fn for_token(&self) -> Option<Mechanism> {
        Some(Mechanism::Xoauth2).filter(|known| self.has(*known))
    }

    fn has(&self, mechanism: Mechanism) -> bool {
        self.auth.contains(&mechanism.to_string())
    }
}

fn code_of(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|code| (200..600).contains(code))
}

/// Text in whatever encoding, with a question mark for what is not ASCII.
fn visible(bytes: &[u8]) -> String {
    let visible = |byte: &u8| match byte {
        b'\t' | b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    bytes.iter().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], want: Result<Option<(u16, &str)>, NoReply>, left: &[u8]) {
        let mut bytes = bytes.to_vec();
        let got = Reply::take(&mut bytes);
        let want = want.map(|some| {
            some.map(|(code, text)| Reply {
                code,
                text: text.to_owned(),
            })
        });
        assert_eq!(got, want);
        assert_eq!(bytes, left);
    }

    #[test]
    fn replies_of_all_kinds_of_servers_are_read() {
        check(b"250 ok\r\n", Ok(Some((250, "ok"))), b"");
        check(b"250\r\n", Ok(Some((250, ""))), b"");
        check(b"250 bare\n", Ok(Some((250, "bare"))), b"");
        check(b"561 odd code\r\n", Ok(Some((561, "odd code"))), b"");
        check(b"550-one\r\n550 two\r\n", Ok(Some((550, "one\ntwo"))), b"");
        check(
            b"550 \xd3\xc3\xbb\xa7 x\x1b\r\n",
            Ok(Some((550, "???? x?"))),
            b"",
        );
        check(
            b"250 one\r\n250 two\r\n",
            Ok(Some((250, "one"))),
            b"250 two\r\n",
        );
    }

    #[test]
    fn an_unfinished_reply_waits_and_an_endless_one_does_not() {
        check(b"25", Ok(None), b"25");
        check(b"250-one\r\n250", Ok(None), b"250-one\r\n250");
        let endless = b"250-more\r\n".repeat(2000);
        check(&endless, Err(NoReply::TooLong), &endless);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"hi\r\n",
            b"HTTP/1.1 400\r\n",
            b"099 x\r\n",
            b"2 0\r\n",
        ] {
            check(bytes, Err(NoReply::Gibberish), bytes);
        }
    }

    #[test]
    fn offers_are_read_in_any_case() {
        let text =
            "mx STARTTLS\nstarttls\nSize 1048576\n8bitmime\nauth login plain\nAUTH=LOGIN CRAM-MD5"
                .to_owned();
        let offers = Reply { code: 250, text }.offers();
        let auth = ["LOGIN", "PLAIN", "CRAM-MD5"].map(str::to_owned).to_vec();
        assert_eq!(offers.for_password(), Some(Mechanism::Plain));
        assert_eq!(
            offers,
            Offers {
                start_tls: true,
                size: Some(1_048_576),
                eight_bit: true,
                utf8: false,
                auth
            }
        );
        let name_only = Reply {
            code: 250,
            text: "STARTTLS.example.com".into(),
        };
        assert_eq!(name_only.offers(), Offers::default());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_are_lost(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = bytes.clone();
            while let Ok(Some(reply)) = Reply::take(&mut rest) {
                prop_assert!((200..600).contains(&reply.code));
            }
            prop_assert!(bytes.ends_with(&rest));
        }
    }
}
