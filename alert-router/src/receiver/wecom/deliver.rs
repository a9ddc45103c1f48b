//! Sends the parts of one delivery in order, remembers what got through, and turns what went wrong
//! into the engine's terms. The robot and the application differ only in how one body is posted.

use std::time::Duration;

use bytes::Bytes;

use super::classify::{Class, classify};
use super::halves::halves;
use super::reply::{Accepted, Trouble};
use crate::receiver::redact::Redaction;
use crate::receiver::{Delivery, Failure, Part, Progress, Receipt, RefusedRecipient, SendError};

/// Posts one body to WeCom.
pub(crate) trait Post {
    /// Posts it once; whether again is the caller's question.
    fn post(&self, body: Bytes) -> impl Future<Output = Result<Accepted, Trouble>> + Send;
}

/// Sends what `delivery.progress` does not hold, within `deadline`.
pub(crate) async fn deliver<P: Post + Sync>(
    provider: &P,
    delivery: &Delivery,
    deadline: Duration,
    redaction: &Redaction,
) -> Result<Receipt, SendError> {
    let mut so_far = SoFar {
        progress: delivery.progress.clone(),
        receipt: Receipt::default(),
    };
    let sending = so_far.parts(provider, &delivery.parts, redaction);
    let failed = match tokio::time::timeout(deadline, sending).await {
        Ok(Ok(())) => return Ok(so_far.receipt),
        Ok(Err(trouble)) => failed(&trouble, delivery.attempt, redaction),
        Err(_) => late(deadline),
    };
    Err(SendError {
        progress: so_far.progress,
        ..failed
    })
}

/// What is sure, even if the rest is cut off by the deadline.
struct SoFar {
    progress: Progress,
    receipt: Receipt,
}

impl SoFar {
    async fn parts<P: Post + Sync>(
        &mut self,
        provider: &P,
        parts: &[Part],
        redaction: &Redaction,
    ) -> Result<(), Trouble> {
        for part in parts {
            if self.progress.contains(&part.id) {
                continue;
            }
            self.part(provider, part, redaction).await?;
            self.progress.insert(part.id.clone());
        }
        Ok(())
    }

    /// A part that is too long after all goes out in two halves, also at the next attempt: it is
    /// never sent unchanged again.
    async fn part<P: Post + Sync>(
        &mut self,
        provider: &P,
        part: &Part,
        redaction: &Redaction,
    ) -> Result<(), Trouble> {
        let halved = format!("{}/halved", part.id);
        if !self.progress.contains(&halved) {
            match provider.post(part.body.clone()).await {
                Ok(accepted) => {
                    self.note(accepted, redaction);
                    return Ok(());
                }
                Err(trouble) if is_too_long(&trouble) && halves(&part.body).is_some() => {
                    self.progress.insert(halved);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        for (n, half) in halves(&part.body).into_iter().flatten().enumerate() {
            let id = format!("{}/half-{}", part.id, n + 1);
            if self.progress.contains(&id) {
                continue;
            }
            let accepted = provider.post(half).await?;
            self.note(accepted, redaction);
            self.progress.insert(id);
        }
        Ok(())
    }

    fn note(&mut self, accepted: Accepted, redaction: &Redaction) {
        self.receipt.answer = redaction.clean(&accepted.errmsg);
        let refused = [
            (
                accepted.invalid_users,
                "no such user, or not in the application's visible range",
            ),
            (
                accepted.unlicensed_users,
                "the user has no licence for the interface",
            ),
            (
                accepted.invalid_parties,
                "no such department, or not visible to the application",
            ),
            (
                accepted.invalid_tags,
                "no such tag, or not visible to the application",
            ),
        ];
        for (recipients, reason) in refused {
            for recipient in recipients {
                let known = &mut self.receipt.refused;
                if known.iter().all(|refused| refused.recipient != recipient) {
                    let reason = reason.to_owned();
                    known.push(RefusedRecipient { recipient, reason });
                }
            }
        }
    }
}

fn is_too_long(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Code { code, .. } if *classify(*code) == Class::TooLong)
}

/// The failure of a call at this attempt in the seam's terms.
pub(in crate::receiver) fn failed(
    trouble: &Trouble,
    attempt: u32,
    redaction: &Redaction,
) -> SendError {
    let verdict = trouble.verdict(attempt);
    SendError {
        failure: verdict.failure,
        reason: verdict.reason,
        code: verdict.code.map(|code| code.to_string()),
        answer: redaction.clean(&trouble.to_string()),
        fix: verdict.fix.map(|fix| fix.map(|fix| redaction.clean(fix))),
        progress: Progress::new(),
    }
}

fn late(deadline: Duration) -> SendError {
    SendError {
        failure: Failure::Failed { retry_after: None },
        reason: "timeout",
        code: None,
        answer: format!("not confirmed within {deadline:?}"),
        fix: None,
        progress: Progress::new(),
    }
}
