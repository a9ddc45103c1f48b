//! How the handing in of a mail ended, in the terms of the seam: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::classify::{Meaning, Step, TOO_LARGE, fix, meaning};
use super::reply::Reply;
use super::smtp::Trouble;
use crate::receiver::{Failure, Progress, Receipt, RefusedRecipient, SendError, tls};
use crate::render::Phrase;

/// How long nobody tries a config that was refused: providers lock accounts that do.
pub(super) const PROBE: Duration = Duration::from_secs(15 * 60);

/// After the loss of the final answer, time for the server to finish what it may have begun.
const SETTLE: Duration = Duration::from_secs(60);

/// What became of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server has taken the mail, in these words.
    Taken(String),
    /// It has not, or nobody knows.
    Not(SendError),
}

/// What became of all of them, by address.
pub(super) type Fates = BTreeMap<String, Fate>;

/// The outcome of a delivery for the seam: who has it is never asked again, who was refused for
/// good is remembered until the others are through.
#[expect(clippy::result_large_err, reason = "it is the seam's error")]
pub(super) fn conclude(
    part: &str,
    earlier: &Progress,
    fates: &Fates,
) -> Result<Receipt, SendError> {
    let mut progress = earlier.clone();
    let mut answer = None;
    let mut refusals = Vec::new();
    let mut open = Vec::new();
    for (recipient, fate) in fates {
        match fate {
            Fate::Taken(words) => {
                answer = Some(words.clone());
                progress.insert(format!("{part}/{recipient}"));
            }
            Fate::Not(error) if error.failure == Failure::Refused => {
                refusals.push((recipient, error))
            }
            Fate::Not(error) => open.push(error),
        }
    }
    let is_taken = progress
        .iter()
        .any(|mark| mark == part || mark.starts_with(&format!("{part}/")));
    if let (true, false, Some((_, first))) = (open.is_empty(), is_taken, refusals.first()) {
        return Err((*first).clone());
    }
    progress.extend(
        refusals
            .iter()
            .map(|(to, error)| mark_refused(part, to, &error.answer)),
    );
    match open.into_iter().max_by_key(|error| urgency(error.failure)) {
        Some(error) => Err(SendError {
            progress,
            ..error.clone()
        }),
        None => Ok(Receipt {
            answer: answer.unwrap_or_else(|| "taken at an earlier attempt".to_owned()),
            refused: refused_in(part, &progress),
            memory: None,
        }),
    }
}

/// Whether an earlier attempt has settled the recipient, one way or the other.
pub(super) fn is_settled(part: &str, recipient: &str, progress: &Progress) -> bool {
    let refused = format!("refused:{part}/{recipient}:");
    progress.contains(part)
        || progress.contains(&format!("{part}/{recipient}"))
        || progress
            .range(refused.clone()..)
            .next()
            .is_some_and(|mark| mark.starts_with(&refused))
}

/// Remembers a refusal among the progress, so that no retry repeats it and the receipt tells it.
fn mark_refused(part: &str, recipient: &str, reason: &str) -> String {
    let reason = &reason[..reason.floor_char_boundary(200)];
    format!("refused:{part}/{recipient}:{reason}")
}

fn refused_in(part: &str, progress: &Progress) -> Vec<RefusedRecipient> {
    let prefix = format!("refused:{part}/");
    let marks = progress
        .iter()
        .filter_map(|mark| mark.strip_prefix(&prefix)?.split_once(':'));
    let refused = |(recipient, reason): (&str, &str)| RefusedRecipient {
        recipient: recipient.to_owned(),
        reason: reason.to_owned(),
    };
    marks.map(refused).collect()
}

/// Of several failures the one to report: what may have arrived, then what needs a person.
fn urgency(failure: Failure) -> (u8, Duration) {
    match failure {
        Failure::Failed { retry_after } => (3, retry_after.unwrap_or_default()),
        Failure::Blocked { probe_after } => (2, probe_after),
        Failure::Deferred { wait } => (1, wait),
        Failure::Refused => (0, Duration::ZERO),
    }
}

