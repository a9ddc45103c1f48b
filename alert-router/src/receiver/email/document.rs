//! Replies of mail servers for `ANSWERS.md`.

use super::classify::{EXCEPTIONS, PATIENT, Step};
use super::outcome::refusal;
use super::reply::Reply;
use crate::receiver::answers::{columns, does, words};

/// A server that no row names.
const ANY: &str = "mail.example.com";

/// Where, which reply, and a text that has what the rule looks for.
const GENERAL: [(Step, &str, u16, &str); 23] = [
    (Step::Greeting, "4yz", 421, ""),
    (Step::Greeting, "5yz", 554, ""),
    (Step::StartTls, "4yz", 454, ""),
    (Step::StartTls, "5yz", 502, ""),
    (Step::Auth, "4yz", 454, ""),
    (Step::Auth, "534", 534, ""),
    (Step::Auth, "5yz with 5.7.30", 550, "5.7.30"),
    (Step::Auth, "other 5yz", 535, ""),
    (Step::Mail, "4yz", 451, ""),
    (Step::Mail, "530", 530, ""),
    (Step::Mail, "552, or 5yz with 5.3.4", 552, ""),
    (Step::Mail, "other 5yz", 550, ""),
    (
        Step::Rcpt,
        "452 or 552 with 4.5.3, 5.5.3, \"too many recipients\"",
        452,
        "4.5.3",
    ),
    (
        Step::Rcpt,
        "4yz with \"greylist\" or 4.7.1",
        451,
        "greylisted",
    ),
    (Step::Rcpt, "other 4yz", 450, ""),
    (Step::Rcpt, "530", 530, ""),
    (Step::Rcpt, "5yz with 5.7.…", 554, "5.7.1"),
    (Step::Rcpt, "other 5yz", 550, ""),
    (Step::Data, "4yz", 451, ""),
    (Step::Data, "5yz", 554, ""),
    (Step::Dot, "4yz", 451, ""),
    (Step::Dot, "552, or 5yz with 5.3.4", 552, ""),
    (Step::Dot, "other 5yz", 554, ""),
];

pub(in crate::receiver) fn page() -> String {
    let mut page = "## Mail servers\n\n\
        The first digit decides, and the step at which it came. A recipient who is refused at RCPT TO is \
        dropped if others of the mail are taken; too many at once go in the next transaction. No answer \
        after the final dot: the same bytes again after 1 min.\n\n\
        | at | reply | what happens | to do |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for (step, name, code, text) in GENERAL {
        page += &format!(
            "| {} | {name} | {} |\n",
            at(step),
            row(ANY, step, code, text)
        );
    }
    page += "\nThese providers mean something else, wherever it comes:\n\n\
        | relay | reply | says | what happens |\n| --- | --- | --- | --- |\n";
    for row in &EXCEPTIONS {
        let (host, code, says) = (row.host, row.code, row.says);
        let does = does(refusal(host, Step::Dot, &reply(code, says)).failure);
        page += &format!("| {host} | {code} | {says} | {does} |\n");
    }
    page += "\nAfter a 4yz they are not tried again sooner than: ";
    let patient = PATIENT.map(|(host, wait)| format!("{host} {}", words(wait)));
    page + &patient.join(", ") + ".\n"
}

fn row(host: &str, step: Step, code: u16, text: &str) -> String {
    columns(&refusal(host, step, &reply(code, text)))
}

fn reply(code: u16, text: &str) -> Reply {
    Reply {
        code,
        text: text.to_owned(),
    }
}

fn at(step: Step) -> &'static str {
    match step {
        Step::Connect => "connecting",
        Step::Tls => "TLS",
        Step::Greeting => "greeting, EHLO",
        Step::StartTls => "STARTTLS",
        Step::Auth => "AUTH",
        Step::Mail => "MAIL FROM",
        Step::Rcpt => "RCPT TO",
        Step::Data => "DATA",
        Step::Text => "the text",
        Step::Dot => "the final dot",
    }
}

/// No provider can hold us up for longer than an hour.
#[test]
fn every_wait_of_the_tables_is_bounded() {
    use crate::receiver::Failure;
    for row in &EXCEPTIONS {
        let wait = match refusal(row.host, Step::Dot, &reply(row.code, row.says)).failure {
            Failure::Failed { retry_after } => retry_after.unwrap_or_default(),
            Failure::Deferred { wait } => wait,
            Failure::Blocked { probe_after } => probe_after,
            Failure::Refused => continue,
        };
        assert!(wait.as_secs() <= 3600, "{} {}", row.host, row.code);
    }
}
