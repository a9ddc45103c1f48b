//! WeCom's codes in the engine's terms: the one table that says what waits, what is refused, and
//! what an operator must change.

use std::time::Duration;

use http::StatusCode;

use super::reply::{Trouble, caller_ip};
use crate::receiver::Failure;
use crate::receiver::http::HttpError;

/// How long a key or application is blocked after going over a limit by the minute.
pub(crate) const RATE_LIMIT: Duration = Duration::from_secs(60);
/// When a misconfigured destination is worth another try.
pub(crate) const PROBE: Duration = Duration::from_secs(15 * 60);
/// A code that no list explains is tried so often.
const UNKNOWN_ATTEMPTS: u32 = 3;

/// What a code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Busy: again in a moment.
    Busy,
    /// Too many calls at once: again in a few seconds.
    Concurrent,
    /// Over the rate limit: the message is lost unless it is sent again later.
    RateLimited,
    /// The token does not hold: get a new one and send once more.
    Token,
    /// Probably too long: send it in smaller pieces, never unchanged.
    TooLong,
    /// Nobody of the recipients can get it.
    Recipients,
    /// This message will never be accepted.
    Refused,
    /// Nothing will be accepted until somebody changes a setting; the text says which.
    Blocked(&'static str),
    /// No list explains it.
    Unknown,
}

/// A failure in the engine's terms, with what people and metrics need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) failure: Failure,
    /// Bounded, for metrics.
    pub(crate) reason: &'static str,
    pub(crate) code: Option<i64>,
    pub(crate) fix: Option<String>,
}

/// Looks up an `errcode` of a send.
pub(crate) fn classify(code: i64) -> Class {
    match code {
        -1 | 6000 => Class::Busy,
        45033 => Class::Concurrent,
        45009 => Class::RateLimited,
        40001 | 40014 | 42001 => Class::Token,
        40058 | 45002 => Class::TooLong,
        81013 | 40003 | 40031 | 43004 | 46004 | 60111 => Class::Recipients,
        40013 => Class::Blocked("correct corp_id"),
        40056 => Class::Blocked("correct agent_id: the number on the application's page"),
        301002 => Class::Blocked("use the secret and the agent_id of one and the same application"),
        50003 => Class::Blocked("enable the application in the admin console"),
        60020 => Class::Blocked(
            "add this address to the application's trusted IPs, or send through a proxy that has a \
             trusted one (proxy_url)",
        ),
        301007 => Class::Blocked("the corporation is dissolved or banned: use another receiver"),
        48002 | 50001 | 50002 | 60011 => Class::Blocked(
            "grant the application the right to this API and to these members in the admin console",
        ),
        86001 | 86003 | 86216 | 86217 => Class::Blocked("check the chat and its members"),
        93004 => Class::Blocked("enable the robot in its group"),
        93000..=93999 => Class::Blocked(
            "the robot was removed or the key is wrong: add the robot to the group again and put \
             its webhook URL into the config",
        ),
        40004..=40009
        | 40011
        | 40032
        | 40033
        | 40039
        | 40063
        | 41001
        | 42052
        | 44001
        | 44004
        | 45001
        | 45008
        | 60140
        | 82001..=82004
        | 301019 => Class::Refused,
        _ => Class::Unknown,
    }
}

impl Trouble {
    /// What the engine makes of it at this attempt (1 for the first).
    pub(crate) fn verdict(&self, attempt: u32) -> Verdict {
        let (failure, reason) = match self {
            Self::Code { code, errmsg } => return of_code(*code, errmsg, attempt),
            Self::NoToken { code, why } => return no_token(*code, why),
            Self::Status {
                status,
                retry_after,
            } => (of_status(*status, *retry_after), "http_status"),
            Self::NotWeCom(_) => (FAILED, "not_wecom"),
            Self::TokenLater(_) => (FAILED, "token"),
            Self::Http(error) => (of_http(error), error.reason()),
            Self::Held { wait, .. } => (Failure::Deferred { wait: *wait }, "rate_limited"),
        };
        let fix = (failure == BLOCKED).then_some("check api_url and proxy_url: this is not WeCom");
        Verdict {
            failure,
            reason,
            code: None,
            fix: fix.map(str::to_owned),
        }
    }
}

const FAILED: Failure = Failure::Failed { retry_after: None };
const BLOCKED: Failure = Failure::Blocked { probe_after: PROBE };

fn of_code(code: i64, errmsg: &str, attempt: u32) -> Verdict {
    let (failure, reason, fix) = match classify(code) {
        Class::Busy => (busy(attempt), "busy", None),
        Class::Concurrent => (FAILED, "concurrency", None),
        Class::RateLimited => (Failure::Deferred { wait: RATE_LIMIT }, "rate_limited", None),
        Class::Token => (
            BLOCKED,
            "auth",
            Some("check corp_id and secret: even a fresh token was refused".to_owned()),
        ),
        Class::TooLong => (Failure::Refused, "too_long", None),
        Class::Recipients => (
            Failure::Refused,
            "recipient",
            Some("correct the recipients, or let the application be visible to them".to_owned()),
        ),
        Class::Refused => (Failure::Refused, "refused", None),
        Class::Blocked(fix) => (BLOCKED, "config", Some(with_caller(code, errmsg, fix))),
        Class::Unknown if attempt < UNKNOWN_ATTEMPTS => (FAILED, "unknown_code", None),
        Class::Unknown => (Failure::Refused, "unknown_code", None),
    };
    Verdict {
        failure,
        reason,
        code: Some(code),
        fix,
    }
}