/// A refusal in the seam's terms.
pub(super) fn refusal(host: &str, step: Step, reply: &Reply) -> SendError {
    let means = meaning(host, step, reply);
    let (failure, reason) = match means {
        Meaning::Later { wait } => (Failure::Failed { retry_after: wait }, "temporary"),
        // A server that takes not even one recipient at once has no meaning of its own.
        Meaning::TooMany | Meaning::Accepted => {
            (Failure::Failed { retry_after: None }, "temporary")
        }
        Meaning::Limited { wait } => (Failure::Deferred { wait }, "rate_limited"),
        Meaning::Never if step == Step::Rcpt => (Failure::Refused, "recipient"),
        Meaning::Never => (Failure::Refused, "content"),
        Meaning::TooLarge => (Failure::Refused, "too_large"),
        Meaning::Config if step == Step::Auth => (Failure::Blocked { probe_after: PROBE }, "auth"),
        Meaning::Config => (Failure::Blocked { probe_after: PROBE }, "config"),
    };
    SendError {
        failure,
        reason,
        code: Some(reply.code.to_string()),
        answer: reply.words(),
        fix: fix(step, means, reply),
        progress: Progress::new(),
    }
}

/// The end of a session in the seam's terms.
pub(super) fn trouble_error(host: &str, trouble: Trouble) -> SendError {
    match trouble {
        Trouble::Refused { step, reply } => refusal(host, step, &reply),
        Trouble::Lost {
            step: Step::Dot,
            why,
        } => ambiguous(&format!("the connection failed: {why}")),
        Trouble::Late { step: Step::Dot } => ambiguous("no answer came"),
        Trouble::Lost { step, why } => {
            let answer = format!("the connection to {host} failed {}: {why}", at(step));
            failed("connection", &answer, None)
        }
        Trouble::Late { step } => failed(
            "timeout",
            &format!("{host} gave no answer {}", at(step)),
            None,
        ),
        Trouble::TooLarge { most } => SendError {
            failure: Failure::Refused,
            fix: Some(TOO_LARGE),
            ..failed(
                "too_large",
                &format!("{host} takes mails of at most {most} bytes"),
                None,
            )
        },
        Trouble::Certificate { why } => blocked(
            "certificate",
            format!("{host} has no valid certificate: {why}"),
            tls::RENEW,
        ),
        Trouble::NoStartTls => blocked(
            "no_tls",
            format!("{host} offers no STARTTLS, nothing was sent"),
            Phrase::fixed(
                "use port 465, or set require_tls: false if the way is safe",
                "请使用 465 端口；若链路安全，也可设置 require_tls: false",
            ),
        ),
        Trouble::NoMechanism { wanted } => blocked(
            "auth",
            format!("{host} offers {wanted}, no credentials were sent"),
            Phrase::fixed(
                "remove auth_username, or use the relay's port for submission",
                "请去掉 auth_username，或使用中继服务器的提交端口",
            ),
        ),
        Trouble::Unprotected => blocked(
            "no_tls",
            format!("the way to {host} is not protected, no credentials were sent"),
            Phrase::fixed("remove require_tls: false", "请去掉 require_tls: false"),
        ),
    }
}

/// Nobody knows whether the mail arrived. The same bytes again are the best answer: most providers
/// drop the second mail of one Message-ID.
fn ambiguous(what: &str) -> SendError {
    let answer = format!("the whole mail was sent, it may have arrived, but {what}");
    failed("ambiguous", &answer, Some(SETTLE))
}

/// Nothing gets through until somebody changes something.
fn blocked(reason: &'static str, answer: String, fix: Phrase) -> SendError {
    SendError {
        failure: Failure::Blocked { probe_after: PROBE },
        fix: Some(fix),
        ..failed(reason, &answer, None)
    }
}

/// A failure after which trying again makes sense.
pub(super) fn failed(
    reason: &'static str,
    answer: &str,
    retry_after: Option<Duration>,
) -> SendError {
    SendError {
        failure: Failure::Failed { retry_after },
        reason,
        code: None,
        answer: answer.to_owned(),
        fix: None,
        progress: Progress::new(),
    }
}

fn at(step: Step) -> &'static str {
    match step {
        Step::Connect => "when connecting",
        Step::Tls => "in the TLS handshake",
        Step::Greeting => "to the greeting",
        Step::StartTls => "to STARTTLS",
        Step::Auth => "to AUTH",
        Step::Mail => "to MAIL FROM",
        Step::Rcpt => "to RCPT TO",
        Step::Data => "to DATA",
        Step::Text => "while the text was sent",
        Step::Dot => "after the final dot",
    }
}
