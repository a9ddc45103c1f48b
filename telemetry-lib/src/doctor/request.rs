//! The last step: an export without spans, sent by the exporter's own client and judged by its own
//! rules, and what its answer says about the path, the credentials, the protocol and the clocks.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{DATE, LOCATION};
use tokio::runtime::Runtime;

use super::protocol::{speaks_http2, speaks_tls};
use super::{Diagnosis, Way};
use crate::clock::{self, Moment};
use crate::config::Protocol;
use crate::export::{Answer, AttemptError, Failure, Verdict, empty_request, judge, transport};

const STEP: &str = "request";
/// A `Date` has whole seconds; beyond this, spans stand visibly beside those of other machines.
const MAX_SKEW: Duration = Duration::from_secs(5);

pub(super) fn check(way: &Way<'_>, address: SocketAddr, runtime: &Runtime, found: &mut Diagnosis) {
    let began = Moment::now();
    let attempt = runtime.block_on(send(way));
    let took = began.elapsed();
    let answer = attempt.as_ref().ok().cloned();
    match judge(attempt, took.end) {
        Verdict::Delivered { .. } => found.good(STEP, "the Collector takes traces"),
        Verdict::TooLarge => found.problem(
            STEP,
            "413 to an empty export",
            "raise the limit of the proxy in front of the Collector",
        ),
        Verdict::Again { why, .. } | Verdict::GiveUp(why) => {
            let (what, fix) = explain(way, address, &why, answer.as_ref());
            found.problem(STEP, what, fix);
        }
    }
    if let Some(answer) = &answer {
        clocks(answer, took.duration, found);
    }
}

async fn send(way: &Way<'_>) -> Result<Answer, AttemptError> {
    let network = transport(way.settings, &way.exporter.endpoint)
        .map_err(|error| AttemptError::Unreachable(error.to_string()))?;
    let answer = network.send(empty_request(way.settings)?);
    tokio::time::timeout(way.limit, answer)
        .await
        .unwrap_or(Err(AttemptError::Timeout))
}

fn explain(
    way: &Way<'_>,
    address: SocketAddr,
    why: &Failure,
    answer: Option<&Answer>,
) -> (String, String) {
    let (setting, path) = (way.setting(), way.exporter.endpoint.path());
    match why {
        Failure::Unauthorized(status) => (
            format!("{status}; {}", credentials(way)),
            "set the token that the Collector wants in OTEL_EXPORTER_OTLP_HEADERS".to_owned(),
        ),
        Failure::NoSuchPath(status) => (
            format!("{status}: nothing takes traces at {path}"),
            format!("the usual path is /v1/traces on port 4318; correct {setting}"),
        ),
        Failure::Redirect(status) => (
            format!("{status}{}: redirects are not followed", target(answer)),
            format!("set {setting} to the final address"),
        ),
        Failure::MediaType(status) => (
            format!("{status}: it takes no protobuf{}", gzip(way)),
            "use an OTLP receiver over HTTP with protobuf; unset OTEL_EXPORTER_OTLP_COMPRESSION if it takes no gzip".to_owned(),
        ),
        Failure::NotOtlp { content_type, .. } => (
            format!("a success with {content_type}, which no Collector sends: a proxy or a login page"),
            format!("go past the proxy, or correct {setting}"),
        ),
        Failure::Status(status) => by_status(way, address, *status),
        Failure::SpanTooLarge => ("413 to an empty export".to_owned(), "raise the limit of the proxy".to_owned()),
        Failure::Attempt(error) => unanswered(way, address, error),
    }
}

/// Which headers are sent, by name: their values are secrets.
fn credentials(way: &Way<'_>) -> String {
    let names: Vec<&str> = way
        .settings
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    match names[..] {
        [] => "no header is configured".to_owned(),
        _ => format!("the headers {} are sent", names.join(", ")),
    }
}

