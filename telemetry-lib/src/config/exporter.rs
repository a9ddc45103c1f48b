//! The way to the Collector: `OTEL_EXPORTER_OTLP_*` and `OTEL_BSP_*`, the variables for
//! traces before the general ones.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};

use super::endpoint::{Origin, read_endpoint, shown_endpoint};
use super::vars::{Vars, pairs};

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
    let words = [("gzip", true), ("none", false)];
    vars.word(&COMPRESSION, "gzip or none", &words)
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
