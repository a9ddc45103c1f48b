//! Who asked, and for which host: the connection's word, or a trusted proxy's. How a host is read stands in
//! `host`.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry::StringValue;

use super::headers::Headers;
use super::host::read_host;
use crate::config::Network;

static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Longer chains are not read: nobody has that many proxies.
const MAX_HOPS: usize = 32;

/// The two ends of a request as the semantic conventions name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) client: Option<String>,
    pub(crate) server: Option<StringValue>,
    pub(crate) server_port: Option<u16>,
}

/// The scheme that the client used: a trusted proxy's word, else what the server says of its own
/// connection. What the request says itself, in an absolute target or in `:scheme`, is up to the
/// client, who could double the series of a metric with it.
pub(crate) fn scheme(own: Option<&Scheme>, headers: &HeaderMap, trusted: bool) -> &'static str {
    let told = || {
        let forwarded = parameters(headers, "proto").next_back();
        forwarded.or_else(|| last(headers, &X_PROTO))
    };
    let own = own.map(Scheme::as_str);
    let scheme = if trusted { told().or(own) } else { own };
    match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    }
}

/// Whether the peer's headers may be believed.
pub(crate) fn is_trusted(peer: Option<SocketAddr>, networks: &[Network]) -> bool {
    peer.is_some_and(|peer| networks.iter().any(|it| it.contains(peer.ip())))
}

pub(crate) fn ends(
    uri: &Uri,
    headers: &Headers<'_>,
    peer: Option<SocketAddr>,
    networks: &[Network],
) -> Ends {
    let trusted = is_trusted(peer, networks);
    let told = trusted.then(|| client(headers.all, networks)).flatten();
    let told_host = trusted.then(|| {
        let forwarded = parameters(headers.all, "host").next_back();
        forwarded.or_else(|| last(headers.all, &X_HOST))
    });
    let host = told_host
        .flatten()
        .or_else(|| uri.authority().map(|authority| authority.as_str()))
        .map(str::as_bytes)
        .or_else(|| headers.host.map(HeaderValue::as_bytes));
    let server = host.map(read_host).unwrap_or_default();
    Ends {
        client: told
            .map(|address| address.to_string())
            .or_else(|| peer.map(|peer| peer.ip().to_canonical().to_string())),
        server: server.name,
        server_port: server.port,
    }
}

/// The right-most address that no trusted proxy has: what stands left of it is hearsay.
fn client(headers: &HeaderMap, networks: &[Network]) -> Option<IpAddr> {
    let forwarded: Vec<&str> = parameters(headers, "for").collect();
    let chain = if forwarded.is_empty() {
        list(headers, &FOR).collect()
    } else {
        forwarded
    };
    let mut nearest = None;
    for hop in chain.into_iter().rev().take(MAX_HOPS) {
        let Some(address) = address(hop) else { break };
        nearest = Some(address);
        if !networks.iter().any(|network| network.contains(address)) {
            break;
        }
    }
    nearest
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.split(']').next());
    let parsed: Option<IpAddr> = bare.unwrap_or(hop).parse().ok();
    let parsed = parsed.or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    list(headers, name).last()
}

fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// Values of one parameter of `Forwarded` (RFC 7239), quotes removed. None beside `X-Forwarded-*`: proxies
/// that set those mostly pass the other on as the client wrote it.
fn parameters<'h>(
    headers: &'h HeaderMap,
    wanted: &'static str,
) -> impl DoubleEndedIterator<Item = &'h str> {
    let names_another = [&FOR, &X_HOST, &X_PROTO].map(|name| headers.contains_key(name));
    let believed = !names_another.contains(&true);
    let lines = believed.then(|| list(headers, &FORWARDED));
    let found: Vec<&str> = lines
        .into_iter()
        .flatten()
        .flat_map(|element| element.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .collect();
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, headers: &[(&'static str, &str)], expected: (&str, &str, Option<u16>)) {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let peer = format!("{peer}:9").parse().ok();
        let ends = ends(&Uri::from_static("/a"), &Headers::of(&map), peer, &networks);
        let (client, server, server_port) = expected;
        assert_eq!(ends.client.as_deref(), Some(client), "{headers:?}");
        let found = ends.server.as_ref().map_or("", StringValue::as_str);
        assert_eq!(found, server, "{headers:?}");
        assert_eq!(ends.server_port, server_port, "{headers:?}");
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let claims = [
            ("host", "shop.example:8080"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-host", "evil.example"),
        ];
        check(
            "192.0.2.1",
            &claims,
            ("192.0.2.1", "shop.example", Some(8080)),
        );
        check("10.0.0.1", &claims, ("203.0.113.7", "evil.example", None));
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_proxy() {
        let told = |value| [("x-forwarded-for", value)];
        check(
            "10.0.0.1",
            &told("6.6.6.6, 203.0.113.7, 10.9.9.9"),
            ("203.0.113.7", "", None),
        );
        check(
            "10.0.0.1",
            &told("10.1.1.1, 10.9.9.9"),
            ("10.1.1.1", "", None),
        );
        check(
            "10.0.0.1",
            &told("unknown, 10.9.9.9"),
            ("10.9.9.9", "", None),
        );
        check("10.0.0.1", &told("unknown"), ("10.0.0.1", "", None));
        let forwarded = r#"for=6.6.6.6, for="[2001:db8::1]:80";host="a.example:81";proto=https"#;
        check(
            "10.0.0.1",
            &[("forwarded", forwarded)],
            ("2001:db8::1", "a.example", Some(81)),
        );
    }

    #[test]
    fn what_a_client_writes_beside_the_proxys_own_header_is_not_believed() {
        let forged = ("forwarded", "for=6.6.6.6;proto=https;host=evil.example");
        for (own, expected) in [
            (
                ("x-forwarded-for", "203.0.113.7"),
                ("203.0.113.7", "", None),
            ),
            (("x-forwarded-proto", "http"), ("10.0.0.1", "", None)),
            (
                ("x-forwarded-host", "a.example"),
                ("10.0.0.1", "a.example", None),
            ),
        ] {
            check("10.0.0.1", &[forged, own], expected);
            let mut headers = HeaderMap::new();
            for (name, value) in [forged, own] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(scheme(None, &headers, true), "http", "{own:?}");
        }
    }

    #[test]
    fn an_ipv4_address_has_one_spelling() {
        for hop in [
            "203.0.113.7",
            "::ffff:203.0.113.7",
            "[::ffff:203.0.113.7]:80",
        ] {
            check(
                "10.0.0.1",
                &[("x-forwarded-for", hop)],
                ("203.0.113.7", "", None),
            );
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_recorded() {
        check("192.0.2.1", &[("host", "a b")], ("192.0.2.1", "", None));
        let long = "a".repeat(300);
        check("192.0.2.1", &[("host", &long)], ("192.0.2.1", "", None));
        check(
            "192.0.2.1",
            &[("host", "user:pw@a.example")],
            ("192.0.2.1", "a.example", None),
        );
        check(
            "192.0.2.1",
            &[("host", "[::1]:80")],
            ("192.0.2.1", "::1", Some(80)),
        );
    }

    #[test]
    fn the_scheme_is_one_of_two_and_the_clients_word_does_not_count() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("HTTPS"));
        assert_eq!(scheme(None, &headers, false), "http");
        assert_eq!(scheme(None, &headers, true), "https");
        let (http, https) = (Some(&Scheme::HTTP), Some(&Scheme::HTTPS));
        assert_eq!(scheme(http, &headers, true), "https");
        assert_eq!(scheme(http, &headers, false), "http");
        assert_eq!(scheme(https, &HeaderMap::new(), false), "https");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("gopher"));
        assert_eq!(scheme(https, &headers, true), "http");
    }
}
