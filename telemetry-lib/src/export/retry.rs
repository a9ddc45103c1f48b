//! The OTLP specification's rules for answers: what is delivered, and what may be tried again. Pure: an
//! answer and the time go in, a verdict comes out. How long to wait then stands in `backoff`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::transport::AttemptError;

/// How much of a foreign text may stand in a notice, escapes included.
pub(super) const QUOTE_BYTES: usize = 120;

/// What came back from the collector for one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What an attempt means for its batch.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The collector has it, except for so many spans that it refused for good.
    Delivered { rejected: u64, message: String },
    /// The request is larger than the collector takes.
    TooLarge,
    /// It may succeed later, not before `after` if the collector said so.
    Again {
        after: Option<Duration>,
        why: Failure,
    },
    /// It can never succeed.
    GiveUp(Failure),
}

/// Why a batch was not delivered. No variant carries a header or more than a glimpse of a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the collector answered {0}")]
    Status(StatusCode),
    #[error("the collector answered {0}: check OTEL_EXPORTER_OTLP_HEADERS")]
    Unauthorized(StatusCode),
    #[error("the collector answered {0}: check the path of OTEL_EXPORTER_OTLP_ENDPOINT")]
    NoSuchPath(StatusCode),
    #[error(
        "the collector answered {0}, so it takes no gzip or no protobuf: check OTEL_EXPORTER_OTLP_COMPRESSION and whether the endpoint is one for OTLP over HTTP"
    )]
    MediaType(StatusCode),
    #[error(
        "the endpoint answered with a redirect ({0}), which is not followed: set OTEL_EXPORTER_OTLP_ENDPOINT to the final address"
    )]
    Redirect(StatusCode),
    #[error(
        "the endpoint answered {content_type}, not OTLP: is there a proxy in front of OTEL_EXPORTER_OTLP_ENDPOINT? it begins \"{begins}\""
    )]
    NotOtlp {
        content_type: String,
        begins: String,
    },
    #[error(
        "one span alone is larger than the collector takes: raise its limit or set OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    )]
    SpanTooLarge,
    #[error(transparent)]
    Attempt(#[from] AttemptError),
}

