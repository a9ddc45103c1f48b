//! What the HTTP layers record, whom they believe, what they answer themselves and who gets the
//! baggage.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderName, Method};

use super::hosts::HostRule;
use super::vars::Vars;
use crate::propagation::Host;
use crate::redact::Redaction;

/// Which endpoints `instrument` answers where the router has no route for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// `/metrics`, `/healthz` and `/readyz`.
    #[default]
    All,
    /// `/healthz` and `/readyz`.
    Health,
    /// None.
    None,
}

/// What a caller's sampling decision and trace id are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Callers {
    /// The caller's trace continues here (default; for services behind our own edge).
    #[default]
    Trusted,
    /// Each request starts a trace of its own, linked to the caller's (for the edge).
    Public,
}

/// A network in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`; a bare address is one host.
///
/// One of IPv4-mapped addresses, such as `::ffff:10.0.0.0/104`, is the IPv4 network in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is not an address, optionally with a prefix length that fits it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a network: write an address, optionally with a prefix length, as in 10.0.0.0/8")]
pub struct NetworkError;

/// A path, or all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathRule {
    Exactly(String),
    /// With the slash at its end.
    Below(String),
}

/// The settings of the HTTP layers.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    /// Case-sensitive; other methods become `_OTHER`.
    pub(crate) known_methods: Vec<String>,
    pub(crate) callers: Callers,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) request_headers: Vec<HeaderName>,
    pub(crate) response_headers: Vec<HeaderName>,
    /// Keys of queries that are recorded; `None`: all.
    pub(crate) query_keys: Option<Vec<String>>,
    /// Headers and keys of queries whose values become `REDACTED`.
    pub(crate) secrets: Redaction,
    /// Paths that get neither a span nor a metric.
    pub(crate) skipped_paths: Vec<PathRule>,
    pub(crate) endpoints: Endpoints,
    /// Response header that tells the caller the trace id.
    pub(crate) trace_id_header: Option<HeaderName>,
    /// Where baggage may go.
    pub(crate) propagate_to: Vec<HostRule>,
}

const KNOWN_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

/// `None` without a single one, which would make all methods `_OTHER`.
fn methods(list: &str) -> Option<Vec<String>> {
    let names = list.split(',').map(str::trim);
    let methods: Result<Vec<Method>, _> = names
        .filter(|name| !name.is_empty())
        .map(str::parse)
        .collect();
    let methods = methods.ok().filter(|methods| !methods.is_empty())?;
    Some(methods.iter().map(Method::to_string).collect())
}

impl HttpConfig {
    pub(super) fn read(vars: &mut Vars) -> Self {
        let known = vars.read(
            &["OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"],
            "a list of methods",
            methods,
        );
        Self {
            known_methods: known.unwrap_or_else(|| KNOWN_METHODS.map(str::to_owned).to_vec()),
            callers: Callers::Trusted,
            trusted_proxies: Vec::new(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            query_keys: None,
            secrets: Redaction::default(),
            skipped_paths: Vec::new(),
            endpoints: Endpoints::All,
            trace_id_header: None,
            propagate_to: HostRule::internal(),
        }
    }

    /// Whether requests to a path are not looked at.
    pub(crate) fn skips(&self, path: &str) -> bool {
        self.skipped_paths.iter().any(|rule| rule.covers(path))
    }

    /// Whether a host may have the baggage; without a port and without brackets.
    pub(crate) fn host(&self, address: &str) -> Host {
        match self.propagate_to.iter().any(|rule| rule.covers(address)) {
            true => Host::Own,
            false => Host::Foreign,
        }
    }
}

impl PathRule {
    /// `/a/*` means all below `/a/`.
    pub(super) fn new(text: String) -> Self {
        match text.strip_suffix('*') {
            Some(below) if below.ends_with('/') => Self::Below(below.to_owned()),
            Some(_) | None => Self::Exactly(text),
        }
    }

    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exactly(whole) => whole == path,
            Self::Below(start) => path.starts_with(start.as_str()),
        }
    }
}

impl Network {
    /// Whether `address` lies in this network; an IPv4-mapped IPv6 address counts as IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                let high = |bits: u32| u64::from(bits) >> shift;
                high(own.to_bits()) == high(other.to_bits())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                let high = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
                high(own.to_bits()) == high(other.to_bits())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| NetworkError)?;
        let full: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| NetworkError)?,
            None => full,
        };
        if prefix > full {
            return Err(NetworkError);
        }
        // Peers are compared as IPv4 where they are mapped.
        let network = match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix)) => Self {
                address: IpAddr::V4(mapped),
                prefix,
            },
            (_, _) => Self { address, prefix },
        };
        Ok(network)
    }
}

/// An attribute of a span is recorded once.
pub(super) fn each_once(names: impl IntoIterator<Item = HeaderName>) -> Vec<HeaderName> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, address: &str, expected: bool) {
        let network: Network = network.parse().unwrap();
        let address = address.parse().unwrap();
        assert_eq!(network.contains(address), expected, "{network:?} {address}");
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        check("::ffff:10.0.0.1", "::ffff:10.0.0.1", true);
        check("::ffff:10.0.0.1", "10.0.0.2", false);
        check("::ffff:10.0.0.0/104", "10.1.2.3", true);
        check("::ffff:10.0.0.0/104", "::ffff:11.1.2.3", false);
        check("::ffff:0.0.0.0/96", "203.0.113.9", true);
        check("::ffff:0.0.0.0/95", "203.0.113.9", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe80::1", false);
        check("::/0", "2001:db8::1", true);
    }

    #[test]
    fn a_rule_of_paths_is_a_whole_one_or_all_below_one() {
        let check = |rule: &str, path: &str, expected| {
            let rule = PathRule::new(rule.to_owned());
            assert_eq!(rule.covers(path), expected, "{rule:?} {path}");
        };
        check("/a", "/a", true);
        check("/a", "/a/b", false);
        check("/a/*", "/a/", true);
        check("/a/*", "/a/b/c", true);
        check("/a/*", "/a", false);
        check("/a/*", "/ab", false);
        check("/*", "/", true);
        check("/*", "/a/b", true);
        check("/a*", "/ab", false);
        check("/a*", "/a*", true);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "host/8",
            "::/129",
            "10.0.0/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
