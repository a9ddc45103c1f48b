//! Which fields hold secrets, told by their names: in log lines, in events and attributes of spans.

/// What takes the place of a value that must not be seen.
pub(crate) const REDACTED: &str = "REDACTED";

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

impl Default for Redaction {
    fn default() -> Self {
        Self(SECRETS.map(str::to_owned).to_vec())
    }
}

impl Redaction {
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
}
