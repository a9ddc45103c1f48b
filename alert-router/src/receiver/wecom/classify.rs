//! WeCom's codes in the engine's terms: the one table that says what waits, what is refused, and
//! what an operator must change.

use std::time::Duration;

use http::StatusCode;

use super::reply::{Trouble, caller_ip};
use crate::receiver::Failure;
use crate::receiver::http::HttpError;
use crate::render::{Language, Phrase};

/// How long a key or application is blocked after going over a limit by the minute.
pub(crate) const RATE_LIMIT: Duration = Duration::from_secs(60);
/// When a misconfigured destination is worth another try.
pub(crate) const PROBE: Duration = Duration::from_secs(15 * 60);
/// A code that no list explains is tried so often.
const UNKNOWN_ATTEMPTS: u32 = 3;

/// What a code asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Busy: again, as after any failure.
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
    Blocked(Phrase),
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
    pub(crate) fix: Option<Phrase>,
}

/// The codes of one row of the table.
pub(super) enum Codes {
    These(&'static [i64]),
    Between(i64, i64),
}

/// What a code of the row asks for.
pub(super) struct Row(pub(super) Codes, pub(super) Class);

/// The first fitting row holds.
#[rustfmt::skip]
pub(super) static TABLE: [Row; 18] = [
    Row(Codes::These(&[-1, 6000]), Class::Busy),
    Row(Codes::These(&[45033]), Class::Concurrent),
    Row(Codes::These(&[45009]), Class::RateLimited),
    Row(Codes::These(&[40001, 40014, 42001]), Class::Token),
    Row(Codes::These(&[40058, 45002]), Class::TooLong),
    Row(Codes::These(&[81013, 40003, 40031, 43004, 46004, 60111]), Class::Recipients),
    Row(Codes::These(&[40013]), Class::Blocked(CORP_ID)),
    Row(Codes::These(&[40056]), Class::Blocked(Phrase::fixed(
        "correct agent_id: the number on the application's page",
        "请更正 agent_id：应用页面上的数字",
    ))),
    Row(Codes::These(&[301_002]), Class::Blocked(Phrase::fixed(
        "use the secret and the agent_id of one and the same application",
        "secret 和 agent_id 必须属于同一个应用",
    ))),
    Row(Codes::These(&[50003]), Class::Blocked(Phrase::fixed(
        "enable the application in the admin console",
        "请在管理后台启用该应用",
    ))),
    Row(Codes::These(&[60020]), Class::Blocked(Phrase::fixed(
        "add this address to the application's trusted IPs, or send through a proxy that has a \
         trusted one (proxy_url)",
        "请把该地址加入应用的企业可信 IP，或通过具有可信 IP 的代理发送（proxy_url）",
    ))),
    Row(Codes::These(&[301_007]), Class::Blocked(Phrase::fixed(
        "the corporation is dissolved or banned: use another receiver",
        "该企业已解散或被封禁：请使用其他接收方",
    ))),
    Row(Codes::These(&[48002, 50001, 50002, 60011]), Class::Blocked(Phrase::fixed(
        "grant the application the right to this API and to these members in the admin console",
        "请在管理后台授予该应用此接口的权限，并让这些成员在其可见范围内",
    ))),
    Row(Codes::These(&[86001, 86003, 86216, 86217]), Class::Blocked(Phrase::fixed(
        "check the chat and its members",
        "请检查群聊及其成员",
    ))),
    Row(Codes::These(&[93004]), Class::Blocked(Phrase::fixed(
        "enable the robot in its group",
        "请在群里启用该机器人",
    ))),
    Row(Codes::Between(93000, 93999), Class::Blocked(Phrase::fixed(
        "the robot was removed or the key is wrong: add the robot to the group again and put \
         its webhook URL into the config",
        "机器人已被移除或 key 有误：请在群里重新添加机器人，并把它的 webhook 地址写入配置",
    ))),
    Row(Codes::These(&[
        40004, 40005, 40006, 40007, 40008, 40009, 40011, 40032, 40033, 40039, 40063, 41001, 42052, 44001, 44004,
        45001, 45008, 60140, 82001, 82002, 82003, 82004, 301_019,
    ]), Class::Refused),
    Row(Codes::Between(i64::MIN, i64::MAX), Class::Unknown),
];

const CORP_ID: Phrase = Phrase::fixed("correct corp_id", "请更正 corp_id");

impl Codes {
    fn hold(&self, code: i64) -> bool {
        match self {
            Self::These(codes) => codes.contains(&code),
            Self::Between(first, last) => (*first..=*last).contains(&code),
        }
    }
}

/// Looks up an `errcode` of a send.
pub(crate) fn classify(code: i64) -> &'static Class {
    let row = TABLE.iter().find(|row| row.0.hold(code));
    row.map_or(&Class::Unknown, |row| &row.1)
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
        Verdict {
            failure,
            reason,
            code: None,
            fix: (failure == BLOCKED).then_some(NOT_WECOM),
        }
    }
}

