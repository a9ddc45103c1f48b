//! Which fields hold secrets, told by their names: in log lines, in events and attributes of spans.

/// What takes the place of a value that must not be seen.
pub(crate) const REDACTED: &str = "REDACTED";

/// Words, lower case; `_` stands between the words of one name.
const SECRETS: [&str; 14] = [
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "secret",
    "session_id",
    "token",
];

/// The names of secrets.
#[derive(Clone, Debug)]
pub(crate) struct Redaction(Vec<String>);

impl Default for Redaction {
    fn default() -> Self {
        Self(SECRETS.map(str::to_owned).to_vec())
    }
}

impl Redaction {
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().filter(|name| !name.is_empty());
        self.0.extend(names);
    }

    /// Whether the whole words of a secret's name stand in `field`, as in `db.password` and
    /// `Set-Cookie`; `tokens` and `secretary` are other words.
    pub(crate) fn hides(&self, field: &str) -> bool {
        self.0.iter().any(|secret| has_words(field, secret))
    }
}

fn has_words(field: &str, words: &str) -> bool {
    let (field, words) = (field.as_bytes(), words.as_bytes());
    let ends = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let first = words.first().copied().map(plain);
    field.windows(words.len()).enumerate().any(|(at, window)| {
        if window.first().copied().map(plain) != first {
            return false;
        }
        let same = window
            .iter()
            .zip(words)
            .all(|(a, b)| plain(*a) == plain(*b));
        let before = at.checked_sub(1).and_then(|before| field.get(before));
        same && ends(before) && ends(field.get(at + words.len()))
    })
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
            "http.request.header.authorization",
            "card_number",
        ];
        for name in hidden {
            assert!(redaction.hides(name), "{name}");
        }
        for name in [
            "user",
            "tokens",
            "secretary",
            "api",
            "key",
            "cookies",
            "",
            "http.route",
        ] {
            assert!(!redaction.hides(name), "{name}");
        }
    }
}
