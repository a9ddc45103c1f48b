//! What WeCom answers, read once. Success is an HTTP 2xx whose body is a JSON object with `errcode`
//! 0; nothing else is, and `errmsg` decides nothing, because the vendor changes its wording.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::receiver::http::{Answer, HttpError};

/// The call was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The answer's words.
    pub(crate) errmsg: String,
    /// Users who do not exist or may not see the application (`invaliduser`).
    pub(crate) invalid_users: Vec<String>,
    /// Departments that it did not reach.
    pub(crate) invalid_parties: Vec<String>,
    /// Tags that it did not reach.
    pub(crate) invalid_tags: Vec<String>,
    /// Users without a licence for the interface.
    pub(crate) unlicensed_users: Vec<String>,
    /// `gettoken` only.
    pub(crate) token: Option<(String, Duration)>,
}

/// The call was not accepted, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// WeCom's own refusal.
    #[error("WeCom answered {code}: {errmsg}")]
    Code {
        /// `errcode`.
        code: i64,
        /// `errmsg`, with the hint that the vendor's support asks for.
        errmsg: String,
    },
    /// HTTP says no.
    #[error("HTTP status {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The provider's wish.
        retry_after: Option<Duration>,
    },
    /// A 2xx that is no answer of WeCom: a captive portal or a broken proxy. It may have arrived.
    #[error("HTTP status 200, but the body is no answer of WeCom ({0})")]
    NotWeCom(&'static str),
    /// No answer at all.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// We did not call, because an earlier answer told us to wait.
    #[error("waiting, because {why}")]
    Held {
        /// The earlier answer.
        why: &'static str,
        /// How long still.
        wait: Duration,
    },
    /// We did not call, because somebody just failed to get the token for all who wait.
    #[error("no token: {0}")]
    TokenLater(String),
    /// We did not call, because `gettoken` refused these credentials a moment ago.
    #[error("no token: {why}")]
    NoToken {
        /// The code of `gettoken`.
        code: i64,
        /// Its answer.
        why: String,
    },
}

/// Reads an answer.
pub(crate) fn read(answer: &Answer) -> Result<Accepted, Trouble> {
    if !answer.status.is_success() {
        return Err(Trouble::Status {
            status: answer.status,
            retry_after: answer.retry_after,
        });
    }
    let body = answer.body.strip_prefix("\u{feff}".as_bytes());
    let body = body.unwrap_or(&answer.body);
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Trouble::NotWeCom("it is not JSON"))?;
    let code = errcode(&body).ok_or(Trouble::NotWeCom("it has no errcode"))?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| split(&text(name));
    if code != 0 {
        let errmsg = text("errmsg");
        return Err(Trouble::Code { code, errmsg });
    }
    let token = text("access_token");
    let lasts = Duration::from_secs(body["expires_in"].as_u64().unwrap_or_default());
    Ok(Accepted {
        errmsg: text("errmsg"),
        invalid_users: list("invaliduser"),
        invalid_parties: list("invalidparty"),
        invalid_tags: list("invalidtag"),
        unlicensed_users: list("unlicenseduser"),
        token: (!token.is_empty()).then_some((token, lasts)),
    })
}

/// A number, or a number in quotes, as some proxies rewrite it.
fn errcode(body: &Value) -> Option<i64> {
    let code = body.get("errcode")?;
    code.as_i64().or_else(|| code.as_str()?.trim().parse().ok())
}

/// `a|b`, also with spaces around the bar, as in the vendor's samples.
fn split(list: &str) -> Vec<String> {
    let names = list.split('|').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The address in `errmsg` from which WeCom saw the call: the one to add to the trusted ones.
pub(crate) fn caller_ip(errmsg: &str) -> Option<&str> {
    let (_, rest) = errmsg.split_once("from ip:")?;
    let ip = rest.trim_start().split([',', ' ']).next()?;
    (!ip.is_empty()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str) -> String {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: body.as_bytes().to_vec(),
        };
        match read(&answer) {
            Ok(accepted) => format!("ok {:?}", accepted.invalid_users),
            Err(trouble) => trouble.to_string(),
        }
    }

    #[test]
    fn only_a_json_object_with_errcode_zero_is_success() {
        let cases = [
            (200, r#"{"errcode":0,"errmsg":"ok"}"#, "ok []"),
            (
                200,
                r#"{"errmsg":"ok. Warning: wrong json format. ","errcode":0}"#,
                "ok []",
            ),
            (200, "\u{feff}{\"errcode\":0}", "ok []"),
            (200, r#"{"errcode":"0"}"#, "ok []"),
            (
                200,
                r#"{"errcode":0,"invaliduser":"a | b|"}"#,
                r#"ok ["a", "b"]"#,
            ),
            (
                200,
                r#"{"errcode":93000,"errmsg":"ok"}"#,
                "WeCom answered 93000: ok",
            ),
            (
                200,
                r#"{"errmsg":"ok"}"#,
                "HTTP status 200, but the body is no answer of WeCom (it has no errcode)",
            ),
            (
                200,
                r#"{"errcode":null}"#,
                "HTTP status 200, but the body is no answer of WeCom (it has no errcode)",
            ),
            (
                200,
                r#"{"errcode":0.5}"#,
                "HTTP status 200, but the body is no answer of WeCom (it has no errcode)",
            ),
            (
                200,
                "[0]",
                "HTTP status 200, but the body is no answer of WeCom (it has no errcode)",
            ),
            (
                200,
                "",
                "HTTP status 200, but the body is no answer of WeCom (it is not JSON)",
            ),
            (
                200,
                r#"{"errcode":0,"errm"#,
                "HTTP status 200, but the body is no answer of WeCom (it is not JSON)",
            ),
            (
                200,
                "<html>login</html>",
                "HTTP status 200, but the body is no answer of WeCom (it is not JSON)",
            ),
            (502, r#"{"errcode":0}"#, "HTTP status 502 Bad Gateway"),
        ];
        for (status, body, expected) in cases {
            assert_eq!(check(status, body), expected, "{body}");
        }
    }

    #[test]
    fn the_caller_ip_is_found_in_the_message() {
        let errmsg = "not allow to access from your ip, hint: [17], from ip: 203.0.113.7, more";
        assert_eq!(caller_ip(errmsg), Some("203.0.113.7"));
        assert_eq!(caller_ip("from ip: "), None);
        assert_eq!(caller_ip("other words"), None);
    }
}
