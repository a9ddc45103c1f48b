//! A body out of quarantine, taken in as if it came now: after the limits were raised, or with a
//! newer binary.

use bytes::Bytes;

use alert_engine::SourceName;

use super::{Answer, Intake, Refusal, payload, take_batch};
use crate::quarantine::Quarantined;

/// Why a kept body was not taken in. It stays where it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// Its end is missing.
    #[error("only the start of its {0} bytes was kept: let the sender post it again")]
    Cut(usize),
    /// It still cannot be read, or has no room.
    #[error("it still cannot be taken in: {0}")]
    Unreadable(String),
    /// Trying again makes sense.
    #[error("{0}")]
    Unavailable(String),
}

/// Takes in what was kept. `Ok` means that it is durable: it need not be kept any more.
pub(crate) async fn replay(intake: &Intake, kept: &Quarantined) -> Result<Answer, ReplayError> {
    let unreadable = |why: &str| ReplayError::Unreadable(why.to_owned());
    let bytes = kept.bytes().filter(|_| kept.is_whole());
    let bytes = bytes.ok_or(ReplayError::Cut(kept.bytes))?;
    let body = if kept.reason == ALERT {
        let alert = str::from_utf8(&bytes).map_err(|error| unreadable(&error.to_string()))?;
        Bytes::from(format!(r#"{{"version":"4","alerts":[{alert}]}}"#))
    } else {
        bytes
    };
    let source = SourceName::new(&kept.source);
    let plan = intake.plan.borrow().clone();
    let ignored = &plan.config().source(&source).ignore_labels;
    let batch = payload::parse(&body, ignored, plan.body_limits());
    let batch = batch.map_err(|rejection| unreadable(&rejection.to_string()))?;
    if batch.alerts.is_empty() {
        let first = batch.refused.first();
        return Err(unreadable(
            first.map_or("no alerts", |refused| &refused.why),
        ));
    }
    let known = intake.sources.admit(plan.config(), &source);
    known.map_err(ReplayError::Unreadable)?;
    let answer = take_batch(intake, &source, batch).await;
    let answer = answer.map_err(|refusal| ReplayError::Unavailable(refusal.why()))?;
    match answer.refused.first() {
        Some(refused) => Err(unreadable(&refused.why)),
        None => Ok(answer),
    }
}

/// The reason under which single alerts are kept.
pub(crate) const ALERT: &str = "alert";

impl Refusal {
    fn why(self) -> String {
        match self {
            Self::Unavailable(why) | Self::UnknownSource(why) => why,
            Self::Rejected(rejection) => rejection.to_string(),
            Self::Unauthorized
            | Self::Foreign
            | Self::Strange
            | Self::Limited(_)
            | Self::TooSlow
            | Self::BrokeOff => "the intake refused it".to_owned(),
        }
    }
}