fn gzip(way: &Way<'_>) -> &'static str {
    match way.settings.gzip {
        true => " or no gzip",
        false => "",
    }
}

/// Where a redirect leads, without what may be a secret in it.
fn target(answer: Option<&Answer>) -> String {
    let location = answer.and_then(|answer| answer.header(&LOCATION));
    let shown = location.and_then(|text| {
        let uri: http::Uri = text.parse().ok()?;
        let host = uri.host().unwrap_or_default();
        let port = uri
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let scheme = uri
            .scheme_str()
            .map(|it| format!("{it}://"))
            .unwrap_or_default();
        Some(format!(" to {scheme}{host}{port}{}", uri.path()))
    });
    shown.unwrap_or_default()
}

fn by_status(way: &Way<'_>, address: SocketAddr, status: StatusCode) -> (String, String) {
    if !way.is_https() && status == StatusCode::BAD_REQUEST && speaks_tls(way, address) {
        return wants_tls(way);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return (
            format!("{status}: the Collector is there and cannot take anything now"),
            "look at its own logs and queue; exports are tried again for a minute".to_owned(),
        );
    }
    (
        format!("{status} to an empty export"),
        format!("is {} an OTLP receiver over HTTP?", way.setting()),
    )
}

/// No answer in HTTP/1: the port may speak something else.
fn unanswered(way: &Way<'_>, address: SocketAddr, error: &AttemptError) -> (String, String) {
    if matches!(error, AttemptError::ClientCertificate) {
        return (
            "the peer refuses us without a client certificate that it knows".to_owned(),
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
                .to_owned(),
        );
    }
    if !way.is_https() && speaks_tls(way, address) {
        return wants_tls(way);
    }
    if way.exporter.protocol == Protocol::Grpc {
        return (
            error.to_string(),
            format!(
                "OTLP over gRPC has a port of its own, usually 4317; check {} and \
                 OTEL_EXPORTER_OTLP_HEADERS",
                way.setting()
            ),
        );
    }
    if speaks_http2(way, address) {
        return (
            format!(
                "port {} looks like a gRPC port: it speaks HTTP/2 only",
                way.port()
            ),
            format!(
                "OTLP over HTTP has a port of its own, usually 4318; correct {}",
                way.setting()
            ),
        );
    }
    (
        error.to_string(),
        format!(
            "is {} an OTLP receiver over HTTP? look at its log",
            way.setting()
        ),
    )
}

fn wants_tls(way: &Way<'_>) -> (String, String) {
    (
        format!("port {} speaks TLS", way.port()),
        format!("write https:// in {}", way.setting()),
    )
}

/// Compares the answer's `Date` with our clock; the time that the answer took excuses so much.
fn clocks(answer: &Answer, took: Duration, found: &mut Diagnosis) {
    let date = answer.header(&DATE);
    if let Some(theirs) = date.and_then(|text| httpdate::parse_http_date(text).ok()) {
        compare(clock::wall(), theirs, took, found);
    }
}

fn compare(ours: SystemTime, theirs: SystemTime, took: Duration, found: &mut Diagnosis) {
    let (difference, word) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if difference <= MAX_SKEW + took {
        found.good("clock", "as the Collector's");
    } else {
        found.warning(
            "clock",
            format!(
                "{} s {word} the Collector's: spans will stand at the wrong place",
                difference.as_secs()
            ),
            "let NTP or chrony set the clocks of both machines",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_with_their_direction() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let said = |ours: i64| {
            let mut found = Diagnosis::default();
            let ours = match u64::try_from(ours) {
                Ok(ahead) => noon + Duration::from_secs(ahead),
                Err(_) => noon - Duration::from_secs(ours.unsigned_abs()),
            };
            compare(ours, noon, Duration::from_secs(1), &mut found);
            found.findings()[0].what.clone()
        };
        assert_eq!(said(6), "as the Collector's");
        assert_eq!(said(-6), "as the Collector's");
        assert!(said(90).starts_with("90 s ahead of the Collector's"));
        assert!(said(-7).starts_with("7 s behind the Collector's"));
    }
}
