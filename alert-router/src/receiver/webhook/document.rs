//! HTTP statuses for `ANSWERS.md`.

use super::*;
use crate::receiver::answers::columns;

const STATUSES: [(&str, u16); 8] = [
    ("301, 302, 303, 307, 308", 301),
    ("400 and other 4xx", 400),
    ("401, 403", 401),
    ("407", 407),
    ("408", 408),
    ("425", 425),
    ("429", 429),
    ("5xx", 503),
];

pub(in crate::receiver) fn page() -> String {
    let mut page = "## Webhooks\n\n\
        Only the status counts. `Retry-After` (seconds, or a date by the server's own clock) is kept to, up \
        to 1 h. No connection, no answer in time, or a broken one: retried.\n\n\
        | status | what happens | to do |\n| --- | --- | --- |\n"
        .to_owned();
    for (name, status) in STATUSES {
        page += &format!("| {name} | {} |\n", columns(&error(status)));
    }
    page
}

fn error(status: u16) -> SendError {
    let status = StatusCode::from_u16(status).unwrap();
    if status.is_redirection() {
        let host = String::new();
        return unanswered(&HttpError::Redirect { host, status });
    }
    let (failure, reason, fix) = classify(status, None);
    SendError {
        failure,
        reason,
        code: None,
        answer: String::new(),
        fix,
        progress: Progress::new(),
    }
}
