//! Secrets are planted in URLs, and looked for in all that is recorded of a request.

use http::header::{LOCATION, ORIGIN, REFERER};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use opentelemetry::KeyValue;
use proptest::prelude::*;

use super::captured::capture;
use super::head::RequestHead;
use super::method::Folded;
use crate::Config;
use crate::config::HttpConfig;

pub(crate) const SECRET: &str = "hunter2";

#[derive(Clone, Copy, Debug)]
enum Encoding {
    None,
    /// As forms and URLs are encoded.
    Reserved,
    Everything,
}

pub(crate) fn config() -> HttpConfig {
    let names = ["referer", "origin", "x-original-url"].map(HeaderName::from_static);
    let config = Config::from_vars("test", []).request_headers(names);
    config.response_headers([LOCATION]).http
}

fn encode(text: &str, encoding: Encoding) -> String {
    let encode = |byte: u8| match encoding {
        Encoding::None => char::from(byte).to_string(),
        Encoding::Reserved if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
            char::from(byte).to_string()
        }
        Encoding::Reserved | Encoding::Everything => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn encoding() -> impl Strategy<Value = Encoding> {
    let all = vec![Encoding::None, Encoding::Reserved, Encoding::Everything];
    proptest::sample::select(all)
}

fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let (first, rest) = name.split_once('_').unwrap_or((name, ""));
    let rest = rest.split('_').filter(|word| !word.is_empty());
    rest.fold(first.to_owned(), |name, word| name + &capital(word))
}

/// Each name that is hidden, alone and as a word of another one, in five spellings.
fn key() -> impl Strategy<Value = String> {
    let names = config().secrets.names().to_vec();
    let around = [("", ""), ("x-", ""), ("user.", "_2"), ("a[", "]")].to_vec();
    let name = proptest::sample::select(names);
    let around = proptest::sample::select(around);
    (name, around, 0..5).prop_map(|(name, (before, after), case)| {
        let name = match case {
            0 => name,
            1 => name.to_ascii_uppercase(),
            2 => name.replace('_', ""),
            3 => camel(&name),
            _ => name.replace('_', "-"),
        };
        format!("{before}{name}{after}")
    })
}

/// What holds the secret itself.
fn innermost() -> impl Strategy<Value = String> {
    let base = proptest::sample::select(vec!["", "/cb", "https://a.example/cb", "//a.example"]);
    let pair = (base, "(a=1&)?", key(), "(&b=2)?")
        .prop_map(|(base, before, key, after)| format!("{base}?{before}{key}={SECRET}{after}"));
    let user = Just(format!("https://u:{SECRET}@a.example/"));
    let json = key().prop_map(|key| format!(r#"{{"{key}":"{SECRET}"}}"#));
    prop_oneof![6 => pair, 1 => user, 1 => json]
}

/// The query of a request that holds a secret, at most two URLs deep.
pub(crate) fn query() -> impl Strategy<Value = String> {
    let around = || {
        (
            "([a-f]{1,3}=[0-9]{0,3}&){0,2}",
            "(&[a-f]{1,3}=[0-9]{0,3}){0,2}",
        )
    };
    let level = (encoding(), around());
    let levels = proptest::collection::vec(level, 0..=2);
    (innermost(), levels, around()).prop_map(|(mut url, levels, (before, after))| {
        for (encoding, (before, after)) in levels {
            let value = encode(&url, encoding);
            url = format!("https://b.example/x?{before}next={value}{after}");
        }
        // What no URL holds as it stands.
        let url = url.replace('"', "%22").replace('{', "%7B");
        let url = url.replace('}', "%7D");
        match url.split_once('?') {
            Some((_, query)) => format!("{before}{query}{after}"),
            None => format!("{before}to={url}{after}"),
        }
    })
}

fn recorded(query: &str) -> Vec<KeyValue> {
    let config = config();
    let target = format!("/x?{query}");
    let url = format!("https://shop.example{target}");
    let with_user = format!("https://u:{SECRET}@shop.example{target}");
    let request = Request::get(&target)
        .header(REFERER, &url)
        .header(ORIGIN, &with_user)
        .header("x-original-url", &target);
    let request = request.body(()).unwrap();
    let mut attributes = Vec::new();
    let method = Folded::new(request.method(), &config.known_methods);
    RequestHead::of(&request).describe(&config, method, "https", &mut attributes);
    let mut headers = HeaderMap::new();
    for location in [&url, &with_user, &format!("/cb#{query}")] {
        headers.append(LOCATION, HeaderValue::from_str(location).unwrap());
    }
    let allowed = &config.response_headers;
    capture("response", &headers, allowed, &config, &mut attributes);
    attributes
}

proptest! {
    #[test]
    fn a_secret_in_a_url_stands_in_no_attribute(query in query()) {
        let attributes = recorded(&query);
        let names = ["url.query", "http.request.header.referer", "http.response.header.location"];
        for name in names {
            let found = attributes.iter().any(|it| it.key.as_str() == name);
            prop_assert!(found, "{name} of {query}");
        }
        let shown = format!("{attributes:?}");
        prop_assert!(!shown.contains(SECRET), "{query} is shown as {shown}");
        let decoded = crate::config::percent_bytes(shown.as_bytes()).into_owned();
        let twice = crate::config::percent_bytes(&decoded);
        for shown in [&decoded[..], &twice] {
            prop_assert!(!String::from_utf8_lossy(shown).contains(SECRET), "{query}");
        }
    }
}
