//! What the HTTP layers record, whom they believe, what they answer themselves and who gets the
//! baggage.

use http::{HeaderName, Method};

use super::hosts::HostRule;
use super::network::Network;
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
}
