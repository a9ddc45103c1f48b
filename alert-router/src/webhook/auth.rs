//! Whether a request shows the credential that its source asks for, and whether a page of somebody
//! else sends it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

use crate::config::Credential;

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

/// Whether a browser says that a page of another site sends this.
#[must_use]
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    origin
        .split_once("://")
        .is_none_or(|(_, from)| from != host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

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
    fn a_page_of_another_site_changes_nothing_here() {
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:9095".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            is_foreign(&headers)
        };
        assert!(!check(None));
        assert!(!check(Some("http://127.0.0.1:9095")));
        assert!(check(Some("http://evil.example")));
        assert!(check(Some("http://127.0.0.1:9096")));
        assert!(check(Some("null")));
    }
}
