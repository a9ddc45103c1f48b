//! What holds secrets, told by names: fields in log lines, in events and attributes of spans; and
//! texts that hold a URL, a query or anything else with names and values.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use crate::config::percent_bytes;

/// What takes the place of a value that must not be seen.
pub(crate) const REDACTED: &str = "REDACTED";
/// What takes the place of the user-info of a URL.
pub(crate) const HIDDEN_USER: &str = "REDACTED:REDACTED";

/// A text is percent-decoded so often when it is searched. What is still encoded then counts as a
/// secret: nobody but who hides something writes so.
const DECODINGS: usize = 3;

/// Words, lower case; `_` stands between the words of one name.
const SECRETS: [&str; 20] = [
    "accesstoken",
    "api_key",
    "apikey",
    "authorization",
    "clientsecret",
    "cookie",
    "credential",
    "credentials",
    "jsessionid",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "refreshtoken",
    "secret",
    "session_id",
    "sessionid",
    "token",
];

/// The names of secrets, each byte [`plain`].
#[derive(Clone, Debug)]
pub(crate) struct Redaction(Vec<String>);

/// How much of a text there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// It went on: a host at its end may be the beginning of user-info.
    Cut,
}

impl Default for Redaction {
    fn default() -> Self {
        Self(SECRETS.map(str::to_owned).to_vec())
    }
}

impl Redaction {
    #[cfg(test)]
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().filter(|name| !name.is_empty());
        let plain = |name: String| name.bytes().map(plain).map(char::from).collect();
        self.0.extend(names.map(plain));
    }

    /// Whether the whole words of a secret's name stand in `field`, as in `db.password`,
    /// `accessToken` and `Set-Cookie`; `tokens` and `secretary` are other words.
    pub(crate) fn hides(&self, field: impl AsRef<[u8]>) -> bool {
        let field = field.as_ref();
        let mut words = (0..field.len()).filter(|at| begins_word(field, *at));
        words.any(|at| {
            let mut secrets = self.0.iter().map(String::as_bytes);
            secrets.any(|it| has_words(field, at, it))
        })
    }

    /// As [`hides`](Self::hides), of a name that may be percent-encoded.
    pub(crate) fn hides_encoded(&self, field: &str) -> bool {
        any_decoding(field, |field| self.hides(field))
    }

    /// Whether a secret stands in a text: a secret's name before `=` or `:`, or the user-info of a
    /// URL, also percent-encoded. Takes a time in proportion to the text's length.
    pub(crate) fn is_in(&self, text: &str, extent: Extent) -> bool {
        any_decoding(text, |text| {
            self.has_pair(text) || has_user_info(text, extent)
        })
    }

    /// Whether an attribute must not be seen: its name says so, or a secret stands in its value.
    pub(crate) fn hides_pair(&self, name: &str, value: &str) -> bool {
        self.hides(name) || self.is_in(value, Extent::Whole)
    }

    fn has_pair(&self, text: &[u8]) -> bool {
        let mut begin = 0;
        text.iter().enumerate().any(|(at, byte)| {
            let name = &text[begin..at];
            let ends_name = matches!(byte, b'=' | b':');
            if ends_name || matches!(byte, b'&' | b';' | b'?' | b'#' | b'/' | b',') {
                begin = at + 1;
            }
            ends_name && self.hides(name)
        })
    }
}

/// A text's beginning, at most so many bytes, and whether that is all of it.
pub(crate) fn cut(text: &str, longest: usize) -> (&str, Extent) {
    match text.len() <= longest {
        true => (text, Extent::Whole),
        false => (&text[..text.floor_char_boundary(longest)], Extent::Cut),
    }
}

/// Hides the user-info of the URLs in a text, as far as they are not percent-encoded.
pub(crate) fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for authority in authorities(text.as_bytes()) {
        let Some(user_info) = text[authority.clone()].rfind('@') else {
            continue;
        };
        shown.push_str(&text[done..authority.start]);
        shown.push_str(HIDDEN_USER);
        done = authority.start + user_info;
    }
    shown.push_str(&text[done..]);
    shown
}

fn has_user_info(text: &[u8], extent: Extent) -> bool {
    authorities(text).any(|at| {
        let authority = &text[at.clone()];
        let user_info = authority.iter().rposition(|byte| *byte == b'@');
        let in_doubt = extent == Extent::Cut && at.end == text.len();
        in_doubt || user_info.is_some_and(|end| authority[..end] != *HIDDEN_USER.as_bytes())
    })
}

/// Where the authorities of URLs stand: what follows `//`.
fn authorities(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"<>".contains(byte);
    iter::from_fn(move || {
        let find = |from: usize, what: &dyn Fn(&u8) -> bool| {
            let found = text[from..].iter().position(what);
            found.map_or(text.len(), |at| from + at)
        };
        let slashes = text[from..].windows(2).position(|two| two == b"//")?;
        let begin = find(from + slashes, &|byte| *byte != b'/');
        let end = find(begin, &ends);
        from = end;
        Some(begin..end)
    })
}

