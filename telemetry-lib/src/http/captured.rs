//! Headers that become attributes: by allow-list, cut, and without the secrets in them. Many of them
//! hold URLs (`referer`, `location`, `origin`), whose queries are shown as those of requests are.

use http::{HeaderMap, HeaderName};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::query::shown_pairs;
use crate::config::HttpConfig;
use crate::redact::{Extent, REDACTED, without_user_info};

/// Bytes of a value that are looked at.
const MAX_CAPTURED: usize = 256;
/// Values of one header.
const MAX_VALUES: usize = 8;

/// Adds `http.{side}.header.{name}` for the allowed headers that are there. Credentials stay hidden
/// even if somebody allowed their header.
pub(super) fn capture(
    side: &str,
    headers: &HeaderMap,
    allowed: &[HeaderName],
    config: &HttpConfig,
    into: &mut Vec<KeyValue>,
) {
    for name in allowed {
        let hidden = config.secrets.hides(name.as_str());
        let show = |value: &[u8]| match hidden {
            true => REDACTED.into(),
            false => shown(value, config).into(),
        };
        let values = headers.get_all(name).iter().take(MAX_VALUES);
        let values: Vec<StringValue> = values.map(|value| show(value.as_bytes())).collect();
        if !values.is_empty() {
            let key = format!("http.{side}.header.{name}");
            into.push(KeyValue::new(key, Value::Array(Array::String(values))));
        }
    }
}

/// Cut first, so that the work is bounded.
fn shown(value: &[u8], config: &HttpConfig) -> String {
    let (seen, extent) = match value.split_at_checked(MAX_CAPTURED) {
        Some((seen, [_, ..])) => (seen, Extent::Cut),
        Some((_, [])) | None => (value, Extent::Whole),
    };
    let text = String::from_utf8_lossy(seen);
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (before, mut rest) = text.split_at(end);
    let extent_before = if rest.is_empty() {
        extent
    } else {
        Extent::Whole
    };
    let mut shown = without_user_info(before);
    if config.secrets.is_in(&shown, extent_before) {
        return REDACTED.to_owned();
    }
    // A query, and the fragments after it, which hold the answers of some logins.
    while let Some((mark, pairs)) = rest.split_at_checked(1) {
        let (pairs, next) = pairs.split_at(pairs.find('#').unwrap_or(pairs.len()));
        let extent = if next.is_empty() {
            extent
        } else {
            Extent::Whole
        };
        if let Some(pairs) = shown_pairs(pairs, extent, config) {
            shown.push_str(mark);
            shown.push_str(&pairs);
        }
        rest = next;
    }
    shown.truncate(shown.floor_char_boundary(MAX_CAPTURED));
    shown
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{ACCEPT, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};

    use super::*;
    use crate::Config;

    #[test]
    fn captured_headers_are_cut_and_credentials_hidden() {
        let mut headers = HeaderMap::new();
        headers.append("x-team", HeaderValue::from_static("a"));
        headers.append("x-team", HeaderValue::from_str(&"b".repeat(300)).unwrap());
        let credentials = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE];
        let others = [
            "x-api-key",
            "x-auth-token",
            "x-session-id",
            "x-access-key",
            "x-accesskey",
            "x-signature",
            "x-csrf",
        ];
        let others = others.map(HeaderName::from_static);
        let mut allowed = vec![HeaderName::from_static("x-team"), ACCEPT];
        for secret in credentials.into_iter().chain(others) {
            headers.append(&secret, HeaderValue::from_static("s3cret"));
            allowed.push(secret);
        }
        let mut attributes = Vec::new();
        let config = Config::from_vars("test", []).http;
        capture("request", &headers, &allowed, &config, &mut attributes);
        let shown: Vec<String> = attributes.iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(shown.len(), 12, "{shown:?}");
        assert!(shown[0].contains(&"b".repeat(MAX_CAPTURED)));
        assert!(!shown[0].contains(&"b".repeat(MAX_CAPTURED + 1)));
        for hidden in &shown[1..] {
            let holds = hidden.contains(REDACTED) && !hidden.contains("s3cret");
            assert!(holds, "{hidden}");
        }
    }

    #[track_caller]
    fn check(value: &str, expected: &str) {
        let config = Config::from_vars("test", []).http;
        assert_eq!(shown(value.as_bytes(), &config), expected);
    }

    #[test]
    fn the_secrets_of_urls_in_a_header_are_hidden() {
        for same in [
            "",
            "text/plain; charset=utf-8",
            "https://a.example",
            "https://a.example:81/x?a=1&b#top",
            "max-age=60, no-cache",
            "?",
        ] {
            check(same, same);
        }
        let shown = "https://a.example/x?a=1&token=REDACTED#y";
        check("https://a.example/x?a=1&token=abc#y", shown);
        check("/cb#a=1&access_token=abc", "/cb#a=1&access_token=REDACTED");
        check("/a?next=%2Fcb%3Ftoken%3Dabc", "/a?next=REDACTED");
        let shown = "https://REDACTED:REDACTED@a.example/x";
        check("https://u:p@a.example/x", shown);
        let shown = "</a?token=REDACTED&token=REDACTED";
        check("</a?token=x>; rel=next, </b?p=2&token=y>", shown);
        check("5; url=/a?sig=x", "5; url=/a?sig=REDACTED");
        check("https%3A%2F%2Fu%3Ap%40a.example", REDACTED);
        check("user=1; token=abc", REDACTED);
        check("Bearer abc", REDACTED);
        check("basic dXNlcjpwYXNz", REDACTED);
        check("/a?h=Bearer%20abc&b", "/a?h=REDACTED&b");
        check("Basic realm=\"a\"", "Basic realm=\"a\"");
    }

    #[test]
    fn what_the_cut_leaves_of_user_info_is_hidden_too() {
        let path = "x".repeat(MAX_CAPTURED - 30);
        let long = "y".repeat(MAX_CAPTURED);
        check(&format!("https://u:{long}@a.example/"), REDACTED);
        let nested = format!("/{path}?next=https://u:{long}@a.example/");
        check(&nested, &format!("/{path}?next=REDACTED"));
        let nested = format!("/{path}?a=1&token={long}");
        check(&nested, &format!("/{path}?a=1&token=REDACTED"));
    }

    #[test]
    fn only_the_wanted_keys_of_a_query_are_kept_in_headers_too() {
        let config = Config::from_vars("test", []).query_keys(["a".to_owned()]);
        let shown = |value: &str| shown(value.as_bytes(), &config.http);
        assert_eq!(shown("/x?a=1&b=2#c"), "/x?a=1");
        assert_eq!(shown("/x?b=2"), "/x");
    }
}
