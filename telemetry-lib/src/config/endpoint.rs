//! Where spans go: the URL, who named it, and what of it may be shown.

use std::fmt;

use http::Uri;
use http::uri::Authority;

use super::exporter::Protocol;
use super::vars::Vars;
use crate::redact::{Extent, REDACTED, Redaction};

pub(super) const URL: &str = "an http or https URL with a host, and a port from 1 to 65535 if any";

/// Who said where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody: the specification's default.
    Default,
    /// This variable.
    Variable(&'static str),
    /// [`Config::endpoint`](crate::Config::endpoint).
    Code,
}

pub(super) fn read_endpoint(vars: &mut Vars, protocol: Protocol) -> (Uri, Origin) {
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    if let Some(endpoint) = vars.read(&[own], URL, parse_endpoint) {
        return (endpoint, Origin::Variable(own));
    }
    // Only the general endpoint gets the path of the signal, and only where paths are.
    let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let with_path = |value: &str| match protocol {
        Protocol::Http => for_traces(&parse_endpoint(value)?),
        Protocol::Grpc => parse_endpoint(value),
    };
    let usual = match protocol {
        Protocol::Http => "http://localhost:4318/v1/traces",
        Protocol::Grpc => "http://localhost:4317",
    };
    match vars.read(&[general], URL, with_path) {
        Some(endpoint) => (endpoint, Origin::Variable(general)),
        None => (Uri::from_static(usual), Origin::Default),
    }
}

/// The path of the signal goes below the path of all signals; the query, which may be a key, stays.
fn for_traces(general: &Uri) -> Option<Uri> {
    let path = general.path().trim_end_matches('/');
    let below = match general.query() {
        Some(query) => format!("{path}/v1/traces?{query}"),
        None => format!("{path}/v1/traces"),
    };
    let mut parts = general.clone().into_parts();
    parts.path_and_query = Some(below.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Reads an absolute `http` or `https` URL.
pub(super) fn parse_endpoint(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let leads_somewhere = |it: &Authority| !it.host().is_empty() && has_real_port(it);
    (web && uri.authority().is_some_and(leads_somewhere)).then_some(uri)
}

/// No port, or one that can be connected to. `Uri` says of 99999 that there is none, and spans would go to
/// whoever listens at the scheme's.
fn has_real_port(authority: &Authority) -> bool {
    let text = authority.as_str();
    let server = text.rsplit_once('@').map_or(text, |(_, server)| server);
    let port = server.strip_prefix(authority.host()).unwrap_or(server);
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_empty()
        || port.strip_prefix(':').is_some_and(digits)
            && authority.port_u16().is_some_and(|port| port > 0)
}

/// Scheme, host and path, without what may be a password in them.
pub(crate) fn shown_endpoint(endpoint: &Uri) -> String {
    let authority = endpoint.authority().map_or("", |it| it.as_str());
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let scheme = endpoint.scheme_str().unwrap_or("http");
    format!("{scheme}://{host}{}", shown_path(endpoint.path()))
}

/// Without what a word before it calls secret, as in `/token/abc` and `/in;api_key=abc`.
fn shown_path(path: &str) -> String {
    let redaction = Redaction::default();
    let mut shown = String::with_capacity(path.len());
    let mut before = "";
    for part in path.split_inclusive(['/', ';', '=', '&']) {
        let word = part.trim_end_matches(['/', ';', '=', '&']);
        let hidden = redaction.hides_encoded(before) || redaction.is_in(word, Extent::Whole);
        if !word.is_empty() && hidden {
            shown.push_str(REDACTED);
            shown.push_str(&part[word.len()..]);
        } else {
            shown.push_str(part);
        }
        before = word;
    }
    shown
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("Config::endpoint"),
        }
    }
}