/// Whether it is so of the text as it stands, or of what it is once decoded, and again.
fn any_decoding(text: &str, is_so: impl Fn(&[u8]) -> bool) -> bool {
    let mut text = Cow::Borrowed(text.as_bytes());
    for _ in 0..=DECODINGS {
        if is_so(&text) {
            return true;
        }
        let decoded = percent_bytes(&text);
        if decoded.len() == text.len() {
            return false;
        }
        text = Cow::Owned(decoded.into_owned());
    }
    true
}

/// Whether another word begins at `at`: after what is no letter, or with a capital after a small one or
/// before one, as in `DBPassword`.
fn begins_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| text[before]) else {
        return true;
    };
    let (capital, small) = (u8::is_ascii_uppercase, u8::is_ascii_lowercase);
    let is_capital = text.get(at).is_some_and(capital);
    let ends_acronym = capital(&before) && text.get(at + 1).is_some_and(small);
    !before.is_ascii_alphabetic() || is_capital && (small(&before) || ends_acronym)
}

/// Whether these words stand at `at`, and then another or none.
fn has_words(text: &[u8], at: usize, words: &[u8]) -> bool {
    let end = at + words.len();
    let Some(found) = text.get(at..end) else {
        return false;
    };
    let same = found.iter().zip(words).all(|(a, b)| plain(*a) == *b);
    let ends = |next: &u8| !next.is_ascii_alphabetic() || begins_word(text, end);
    same && text.get(end).is_none_or(ends)
}

/// Without case; all that separates words looks alike.
fn plain(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'_'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_whole_words_of_a_name() {
        let mut redaction = Redaction::default();
        redaction.add(["Card-Number".to_owned(), String::new()]);
        let hidden = [
            "password",
            "db.password",
            "PASSWORD",
            "user_password_hash",
            "Set-Cookie",
            "api-key",
            "x.api_key",
            "apikey",
            "accessToken",
            "secretKey",
            "userPasswordHash",
            "apiKey",
            "http.request.header.authorization",
            "card_number",
            "password1",
            "oauth2Token",
            "DBPassword",
            "CSRFToken",
            "AWSSecretKey",
            "JSESSIONID",
        ];
        for name in hidden {
            assert!(redaction.hides(name), "{name}");
        }
        for name in [
            "user",
            "tokens",
            "Tokens",
            "secretary",
            "SECRETARY",
            "api",
            "key",
            "cookies",
            "",
            "http.route",
        ] {
            assert!(!redaction.hides(name), "{name}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let found = Redaction::default().is_in(text, Extent::Whole);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_secret_in_a_text_is_told_by_the_name_before_it() {
        for text in [
            "/cb?token=abc",
            "%2Fcb%3Ftoken%3Dabc",
            "%252Fcb%253FToken%253Dabc",
            "https://a.example/cb#x=1&access_token=abc",
            r#"{"user":{"password":"abc"}}"#,
            "Authorization: Basic abc",
            "a=1;user[pwd]=2",
            // Four times.
            "%25252520",
        ] {
            check(text, true);
        }
        for text in [
            "",
            "/token/x?a=1",
            "sort=token,date:asc",
            "12:30",
            "100%25 of 100%",
            "%2Fcb%3Ftokens%3Dabc",
            "token",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn user_info_is_told_by_what_stands_in_a_url() {
        for text in [
            "https://u:p@a.example/",
            "//u@a.example",
            "https:///u:p@a.example",
            "https%3A%2F%2Fu%3Ap%40a.example",
            "http://a.example/ and http://u:p@b.example",
        ] {
            check(text, true);
        }
        for text in [
            "https://a.example/@u",
            "mailto:u@a.example",
            "https://a.example/?mail=u@b.example",
            "https://REDACTED:REDACTED@a.example/",
        ] {
            check(text, false);
        }
        let cut = |text| Redaction::default().is_in(text, Extent::Cut);
        assert!(cut("https://u:p") && cut("https%3A%2F%2Fu"));
        assert!(!cut("https://a.example/x") && !cut("a"));
    }

    #[test]
    fn user_info_is_hidden_where_it_stands() {
        let check = |text, expected: &str| assert_eq!(without_user_info(text), expected);
        check("https://a.example/@u", "https://a.example/@u");
        check("https://u:p@é@a/x", "https://REDACTED:REDACTED@a/x");
        check(
            "<//u@a>, <//b>, <//@c>",
            "<//REDACTED:REDACTED@a>, <//b>, <//REDACTED:REDACTED@c>",
        );
    }
}
