//! Whether a request shows the credential that its source asks for, and whether a page of somebody
//! else sends it, openly or under a name that leads here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::uri::Authority;

use crate::config::{Config, Credential};

/// In which browsers say whose page it was, where they leave out the origin.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether `headers` show `credential`. Takes the same time wherever a wrong one differs.
#[must_use]
pub(crate) fn shows(credential: &Credential, headers: &HeaderMap) -> bool {
    let Some((scheme, given)) = authorization(headers) else {
        return false;
    };
    match credential {
        Credential::Bearer(token) => {
            scheme.eq_ignore_ascii_case("bearer")
                && same(given.as_bytes(), token.expose().as_bytes())
        }
        Credential::Basic { username, password } => {
            let wanted = format!("{username}:{}", password.expose());
            scheme.eq_ignore_ascii_case("basic")
                && STANDARD
                    .decode(given)
                    .is_ok_and(|given| same(&given, wanted.as_bytes()))
        }
    }
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme, given.trim()))
}

fn same(given: &[u8], wanted: &[u8]) -> bool {
    let differs = given
        .iter()
        .zip(wanted)
        .fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == wanted.len() && differs == 0
}

/// What a browser is told whose person did not mean it.
pub(crate) const FOREIGN: &str = "this request comes from a page of another site";

/// Whether a browser says that a page of another site sends this. Behind a proxy that puts its own
/// address into `Host`, ours is that of `external_url`.
#[must_use]
pub(crate) fn is_foreign(config: &Config, headers: &HeaderMap) -> bool {
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = said(ORIGIN) else {
        return said(FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site");
    };
    let host = asked_for(headers).unwrap_or_default();
    let from_host = origin
        .split_once("://")
        .is_some_and(|(_, from)| from == host);
    let outside = config.external_url.as_ref();
    let from_outside = outside.is_some_and(|url| url.origin().ascii_serialization() == origin);
    !from_host && !from_outside
}

fn asked_for(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// What whoever asks under another name is told.
pub(crate) const STRANGE: &str = "this server has no credential, so it answers only under its own \
     names: ask for localhost or an address, or set `external_url` (or `auth`) in the config";

/// How containers call the machine that they run on.
const MACHINE: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Whether a request without credential, to a server that only this machine reaches, names another
/// host. Anybody can let a name of theirs lead to 127.0.0.1; a browser then takes their page and
/// ours for one site. An address cannot be forged so, and whoever names nothing is no browser.
#[must_use]
pub(crate) fn is_strange(config: &Config, headers: &HeaderMap) -> bool {
    config.listen.ip().is_loopback()
        && headers.contains_key(HOST)
        && !asked_for(headers).is_some_and(|host| is_ours(config, host))
}

/// Whether a browser posts under such a name. A browser says where each POST comes from; who does not
/// say so is a program, which may know us by whatever name it likes: an Alertmanager that was refused
/// would not come again with its alerts.
#[must_use]
pub(crate) fn is_led_here(config: &Config, headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && is_strange(config, headers)
}

fn is_ours(config: &Config, host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    // Of `[::1].example` the parser takes the address for the host.
    let port = host.strip_prefix(authority.host());
    if !port.is_some_and(|port| port.is_empty() || port.starts_with(':')) {
        return false;
    }
    let name = authority.host().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let public = config.external_url.as_ref().and_then(|url| url.host_str());
    address.parse::<std::net::IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || MACHINE.contains(&name)
        || public == Some(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::{Flags, Secret};

    fn check(credential: &Credential, header: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        shows(credential, &headers)
    }

    #[test]
    fn only_the_right_credential_passes() {
        let bearer = Credential::Bearer(Secret::new("t0ken"));
        let basic = Credential::Basic {
            username: "am".into(),
            password: Secret::new("pass:word"),
        };
        let cases = [
            (&bearer, Some("Bearer t0ken"), true),
            (&bearer, Some("bearer t0ken"), true),
            (&bearer, Some("Bearer t0kem"), false),
            (&bearer, Some("Bearer t0ke"), false),
            (&bearer, Some("Bearer "), false),
            (&bearer, Some("Basic t0ken"), false),
            (&bearer, Some("t0ken"), false),
            (&bearer, None, false),
            (&basic, Some("Basic YW06cGFzczp3b3Jk"), true),
            (&basic, Some("Basic YW06cGFzcw=="), false),
            (&basic, Some("Basic %%%"), false),
            (&basic, Some("Bearer YW06cGFzczp3b3Jk"), false),
            (&basic, None, false),
        ];
        for (credential, header, passes) in cases {
            assert_eq!(check(credential, header), passes, "{header:?}");
        }
    }

    #[test]
    fn a_name_of_somebody_else_is_strange_and_an_address_is_not() {
        let mut config = Config::default_inbox(&Flags::default()).unwrap();
        config.external_url = Some("https://alerts.example.com/x/".parse().unwrap());
        let strange = |config: &Config, host: &str| {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            is_strange(config, &headers)
        };
        for host in [
            "localhost",
            "LocalHost:9095",
            "localhost.:9095",
            "router.localhost",
            "127.0.0.1:9095",
            "127.8.8.8",
            "[::1]:9095",
            "192.0.2.7:80",
            "host.docker.internal:9095",
            "alerts.example.com",
            "Alerts.Example.com:443",
        ] {
            assert!(!strange(&config, host), "{host}");
        }
        let foreign = [
            "evil.example",
            "evil.example:9095",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "[::1].evil.example",
            "localhost@evil.example",
            "",
            "a b",
        ];
        for host in foreign {
            assert!(strange(&config, host), "{host}");
        }
        assert!(!is_strange(&config, &HeaderMap::new()), "no browser");
        config.listen = "192.0.2.1:9095".parse().unwrap();
        assert!(!strange(&config, "evil.example"), "--open says it is open");
    }

    #[test]
    fn a_page_of_another_site_changes_nothing_here() {
        let mut config = Config::default_inbox(&Flags::default()).unwrap();
        config.external_url = Some("https://alerts.example.com/x/".parse().unwrap());
        let check = |name: HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:9095"));
            headers.insert(name, HeaderValue::from_static(value));
            is_foreign(&config, &headers)
        };
        assert!(!check(AUTHORIZATION, "no browser"));
        assert!(!check(ORIGIN, "http://127.0.0.1:9095"));
        assert!(!check(ORIGIN, "https://alerts.example.com"));
        assert!(check(ORIGIN, "http://alerts.example.com"));
        assert!(check(ORIGIN, "http://evil.example"));
        assert!(check(ORIGIN, "http://127.0.0.1:9096"));
        assert!(check(ORIGIN, "null"));
        assert!(check(FETCH_SITE, "cross-site"));
        assert!(check(FETCH_SITE, "same-site"));
        assert!(!check(FETCH_SITE, "same-origin"));
        assert!(!check(FETCH_SITE, "none"));
    }
}
