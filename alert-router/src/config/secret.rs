//! Values that must never be printed. Apart, so that one look shows who can read them: whoever
//! calls `expose`.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;

/// A password, token or key. `Debug` shows that it is one, and nothing shows more.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself: for the provider, never for people.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// An http or https URL with a host. Path, query and user part may hold credentials, so `Debug` and
/// `Display` show the origin only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Wraps a URL whose caller has checked that it is http, https or socks5 and names a host.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL: for the connection, never for people.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host and port, and an ellipsis for the rest.
impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.0.scheme())?;
        f.write_str(self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str("/…")
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_type_prints_what_it_holds() {
        let url =
            Url::parse("https://user:hunter2@example.com:8443/p/hunter2?key=hunter2").unwrap();
        let url = SecretUrl::new(url);
        let shown = format!("{:?} {url:?} {url}", Secret::new("hunter2"));
        assert_eq!(
            shown,
            "<secret> https://example.com:8443/… https://example.com:8443/…"
        );
    }
}
