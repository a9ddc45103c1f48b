//! Where a request goes, as the semantic conventions name it.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};

use crate::config::HttpConfig;
use crate::http::shown_query;
use crate::redact::HIDDEN_USER;

/// The server that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The host in lower case, without the brackets of an IPv6 address; empty if nothing tells.
    pub(super) address: String,
    pub(super) port: u16,
}

impl Target {
    /// From the URI; a request in origin form, as connections take it, has the host in its
    /// headers.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let told = || headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
        let authority = uri.authority().cloned().or_else(told);
        let host = authority.as_ref().map_or("", Authority::host);
        let port = authority.as_ref().and_then(Authority::port_u16);
        let default = if is_https(uri) { 443 } else { 80 };
        Self {
            address: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: port.unwrap_or(default),
        }
    }
}

/// `url.full`: absolute, without the credentials, and of the query what may be seen.
pub(super) fn full_url(uri: &Uri, target: &Target, config: &HttpConfig) -> String {
    use std::fmt::Write as _;
    let scheme = if is_https(uri) { "https" } else { "http" };
    let mut url = format!("{scheme}://");
    match uri.authority().map(Authority::as_str) {
        Some(authority) => match authority.rsplit_once('@') {
            Some((_, host)) => {
                let _ = write!(url, "{HIDDEN_USER}@{host}");
            }
            None => url.push_str(authority),
        },
        None => {
            let host = &target.address;
            let bare = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            url.push_str(&bare);
            if target.port != 80 {
                let _ = write!(url, ":{}", target.port);
            }
        }
    }
    url.push_str(uri.path());
    if let Some(query) = uri.query().and_then(|query| shown_query(query, config)) {
        url.push('?');
        url.push_str(&query);
    }
    url
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::Config;
    use crate::http::secrets;

    #[track_caller]
    fn check(uri: &str, host: Option<&str>, server: (&str, u16), full: &str) {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        let uri: Uri = uri.parse().unwrap();
        let target = Target::of(&uri, &headers);
        assert_eq!((target.address.as_str(), target.port), server, "{uri}");
        let config = Config::from_vars("test", []).query_keys(["b", "c", "sig"].map(str::to_owned));
        assert_eq!(full_url(&uri, &target, &config.http), full, "{uri}");
    }

    #[test]
    fn the_server_is_named_and_its_url_has_no_secrets() {
        let plain = "http://API.example/a?b=1";
        check(plain, None, ("api.example", 80), plain);
        check(plain, Some("other"), ("api.example", 80), plain);
        let tls = "https://api.example/";
        check(tls, None, ("api.example", 443), tls);
        let port = "http://api.example:8080/";
        check(port, None, ("api.example", 8080), port);
        let v6 = "http://[::1]:81/x";
        check(v6, None, ("::1", 81), v6);
        let shown = "https://REDACTED:REDACTED@h:1/a?sig=REDACTED&c=2";
        check("https://u:p4ss@h:1/a?sig=abc&c=2", None, ("h", 1), shown);
        check(
            "https://u@h/",
            None,
            ("h", 443),
            "https://REDACTED:REDACTED@h/",
        );
        check(
            "/a?sig=1",
            Some("h:90"),
            ("h", 90),
            "http://h:90/a?sig=REDACTED",
        );
        check("/a", Some("[::1]"), ("::1", 80), "http://[::1]/a");
        check("/a?d=1", None, ("", 80), "http:///a");
        check("/a", Some("not a host"), ("", 80), "http:///a");
    }

    proptest! {
        #[test]
        fn a_secret_in_a_url_is_not_in_what_is_recorded_of_it(query in secrets::query()) {
            let url = format!("https://u:{}@a.example/x?{query}", secrets::SECRET);
            let uri: Uri = url.parse().unwrap();
            let target = Target::of(&uri, &HeaderMap::new());
            let shown = full_url(&uri, &target, &secrets::config());
            prop_assert!(!shown.contains(secrets::SECRET), "{url} is shown as {shown}");
        }
    }
}
