//! The names of secrets, and which names have their words in them.

use std::fmt;

/// Words, lower case, sorted. `_` stands between the words of one name where they may stand apart (`api_key`) or
/// not (`apikey`); a name of which one word is a secret by itself, as in `auth_token`, is here only as it
/// is written in one.
const SECRETS: [&str; 52] = [
    "access_key",
    "accesstoken",
    "api_key",
    "apitoken",
    "appsecret",
    "assertion",
    "auth",
    "authorization",
    "authtoken",
    // All keys that the semantic conventions list for queries are hidden with these words.
    "awsaccesskeyid",
    "bearer",
    "bearertoken",
    "clientsecret",
    "cookie",
    "corpsecret",
    "credential",
    "credentials",
    "csrf",
    "csrfmiddlewaretoken",
    "csrftoken",
    "encryption_key",
    "idtoken",
    "jsessionid",
    "jwt",
    "master_key",
    "newpassword",
    "oldpassword",
    "ossaccesskeyid",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "phpsessid",
    "private_key",
    "pwd",
    "refreshtoken",
    "saml_response",
    "secret",
    "secretkey",
    "session",
    "sessionid",
    "sessiontoken",
    "sid",
    "sig",
    "signature",
    "signing_key",
    "token",
    "userpassword",
    "xsrf",
    "xsrftoken",
];

/// Each is not empty and all its ASCII [`plain`]; sorted, so that few are compared with a word.
#[derive(Clone)]
pub(crate) struct Names(Vec<String>);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Default for Names {
    fn default() -> Self {
        Self(SECRETS.map(str::to_owned).to_vec())
    }
}

impl Names {
    #[cfg(test)]
    pub(super) fn all(&self) -> &[String] {
        &self.0
    }

    pub(super) fn add(&mut self, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().map(|name| with_words_apart(&name));
        self.0.extend(names.filter(|name| !name.is_empty()));
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Whether the whole words of one of these stand in `name`.
    pub(super) fn are_in(&self, name: &[u8]) -> bool {
        let mut words = (0..name.len()).filter(|at| begins_word(name, *at));
        words.any(|at| {
            let first = plain(name[at]);
            let before = |it: &String| it.as_bytes().first() < Some(&first);
            let secrets = self.0[self.0.partition_point(before)..].iter();
            let mut secrets = secrets
                .map(String::as_bytes)
                .take_while(|it| it.first() == Some(&first));
            secrets.any(|it| has_words(name, at, it))
        })
    }
}

/// As in [`SECRETS`]: `cardNumber` and `Card-Number` are `card_number`.
fn with_words_apart(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut apart = String::with_capacity(name.len() + 2);
    for (at, letter) in name.char_indices() {
        let within = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
        if within && letter.is_ascii_uppercase() && begins_word(bytes, at) {
            apart.push('_');
        }
        match letter.is_ascii() {
            true => apart.push(char::from(plain(bytes[at]))),
            false => apart.push(letter),
        }
    }
    apart.trim_matches('_').to_owned()
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

/// Whether these words stand at `at`, apart or not, and then another or none.
fn has_words(text: &[u8], at: usize, words: &[u8]) -> bool {
    let mut end = at;
    for expected in words {
        let same = text.get(end).is_some_and(|it| plain(*it) == *expected);
        if !same && *expected != b'_' {
            return false;
        }
        end += usize::from(same);
    }
    let ends = |next: &u8| !next.is_ascii_alphabetic() || begins_word(text, end);
    text.get(end).is_none_or(ends)
}

/// Without case; all of ASCII that separates words looks alike.
fn plain(byte: u8) -> u8 {
    if byte.is_ascii() && !byte.is_ascii_alphanumeric() {
        b'_'
    } else {
        byte.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_as_their_search_needs_them() {
        let mut added = Names::default();
        added.add(SECRETS.map(str::to_owned));
        assert_eq!(added.0, SECRETS);
    }

    #[test]
    fn the_readme_lists_every_name() {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("## What is hidden").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        for name in SECRETS {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
    }
}