/// The vendor asks for at most three quick retries; afterwards the queue's own back-off holds.
fn busy(attempt: u32) -> Failure {
    let retry_after = match attempt {
        0 | 1 => Some(1),
        2 => Some(2),
        3 => Some(4),
        _ => None,
    };
    Failure::Failed {
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// 60020 is only of use with the address that WeCom saw.
fn with_caller(code: i64, errmsg: &str, fix: &str) -> String {
    match caller_ip(errmsg) {
        Some(ip) if code == 60020 => format!("WeCom saw {ip}: {fix}; it takes about a minute"),
        _ => fix.to_owned(),
    }
}

fn no_token(code: i64, why: &str) -> Verdict {
    let fix = match code {
        40001 => "correct the secret of the application",
        40013 => "correct corp_id",
        _ => match classify(code) {
            Class::Blocked(fix) => fix,
            Class::Busy
            | Class::Concurrent
            | Class::RateLimited
            | Class::Token
            | Class::TooLong
            | Class::Recipients
            | Class::Refused
            | Class::Unknown => "check corp_id and secret",
        },
    };
    Verdict {
        failure: BLOCKED,
        reason: "auth",
        code: Some(code),
        fix: Some(with_caller(code, why, fix)),
    }
}

/// WeCom answers 200 to everything: any other status is from something between us and it. What
/// says "not here" or "not you" will say so to every message.
fn of_status(status: StatusCode, retry_after: Option<Duration>) -> Failure {
    match status.as_u16() {
        408 | 429 | 500.. => Failure::Failed { retry_after },
        401 | 403 | 404 | 405 | 407 | 410 => BLOCKED,
        400.. => Failure::Refused,
        _ => FAILED,
    }
}

fn of_http(error: &HttpError) -> Failure {
    match error {
        HttpError::Connect { .. }
        | HttpError::Timeout { .. }
        | HttpError::Lost { .. }
        | HttpError::Redirect { .. }
        | HttpError::TooLong { .. } => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: i64) -> String {
        let errmsg = "reason, hint: [1], from ip: 203.0.113.7, more info".to_owned();
        let verdict = Trouble::Code { code, errmsg }.verdict(1);
        let failure = match verdict.failure {
            Failure::Failed { .. } => "failed",
            Failure::Refused => "refused",
            Failure::Deferred { .. } => "deferred",
            Failure::Blocked { .. } => "blocked",
        };
        assert_eq!(verdict.code, Some(code));
        format!("{failure} {}", verdict.reason)
    }

    #[test]
    fn each_code_has_one_class() {
        let table: [(&str, &[i64]); 9] = [
            ("failed busy", &[-1, 6000]),
            ("failed concurrency", &[45033]),
            ("deferred rate_limited", &[45009]),
            ("blocked auth", &[40001, 40014, 42001]),
            ("refused too_long", &[40058, 45002]),
            (
                "refused recipient",
                &[81013, 40003, 40031, 43004, 46004, 60111],
            ),
            (
                "blocked config",
                &[
                    40013, 40056, 48002, 50001, 50002, 50003, 60011, 60020, 86001, 93000, 93004,
                    93008, 93017, 301_002, 301_007,
                ],
            ),
            (
                "refused refused",
                &[
                    40004, 40008, 40033, 40063, 41001, 44001, 44004, 45008, 82001, 82004, 301_019,
                ],
            ),
            ("failed unknown_code", &[1, 12345, 99999]),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(check(*code), expected, "{code}");
            }
        }
    }

    #[test]
    fn whatever_blocks_says_what_to_change() {
        for code in (40000..46000)
            .chain(93000..93020)
            .chain([48002, 50003, 60020, 301_002])
        {
            let errmsg = String::new();
            let verdict = Trouble::Code { code, errmsg }.verdict(1);
            let blocks = matches!(verdict.failure, Failure::Blocked { .. });
            assert!(!blocks || verdict.fix.is_some(), "{code}");
        }
    }

    #[test]
    fn an_http_status_is_temporary_or_final() {
        let cases = [
            (500, true),
            (502, true),
            (429, true),
            (408, true),
            (413, false),
            (400, false),
        ];
        for (status, temporary) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let retry_after = Some(Duration::from_secs(5));
            let trouble = Trouble::Status {
                status,
                retry_after,
            };
            let failure = trouble.verdict(1).failure;
            assert_eq!(
                failure == Failure::Failed { retry_after },
                temporary,
                "{status}"
            );
            assert_eq!(failure == Failure::Refused, !temporary, "{status}");
        }
    }

    #[test]
    fn what_is_not_wecom_blocks_the_destination_with_what_to_check() {
        for status in [401, 403, 404, 405, 407, 410] {
            let status = StatusCode::from_u16(status).unwrap();
            let trouble = Trouble::Status {
                status,
                retry_after: None,
            };
            let verdict = trouble.verdict(1);
            assert_eq!(verdict.failure, BLOCKED);
            assert!(verdict.fix.unwrap().contains("api_url"));
        }
    }
}