const NOT_WECOM: Phrase = Phrase::fixed(
    "check api_url and proxy_url: this is not WeCom",
    "请检查 api_url 和 proxy_url：应答的不是企业微信",
);
const CREDENTIALS: Phrase = Phrase::fixed(
    "check corp_id and secret: even a fresh token was refused",
    "请检查 corp_id 和 secret：刚取得的 token 也被拒绝",
);
const RECIPIENTS: Phrase = Phrase::fixed(
    "correct the recipients, or let the application be visible to them",
    "请更正收件人，或让应用对他们可见",
);

const FAILED: Failure = Failure::Failed { retry_after: None };
const BLOCKED: Failure = Failure::Blocked { probe_after: PROBE };

fn of_code(code: i64, errmsg: &str, attempt: u32) -> Verdict {
    let (failure, reason, fix) = match classify(code) {
        Class::Busy => (FAILED, "busy", None),
        Class::Concurrent => (FAILED, "concurrency", None),
        Class::RateLimited => (Failure::Deferred { wait: RATE_LIMIT }, "rate_limited", None),
        Class::Token => (BLOCKED, "auth", Some(CREDENTIALS)),
        Class::TooLong => (Failure::Refused, "too_long", None),
        Class::Recipients => (Failure::Refused, "recipient", Some(RECIPIENTS)),
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

/// 60020 is only of use with the address that WeCom saw.
fn with_caller(code: i64, errmsg: &str, fix: &Phrase) -> Phrase {
    match caller_ip(errmsg) {
        Some(ip) if code == 60020 => Phrase::new(
            format!("WeCom saw {ip}: {fix}; it takes about a minute"),
            format!(
                "企业微信看到的来源 IP 是 {ip}：{}；约一分钟后生效",
                fix.in_language(Language::Chinese)
            ),
        ),
        _ => fix.clone(),
    }
}

fn no_token(code: i64, why: &str) -> Verdict {
    let fix = match (code, classify(code)) {
        (40001, _) => &SECRET,
        (_, Class::Blocked(fix)) => fix,
        (
            _,
            Class::Busy
            | Class::Concurrent
            | Class::RateLimited
            | Class::Token
            | Class::TooLong
            | Class::Recipients
            | Class::Refused
            | Class::Unknown,
        ) => &ACCOUNT,
    };
    Verdict {
        failure: BLOCKED,
        reason: "auth",
        code: Some(code),
        fix: Some(with_caller(code, why, fix)),
    }
}

static SECRET: Phrase = Phrase::fixed(
    "correct the secret of the application",
    "请更正应用的 secret",
);
static ACCOUNT: Phrase = Phrase::fixed("check corp_id and secret", "请检查 corp_id 和 secret");

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
            let chinese = verdict
                .fix
                .map(|fix| fix.in_language(Language::Chinese).to_owned());
            assert!(chinese.is_none_or(|fix| !fix.is_ascii()), "{code}");
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
            assert!(verdict.fix.unwrap().to_string().contains("api_url"));
        }
    }
}
