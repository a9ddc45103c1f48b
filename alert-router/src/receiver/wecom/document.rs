//! WeCom's codes for `ANSWERS.md`.

use http::StatusCode;

use super::classify::{Class, Codes, TABLE};
use super::reply::Trouble;
use crate::receiver::answers::does;

pub(in crate::receiver) fn page() -> String {
    let mut page = "## WeCom\n\n\
        Whoever stands in `invaliduser`, `invalidparty`, `invalidtag` or `unlicenseduser` of an accepted \
        message is a recipient dropped.\n\n\
        | errcode | at first | then | to do |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for row in &TABLE {
        let (name, code) = name(&row.0);
        let errmsg = String::new();
        let verdict = Trouble::Code { code, errmsg }.verdict(1);
        let fix = verdict.fix.map(|fix| fix.to_string()).unwrap_or_default();
        let (first, then) = (first(&row.1), does(verdict.failure));
        page += &format!("| {name} | {first} | {then} | {fix} |\n");
    }
    for (name, status) in STATUSES {
        let trouble = Trouble::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
        };
        let verdict = trouble.verdict(1);
        let fix = verdict.fix.map(|fix| fix.to_string()).unwrap_or_default();
        page += &format!("| HTTP {name} | | {} | {fix} |\n", does(verdict.failure));
    }
    page
}

/// WeCom answers 200 to everything.
const STATUSES: [(&str, u16); 3] = [
    ("401, 403, 404, 405, 407, 410", 401),
    ("408, 429, 5xx", 503),
    ("other 4xx", 400),
];

/// What is done before anything becomes of the delivery.
fn first(class: &Class) -> &'static str {
    match class {
        Class::RateLimited => {
            "all messages of the robot or application wait, up to 1 h if it goes on"
        }
        Class::Token => "a new token, and once more",
        Class::TooLong => "once in halves",
        Class::Unknown => "given up at the third attempt",
        Class::Busy
        | Class::Concurrent
        | Class::Recipients
        | Class::Refused
        | Class::Blocked(_) => "",
    }
}

/// The codes as people read them, and one of them.
fn name(codes: &Codes) -> (String, i64) {
    match codes {
        Codes::These(codes) => {
            let names: Vec<String> = codes.iter().map(i64::to_string).collect();
            (names.join(", "), codes[0])
        }
        Codes::Between(i64::MIN, _) => ("any other".to_owned(), 1),
        Codes::Between(first, last) => (format!("other {first} to {last}"), *first),
    }
}
