//! What of a query may be seen: the keys that are wanted, without the values of secrets.

use crate::config::{HttpConfig, percent_bytes};
use crate::redact::{Extent, REDACTED, Redaction};

/// `;` stood between pairs once, and some servers still split there.
const SEPARATORS: [char; 2] = ['&', ';'];

/// What of a pair must not be seen.
enum Secret {
    Nothing,
    Value,
    /// What we take for the key holds a value, too: its `=` is encoded, or missing.
    Pair,
}

/// `None` if nothing of it is wanted. A key is told by what the service reads in it, so that neither
/// case nor encoding hides a secret from us; a value that holds a secret is hidden whole.
pub(crate) fn shown_query(query: &str, config: &HttpConfig) -> Option<String> {
    shown_pairs(query, Extent::Whole, config)
}

/// As [`shown_query`], of a query that may have been cut.
pub(super) fn shown_pairs(query: &str, extent: Extent, config: &HttpConfig) -> Option<String> {
    let mut shown = String::with_capacity(query.len());
    let mut in_secret = false;
    for part in query.split_inclusive(SEPARATORS) {
        if in_secret {
            // Whoever splits at `&` alone reads this as the rest of the secret.
            in_secret = !part.ends_with('&');
            shown.push_str(if in_secret { "" } else { "&" });
            continue;
        }
        let pair = part.strip_suffix(SEPARATORS).unwrap_or(part);
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        if !is_wanted(key, config) {
            continue;
        }
        // Only the last part has no separator.
        let extent = if pair.len() < part.len() {
            Extent::Whole
        } else {
            extent
        };
        match secret(pair, &config.secrets, extent) {
            Secret::Nothing => {
                shown.push_str(part);
                continue;
            }
            Secret::Value => {
                shown.push_str(key);
                shown.push('=');
            }
            Secret::Pair => {}
        }
        shown.push_str(REDACTED);
        in_secret = part.ends_with(';');
        shown.push_str(if in_secret { "" } else { &part[pair.len()..] });
    }
    if config.query_keys.is_some() {
        // It stood before a pair that was left out.
        shown.truncate(shown.trim_end_matches(SEPARATORS).len());
        return (!shown.is_empty()).then_some(shown);
    }
    Some(shown)
}

fn secret(pair: &str, secrets: &Redaction, extent: Extent) -> Secret {
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) if !secrets.is_in(key, Extent::Whole) => (key, value),
        None if !secrets.is_in(pair, extent) => return Secret::Nothing,
        Some(_) | None => return Secret::Pair,
    };
    let hidden = !value.is_empty() && secrets.hides_encoded(key) || secrets.is_in(value, extent);
    if hidden {
        Secret::Value
    } else {
        Secret::Nothing
    }
}

