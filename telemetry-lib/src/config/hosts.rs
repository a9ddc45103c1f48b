//! Which hosts count as our own: only they get the baggage.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::network::Network;

/// Hosts that a request's baggage may be sent to: a name (`api.example.com`), all names below a
/// domain (`.example.com`), or a network (`10.0.0.0/8`).
#[derive(Clone, PartialEq, Eq)]
pub struct HostRule(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// A name without a dot, which only the own resolver knows.
    SingleLabel,
    /// In lower case.
    Name(String),
    /// In lower case, with the leading dot.
    Below(String),
    Network(Network),
}

/// The text is neither a host's name, nor a domain with a leading dot, nor a network.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not a host: write a name as in api.example.com, a domain as in .example.com, or a network \
     as in 10.0.0.0/8"
)]
pub struct HostRuleError;

/// Addresses that no public network routes.
const PRIVATE: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "::1",
    "fc00::/7",
];

impl HostRule {
    /// The default: private and loopback addresses, names without a dot, and those that end in
    /// `.svc` or `.local`, as Kubernetes has them, or in `.internal`, which is nobody's on the
    /// internet. Addresses in other spellings, such as `2130706433`, are foreign.
    #[must_use]
    pub fn internal() -> Vec<Self> {
        let networks = PRIVATE.iter().filter_map(|text| text.parse().ok());
        let domains = [".svc", ".local", ".internal"].map(|domain| Rule::Below(domain.to_owned()));
        let networks = networks.map(Rule::Network);
        let rules = networks.chain(domains).chain([Rule::SingleLabel]);
        rules.map(Self).collect()
    }

    /// `host` without a port and without brackets.
    pub(super) fn covers(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let name = host.strip_suffix('.').unwrap_or(host);
        match &self.0 {
            Rule::Network(network) => address.is_some_and(|address| network.contains(address)),
            // With the dot at its end it would be a domain of the internet's root.
            Rule::SingleLabel => is_label(host) && !is_number(host),
            Rule::Name(own) => own.eq_ignore_ascii_case(name),
            Rule::Below(domain) => name
                .len()
                .checked_sub(domain.len())
                .filter(|labels| *labels > 0)
                .and_then(|at| name.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(domain)),
        }
    }
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// What resolvers of C and URLs of browsers read as an IPv4 address: `134744072` is 8.8.8.8.
fn is_number(label: &str) -> bool {
    match label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"))
    {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::SingleLabel => f.write_str("names without a dot"),
            Rule::Name(text) | Rule::Below(text) => f.write_str(text),
            Rule::Network(network) => network.fmt(f),
        }
    }
}

impl fmt::Debug for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(network) = text.parse() {
            return Ok(Self(Rule::Network(network)));
        }
        let labels = text.strip_prefix('.').unwrap_or(text);
        if !labels.split('.').all(is_label) {
            return Err(HostRuleError);
        }
        let lower = text.to_ascii_lowercase();
        Ok(Self(if text.starts_with('.') {
            Rule::Below(lower)
        } else {
            Rule::Name(lower)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_stays_inside() {
        let inside = |host: &str| HostRule::internal().iter().any(|rule| rule.covers(host));
        for host in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "::1",
            "fd00::7",
            "::ffff:10.0.0.1",
            "localhost",
            "stock",
            "STOCK",
            "stock.shop.svc",
            "stock.shop.svc.",
            "a.svc.cluster.local",
            "printer.LOCAL",
            "db.prod.internal",
            "3scale",
            "0xygen",
            "stock_1",
        ] {
            assert!(inside(host), "{host}");
        }
        for host in [
            "",
            "8.8.8.8",
            "172.32.0.1",
            "169.254.169.254",
            "2001:db8::1",
            "api.example.com",
            "svc.example.com",
            "notlocal.com",
            "local.evil",
            ".svc",
            // What resolvers of C and browsers take for addresses, some of them foreign.
            "2130706433",
            "134744072",
            "010",
            "0x7f000001",
            "0X8080808",
            "0x",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "10.0.0.1.",
            // A top-level domain by its full name, zones, escapes, dots of other scripts.
            "ai.",
            "2001:db8::1%25eth0",
            "v1:x",
            "8%2e8%2e8%2e8",
            "8\u{3002}8\u{3002}8\u{3002}8",
            "::ffff:8.8.8.8",
            ".internal",
        ] {
            assert!(!inside(host), "{host}");
        }
    }

    #[test]
    fn rules_are_names_domains_and_networks() {
        let check = |rule: &str, host: &str, expected| {
            let rule: HostRule = rule.parse().unwrap();
            assert_eq!(rule.covers(host), expected, "{rule:?} {host}");
        };
        check("api.Partner.example", "API.partner.example", true);
        check("api.partner.example", "x.api.partner.example", false);
        check(".partner.example", "api.partner.example", true);
        check(".partner.example", "partner.example", false);
        check(".partner.example", "evilpartner.example", false);
        check(".partner.example", "ü.partner.example", true);
        check("203.0.113.0/24", "203.0.113.9", true);
        check("203.0.113.0/24", "203.0.114.9", false);
        check("203.0.113.9", "203.0.113.9", true);
        for broken in [
            "",
            ".",
            "a..b",
            "a b",
            "http://a",
            "a:80",
            "10.0.0.0/99",
            "*.a",
        ] {
            assert_eq!(broken.parse::<HostRule>(), Err(HostRuleError), "{broken}");
        }
    }
}
