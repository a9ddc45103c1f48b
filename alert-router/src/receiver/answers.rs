//! `ANSWERS.md`: what each answer of a provider does here, written from the tables and functions that
//! decide it. Only the sentences around the tables, and what WeCom's codes do "at first", stand here and
//! beside the receivers as text.

use std::time::Duration;

use super::{Failure, SendError, email, webhook, wecom};

const HEAD: &str = "# What a provider's answer does

Written by a test from the tables in the code; what a person should do stands in the log, in the test
message's answer, in the dead letter and in the operators' alert.

| here | what happens |
| --- | --- |
| retried | after 10 s, doubling to 5 min, or later if the provider says so (at most 1 h); after 30 attempts a dead letter |
| waits | nothing left, no attempt is counted; the same message leaves later |
| given up | a dead letter, and an alert for the operators; the same content is not tried before the next reminder |
| blocked | nobody gets through until somebody changes something: the destination's circuit opens, the operators are told, nothing is lost, and one message tries every 15 min |
| recipient dropped | the others have it; the operators are told who was refused, and why |

";

fn document() -> String {
    let pages = [
        wecom::document::page(),
        email::document::page(),
        webhook::document::page(),
    ];
    HEAD.to_owned() + &pages.join("\n")
}

/// What becomes of the delivery, in the words of the page's first table.
pub(super) fn does(failure: Failure) -> String {
    match failure {
        Failure::Failed { retry_after: None } => "retried".to_owned(),
        Failure::Failed {
            retry_after: Some(wait),
        } => format!("retried, not before {}", words(wait)),
        Failure::Refused => "given up".to_owned(),
        Failure::Deferred { wait } => format!("waits {}", words(wait)),
        Failure::Blocked { .. } => "blocked".to_owned(),
    }
}

/// Two columns: what becomes of the delivery, and what to do.
pub(super) fn columns(error: &SendError) -> String {
    let fix = error.fix.as_ref().map(ToString::to_string);
    format!("{} | {}", does(error.failure), fix.unwrap_or_default())
}

pub(super) fn words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        3600 => "1 h".to_owned(),
        seconds => format!("{} min", seconds / 60),
    }
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ANSWERS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        committed,
        document(),
        "run UPDATE_DOCS=1 cargo test -p alert-router --lib answers"
    );
}
