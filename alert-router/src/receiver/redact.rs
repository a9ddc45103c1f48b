//! Takes secrets out of text that came from outside: a provider may echo the key that it refuses.
//! Our own errors never hold one in the first place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::config::Secret;

/// The longest text that is kept of an answer.
const MAX_TEXT: usize = 1024;
/// What stands for a secret.
const HIDDEN: &str = "***";
/// Query parameters whose values are secrets, whoever they belong to.
const PARAMETERS: [&str; 4] = ["access_token=", "corpsecret=", "key=", "token="];

/// The secrets of one receiver. `Debug` shows none of them.
#[derive(Clone, Debug)]
pub(super) struct Redaction(Vec<Secret>);

impl Redaction {
    /// Hides these; empty ones hide nothing.
    pub(super) fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> = secrets
            .into_iter()
            .filter(|secret| !secret.expose().is_empty())
            .collect();
        // The longest first, so that a secret within a secret leaves no rest.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    /// `text` on one line without secrets and control characters, at most 1 KiB.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.replace(|c: char| c.is_control(), " ");
        for secret in &self.0 {
            text = text.replace(secret.expose(), HIDDEN);
            let encoded = percent_encoded(secret.expose());
            text = text.replace(&encoded, HIDDEN);
        }
        for parameter in PARAMETERS {
            text = hide_values(&text, parameter);
        }
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text
    }
}

/// The login in a URL: the password as it stands there and as it is meant, and both names as the
/// header that is made of them carries them.
pub(super) fn login(url: &Url) -> Vec<Secret> {
    let Some(password) = url.password() else {
        return Vec::new();
    };
    let meant: Vec<u8> = percent_decode_str(password).collect();
    let name: Vec<u8> = percent_decode_str(url.username()).collect();
    let header = [&name, b":".as_slice(), &meant].concat();
    let header = STANDARD.encode(header);
    let meant = String::from_utf8_lossy(&meant);
    [password, &*meant, &*header].map(Secret::new).to_vec()
}

/// As it stands in a query.
fn percent_encoded(secret: &str) -> String {
    let pairs = [("", secret)];
    let url = Url::parse_with_params("http://h/", pairs);
    url.ok()
        .and_then(|url| Some(url.query()?.trim_start_matches('=').to_owned()))
        .unwrap_or_else(|| secret.to_owned())
}

fn hide_values(text: &str, parameter: &str) -> String {
    let mut pieces = text.split(parameter);
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "-_.~%*".contains(c));
        let value = piece.find(ends).unwrap_or(piece.len());
        clean.push_str(parameter);
        clean.push_str(if value == 0 { "" } else { HIDDEN });
        clean.push_str(&piece[value..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, clean: &str) {
        let redaction = Redaction::of(["s3cret", "s3cret+more/", ""].map(Secret::new));
        assert_eq!(redaction.clean(text), clean);
    }

    #[test]
    fn secrets_go_in_every_spelling_and_the_rest_stays() {
        check("nothing to hide", "nothing to hide");
        check("got s3cret, and s3cret+more/ too", "got ***, and *** too");
        check("url?a=s3cret%2Bmore%2F&b=1", "url?a=***&b=1");
        check("/send?key=693a-91&debug=1", "/send?key=***&debug=1");
        check("corpsecret=x access_token=", "corpsecret=*** access_token=");
        check("two\nlines\u{0}", "two lines ");
    }

    #[test]
    fn a_login_in_a_url_goes_as_it_stands_as_it_is_meant_and_as_a_header() {
        let url = Url::parse("http://u%40x:p%25s%C3%A9@proxy/").unwrap();
        let secrets = login(&url);
        let shown: Vec<_> = secrets.iter().map(Secret::expose).collect();
        let header = STANDARD.encode("u@x:p%sé");
        assert_eq!(shown, ["p%25s%C3%A9", "p%sé", header.as_str()]);
        let said = Redaction::of(secrets.clone()).clean(&format!("Basic {header} at {url}"));
        assert_eq!(said, "Basic *** at http://u%40x:***@proxy/");
        assert!(login(&Url::parse("http://u@proxy/").unwrap()).is_empty());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = Redaction::of([]).clean(&"磁".repeat(1000));
        assert_eq!(long.len(), 1023);
    }
}