impl Answer {
    /// The value of a header that can be read as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Applies the specification to the end of one attempt; `now` is the calendar's time.
pub(crate) fn judge(attempt: Result<Answer, AttemptError>, now: SystemTime) -> Verdict {
    let answer = match attempt {
        Ok(answer) => answer,
        Err(error) if error.is_too_large() => return Verdict::TooLarge,
        Err(error) if error.may_pass() => {
            return Verdict::Again {
                after: error.after(),
                why: error.into(),
            };
        }
        Err(error) => return Verdict::GiveUp(error.into()),
    };
    let status = answer.status;
    if status.is_success() {
        return judge_success(&answer);
    }
    if status.is_redirection() {
        return Verdict::GiveUp(Failure::Redirect(status));
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Verdict::TooLarge,
        StatusCode::BAD_REQUEST if says_too_large(&answer.body) => Verdict::TooLarge,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Again {
            after: answer
                .header(&RETRY_AFTER)
                .and_then(|text| retry_after(text, now)),
            why: Failure::Status(status),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Verdict::GiveUp(Failure::Unauthorized(status))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Verdict::GiveUp(Failure::NoSuchPath(status))
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Verdict::GiveUp(Failure::MediaType(status)),
        _ => Verdict::GiveUp(Failure::Status(status)),
    }
}

/// A 2xx is a delivery only if an OTLP receiver sent it; a proxy's friendly page is not.
fn judge_success(answer: &Answer) -> Verdict {
    let content_type = answer.header(&CONTENT_TYPE).unwrap_or_default();
    // What follows a `;` is a parameter, and case means nothing.
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is = |wanted| kind.eq_ignore_ascii_case(wanted);
    if is("application/json") && (answer.body.is_empty() || is_otlp_json(&answer.body)) {
        return Verdict::Delivered {
            rejected: 0,
            message: String::new(),
        };
    }
    // A body that is empty needs no type: gateways before a Collector send neither.
    let is_foreign = !kind.is_empty() && !is("application/x-protobuf");
    match ExportTraceServiceResponse::decode(answer.body.clone()) {
        Ok(response) if !is_foreign => {
            let partial = response.partial_success.unwrap_or_default();
            Verdict::Delivered {
                rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
                message: glimpse(partial.error_message.as_bytes()),
            }
        }
        Ok(_) | Err(_) => Verdict::GiveUp(Failure::NotOtlp {
            content_type: glimpse(content_type.as_bytes()),
            begins: glimpse(&answer.body),
        }),
    }
}

/// A receiver that answers so has the spans; only its partial success stays unread. Other JSON is the
/// page of somebody in between.
fn is_otlp_json(body: &[u8]) -> bool {
    const PARTIAL: &[u8] = b"\"partialSuccess\"";
    let said = body.trim_ascii();
    said == b"{}" || said.windows(PARTIAL.len()).any(|it| it == PARTIAL)
}

/// The Collector does not answer 413: beyond its `max_request_body_size` it cannot read the request,
/// and says why in a status of OTLP.
fn says_too_large(body: &[u8]) -> bool {
    const SAID: &[u8] = b"request body too large";
    body.windows(SAID.len()).any(|it| it == SAID)
}

/// The header in either of its forms, seconds or a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The beginning of a foreign text as it may stand in a line between quotation marks: escaped where it
/// could end one of them or hide what follows.
pub(super) fn glimpse(bytes: &[u8]) -> String {
    // A character that this cuts begins where the quotation has ended: none is shorter as text.
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES + 3)]);
    let mut shown = String::new();
    for character in begin.chars() {
        let before = shown.len();
        match character {
            '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
        if shown.len() > QUOTE_BYTES {
            shown.truncate(before);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, content_type: &str, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        if let Some(after) = retry_after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body),
        }
    }

    #[track_caller]
    fn check(answer: Answer, expected: &str) {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").unwrap();
        let said = match judge(Ok(answer), now) {
            Verdict::Delivered { rejected, message } => format!("delivered -{rejected} {message}"),
            Verdict::TooLarge => "split".to_owned(),
            Verdict::Again { after, why } => format!("again {after:?}: {why}"),
            Verdict::GiveUp(why) => format!("never: {why}"),
        };
        assert_eq!(said.trim_end(), expected);
    }

    #[test]
    fn what_the_collector_cannot_read_to_its_end_is_too_large() {
        let kind = "application/x-protobuf";
        let body = b"\x08\x03\x12\x1chttp: request body too large";
        check(answer(400, None, kind, body), "split");
        let other = "never: the collector answered 400 Bad Request";
        check(answer(400, None, kind, b"\x08\x03\x12\x02no"), other);
    }

    #[test]
    fn what_an_otlp_receiver_took_is_delivered_and_a_page_is_not() {
        check(answer(200, None, "", b""), "delivered -0");
        check(answer(200, None, "application/json", b"{}"), "delivered -0");
        check(
            answer(202, None, "application/x-protobuf", b""),
            "delivered -0",
        );
        check(
            answer(
                200,
                None,
                "application/x-protobuf",
                b"\x0a\x06\x08\x03\x12\x02no",
            ),
            "delivered -3 no",
        );
        for kind in [
            "Application/X-Protobuf",
            "application/x-protobuf; charset=utf-8",
        ] {
            check(answer(200, None, kind, b"\x0a\x02\x08\x03"), "delivered -3");
        }
        let partial = b" {\"partialSuccess\": {\"rejectedSpans\": 1}}";
        check(
            answer(200, None, "application/json; charset=utf-8", partial),
            "delivered -0",
        );
        check(
            answer(
                200,
                None,
                "application/json",
                b"{\"error\":\"please sign in\"}",
            ),
            "never: the endpoint answered application/json, not OTLP: is there a proxy in front of \
             OTEL_EXPORTER_OTLP_ENDPOINT? it begins \"{\\\"error\\\":\\\"please sign in\\\"}\"",
        );
        for kind in [
            "text/html",
            "text/plain; charset=utf-8",
            "application/octet-stream",
        ] {
            let expected = format!(
                "never: the endpoint answered {kind}, not OTLP: is there a proxy in front of \
                 OTEL_EXPORTER_OTLP_ENDPOINT? it begins \"\""
            );
            check(answer(200, None, kind, b""), &expected);
        }
        check(answer(200, None, "application/json", b""), "delivered -0");
        check(
            answer(200, None, "text/html", b"<html>Sign in</html>"),
            "never: the endpoint answered text/html, not OTLP: is there a proxy in front of \
             OTEL_EXPORTER_OTLP_ENDPOINT? it begins \"<html>Sign in</html>\"",
        );
    }

    #[test]
    fn an_answer_is_judged_as_the_specification_says() {
        check(answer(413, None, "", b""), "split");
        check(
            answer(503, None, "", b""),
            "again None: the collector answered 503 Service Unavailable",
        );
        check(
            answer(429, Some("7"), "", b""),
            "again Some(7s): the collector answered 429 Too Many Requests",
        );
        check(
            answer(502, Some("Tue, 24 Nov 2026 10:00:05 GMT"), "", b""),
            "again Some(5s): the collector answered 502 Bad Gateway",
        );
        check(
            answer(504, Some("soon"), "", b""),
            "again None: the collector answered 504 Gateway Timeout",
        );
        check(
            answer(500, None, "", b""),
            "never: the collector answered 500 Internal Server Error",
        );
        check(
            answer(400, Some("7"), "", b""),
            "never: the collector answered 400 Bad Request",
        );
        check(
            answer(401, None, "", b""),
            "never: the collector answered 401 Unauthorized: check OTEL_EXPORTER_OTLP_HEADERS",
        );
        check(
            answer(404, None, "text/html", b"<html>"),
            "never: the collector answered 404 Not Found: check the path of OTEL_EXPORTER_OTLP_ENDPOINT",
        );
        check(
            answer(415, None, "", b""),
            "never: the collector answered 415 Unsupported Media Type, so it takes no gzip or no \
             protobuf: check OTEL_EXPORTER_OTLP_COMPRESSION and whether the endpoint is one for \
             OTLP over HTTP",
        );
        check(
            answer(307, None, "", b""),
            "never: the endpoint answered with a redirect (307 Temporary Redirect), which is not \
             followed: set OTEL_EXPORTER_OTLP_ENDPOINT to the final address",
        );
    }
}