fn is_wanted(key: &str, config: &HttpConfig) -> bool {
    config.query_keys.as_ref().is_none_or(|keys| {
        let key = percent_bytes(key.as_bytes());
        keys.iter().any(|wanted| wanted.as_bytes() == &*key)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Config;

    fn config(configure: impl FnOnce(Config) -> Config) -> HttpConfig {
        configure(Config::from_vars("test", [])).http
    }

    #[track_caller]
    fn check(config: &HttpConfig, query: &str, expected: &str) {
        assert_eq!(shown_query(query, config).as_deref(), Some(expected));
    }

    #[test]
    fn the_values_of_secret_keys_are_hidden() {
        let config = config(|it| it.redact_fields(["Card".to_owned()]));
        for same in [
            "",
            "a=1",
            "a",
            "a=",
            "&a=1&&b=2&",
            "sig",
            "sig=",
            "tokens=1&design=2",
        ] {
            check(&config, same, same);
        }
        check(&config, "a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2");
        check(&config, "sig=a=b", "sig=REDACTED");
        check(
            &config,
            "SIG=abc&Signature=x",
            "SIG=REDACTED&Signature=REDACTED",
        );
        check(&config, "%73%69g=abc&%zz=1", "%73%69g=REDACTED&%zz=1");
        check(&config, "a=1;token=abc;b=2", "a=1;token=REDACTED");
        check(
            &config,
            "password=a;b;c&d=1;e=2",
            "password=REDACTED&d=1;e=2",
        );
        check(&config, "user[password]=abc", "user[password]=REDACTED");
        check(
            &config,
            "my+card=4711&postcard=7",
            "my+card=REDACTED&postcard=7",
        );
        check(&config, "password%3Dabc&a", "REDACTED&a");
        check(&config, "x%3Dtoken%3Dabc=1", "REDACTED");
        check(&config, "%70assword%ff=abc", "%70assword%ff=REDACTED");
        let both = "privateKey=abc&privatekey=abc&private%4Bey=abc";
        let shown = "privateKey=REDACTED&privatekey=REDACTED&private%4Bey=REDACTED";
        check(&config, both, shown);
        for same in [
            "code=4711&pin=1",
            "author=a&passengers=2&assertions_count=3",
        ] {
            check(&config, same, same);
        }
    }

    #[test]
    fn a_value_that_holds_a_secret_is_hidden_whole() {
        let config = config(|it| it.redact_fields(["Card".to_owned()]));
        for value in [
            "/cb?token=abc",
            "%2Fcb%3Ftoken%3Dabc",
            "%252Fcb%253Fsig%253Dabc",
            "https://u:p@a.example/",
            "https%3A%2F%2Fu%3Ap%40a.example%2F",
            "%7B%22card%22%3A4711%7D",
            "a:1,token:abc",
            "Bearer+abc",
            "Bearer%20abc",
            "basic%2520dXNlcjpwYXNz",
        ] {
            let query = format!("a=1&next={value}&b=2");
            check(&config, &query, "a=1&next=REDACTED&b=2");
        }
        let split = "next=/cb?a=1;token=abc;b";
        check(&config, split, "next=/cb?a=1;token=REDACTED");
        check(&config, "next%3D%252Fcb%253Ftoken%253Dabc", "REDACTED");
        check(&config, "proxy:https://u:p@h/&a", "REDACTED&a");
        check(&config, "%2574oken=abc", "%2574oken=REDACTED");
        for same in [
            "next=/cb?a=1",
            "next=https%3A%2F%2Fa.example%2F%3Fa%3D1",
            "at=12:30&of=100%25",
            "sort=token,date:asc",
            "next=/token/x%3Fa%3D1",
            "by=bearer&q=basics+of+a",
        ] {
            check(&config, same, same);
        }
    }

    #[test]
    fn only_the_wanted_keys_are_kept_and_secrets_stay_hidden_among_them() {
        let keys = ["page".to_owned(), "token".to_owned()];
        let some = config(|it| it.query_keys(keys));
        check(&some, "page=1&q=abc&b", "page=1");
        check(&some, "q=abc&p%61ge=1&Page=2", "p%61ge=1");
        check(&some, "page=1;q=abc;token=abc", "page=1;token=REDACTED");
        assert_eq!(shown_query("q=abc&b", &some), None);
        let none = config(|it| it.query_keys([]));
        assert_eq!(shown_query("page=1", &none), None);
        assert_eq!(shown_query("&", &none), None);
    }

    /// A name in some other case and encoding.
    fn spelled(name: &'static str) -> impl Strategy<Value = String> {
        let choices = proptest::collection::vec(0..5_u8, name.len());
        choices.prop_map(move |choices| {
            let letters = name.chars().zip(choices);
            let spell = |(letter, choice): (char, u8)| match choice {
                0 => letter.to_ascii_uppercase().to_string(),
                1 => format!("%{:02x}", u32::from(letter)),
                2 => format!("%{:02X}", u32::from(letter.to_ascii_uppercase())),
                _ => letter.to_string(),
            };
            letters.map(spell).collect()
        })
    }

    fn secret_key() -> impl Strategy<Value = String> {
        let names = [
            "x-amz-signature",
            "x-amz-credential",
            "x-amz-security-token",
            "awsaccesskeyid",
            "ossaccesskeyid",
            "signature",
            "sig",
            "privatekey",
            "accesskey",
            "samlresponse",
            "x-goog-signature",
            "password",
            "access_token",
            "client_secret",
            "api_key",
            "apikey",
        ];
        proptest::sample::select(names.to_vec()).prop_flat_map(spelled)
    }

    proptest! {
        #[test]
        fn no_value_of_a_secret_survives_in_any_spelling_of_its_key(
            key in secret_key(),
            before in "([a-f]{0,3}=?[0-9%+]{0,3}[&;]){0,3}",
            after in "(&[a-f]{0,3}=?[0-9%=;]{0,3}){0,3}",
            equals in proptest::sample::select(vec!["=", "==", "%3D"]),
        ) {
            let config = config(|it| it);
            let query = format!("{before}{key}{equals}hunter2{after}");
            let shown = shown_query(&query, &config).unwrap();
            prop_assert!(!shown.contains("hunter2"), "{query} is shown as {shown}");
            prop_assert!(shown.starts_with(&before) && shown.ends_with(&after), "{query}: {shown}");
        }

        #[test]
        fn any_query_can_be_shown(query in "[a-z&;=%+0-9é]{0,40}") {
            let shown = shown_query(&query, &config(|it| it)).unwrap();
            prop_assert!(shown.matches('&').count() == query.matches('&').count());
        }
    }
}
