//! The way to the Collector: `OTEL_EXPORTER_OTLP_*` and `OTEL_BSP_*`, the variables for
//! traces before the general ones.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Uri};

use super::vars::{Vars, pairs};
use crate::redact::{Extent, REDACTED, Redaction};

// The variable for traces comes first, then the one for all signals.
const TIMEOUT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
];
const COMPRESSION: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
];
const PROTOCOL: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
const CLIENT_CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
];
const CLIENT_KEY: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

const OURS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

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

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `http/protobuf`.
    Http,
    /// `grpc`; only in builds with the feature `otlp-grpc`.
    Grpc,
}

/// Where spans go and how they are batched.
#[derive(Clone)]
pub(crate) struct Exporter {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Uri,
    pub(crate) origin: Origin,
    /// Values are secrets: they are marked sensitive and never printed.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// For one attempt.
    pub(crate) timeout: Duration,
    /// For all attempts of a batch.
    pub(crate) total: Duration,
    pub(crate) gzip: bool,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) queue: usize,
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

impl Exporter {
    pub(super) fn read(vars: &mut Vars) -> Self {
        let queue = spans(vars, "OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(2_048);
        let batch = spans(vars, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(512);
        let protocol = read_protocol(vars, cfg!(feature = "otlp-grpc"));
        let (endpoint, origin) = read_endpoint(vars, protocol);
        Self {
            protocol,
            endpoint,
            origin,
            headers: read_headers(vars),
            timeout: patience(vars, &TIMEOUT).unwrap_or(Duration::from_secs(10)),
            total: patience(vars, &["OTEL_BSP_EXPORT_TIMEOUT"]).unwrap_or(Duration::from_secs(60)),
            gzip: read_compression(vars),
            certificate: path(vars, &CERTIFICATE),
            client_certificate: path(vars, &CLIENT_CERTIFICATE),
            client_key: path(vars, &CLIENT_KEY),
            queue,
            batch: batch.min(queue),
            delay: vars
                .millis(&["OTEL_BSP_SCHEDULE_DELAY"])
                .unwrap_or(Duration::from_secs(1)),
        }
    }

    /// Spans would cross a network unencrypted.
    pub(crate) fn is_plain_text_to_another_host(&self) -> bool {
        let host = self.endpoint.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        self.endpoint.scheme() == Some(&Scheme::HTTP) && !loopback
    }

    /// The endpoint without what may be a password in it.
    pub(crate) fn shown_endpoint(&self) -> String {
        shown_endpoint(&self.endpoint)
    }
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

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Exporter")
            .field("protocol", &self.protocol)
            .field("endpoint", &self.shown_endpoint())
            .field("from", &self.origin)
            .field("headers (values hidden)", &names)
            .field("timeout", &self.timeout)
            .field("total", &self.total)
            .field("gzip", &self.gzip)
            .field("certificate", &self.certificate)
            .field("client_certificate", &self.client_certificate)
            .field("client_key", &self.client_key)
            .field("queue", &self.queue)
            .field("batch", &self.batch)
            .field("delay", &self.delay)
            .finish()
    }
}

pub(super) const URL: &str = "an http or https URL with a host, and a port from 1 to 65535 if any";

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

fn read_endpoint(vars: &mut Vars, protocol: Protocol) -> (Uri, Origin) {
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

/// What the exporter sets costs itself and not the credentials beside it.
fn read_headers(vars: &mut Vars) -> Vec<(HeaderName, HeaderValue)> {
    let expected = "a list of name=value with percent-encoded values";
    for variable in HEADERS {
        let read = vars.read(&[variable], expected, |value| {
            let (ours, theirs): (Vec<_>, Vec<_>) = pairs(value)?
                .into_iter()
                .partition(|(name, _)| is_ours(name));
            let theirs: Option<Vec<_>> = theirs
                .into_iter()
                .map(|(name, value)| {
                    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                    Some((name, secret(&value)?))
                })
                .collect();
            Some((theirs?, !ours.is_empty()))
        });
        if let Some((headers, in_part)) = read {
            if in_part {
                vars.report_part(
                    variable,
                    "left to you: the exporter sets what frames, encodes and types a request, and \
                     grpc-*, itself",
                );
            }
            if !headers.is_empty() || !in_part {
                return headers;
            }
        }
    }
    Vec::new()
}

/// Whether the exporter, or what speaks HTTP below it, sets this header: another value breaks each export.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // One of HTTP/2's own begins with a colon.
    name.starts_with(':') || name.starts_with("grpc-") || OURS.contains(&name.as_str())
}

pub(super) fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read_compression(vars: &mut Vars) -> bool {
    vars.read(&COMPRESSION, "gzip or none", |value| {
        match value.to_ascii_lowercase().as_str() {
            "gzip" => Some(true),
            "none" => Some(false),
            _ => None,
        }
    })
    .unwrap_or(false)
}

/// A protocol that this build does not have must not pass in silence.
pub(super) fn read_protocol(vars: &mut Vars, has_grpc: bool) -> Protocol {
    let asked = vars.first(&PROTOCOL).map(|(_, value)| value);
    let expected = match asked {
        Some(value) if value.eq_ignore_ascii_case("grpc") => {
            "in this build: add the feature `otlp-grpc` of telemetry-lib, or use http/protobuf"
        }
        Some(_) | None => "http/protobuf or grpc",
    };
    let read = |value: &str| match value.to_ascii_lowercase().as_str() {
        "http/protobuf" => Some(Protocol::Http),
        "grpc" => has_grpc.then_some(Protocol::Grpc),
        _ => None,
    };
    let read = vars.read(&PROTOCOL, expected, read);
    read.unwrap_or(Protocol::Http)
}

fn path(vars: &Vars, names: &[&str]) -> Option<PathBuf> {
    let (_, value) = vars.first(names)?;
    Some(PathBuf::from(value))
}

/// A number of spans. Room for a queue is made at the start: beyond a million the process would not begin.
fn spans(vars: &mut Vars, name: &str) -> Option<usize> {
    vars.read(&[name], "a whole number from 1 to 1000000", |value| {
        value
            .parse()
            .ok()
            .filter(|number| (1..=1_000_000).contains(number))
    })
}

/// For how long to wait; 0 would be no time at all, in which nothing is ever delivered.
fn patience(vars: &mut Vars, names: &[&str]) -> Option<Duration> {
    vars.read(
        names,
        "a whole number of milliseconds above zero",
        |value| {
            let millis = value.parse().ok().filter(|millis| *millis > 0)?;
            Some(Duration::from_millis(millis))
        },
    )
}
