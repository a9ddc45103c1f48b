//! Sends a test to a receiver: one at a time, so that nobody floods a channel with them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Web;
use super::kept::{Refused, plain};
use super::reader::Reader;
use super::refusal::Refusal;
use crate::render::Phrase;
use crate::tools::text;
use crate::trial::{self, Tested};

const NO_RECEIVER: Phrase = Phrase::fixed(
    "no receiver of this name has a destination in the config",
    "配置中没有这个名称且带有目的地的接收方",
);
const ANOTHER: Phrase = Phrase::fixed("another test is under way", "另一个测试正在进行");
const CUT_OFF: Phrase = Phrase::fixed(
    "the test was cut off; look whether it arrived",
    "测试被中断；请确认是否已送达",
);

/// The right to send a test: one at a time.
#[derive(Clone)]
pub struct Trials(Arc<Semaphore>);

impl Default for Trials {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// How a test of a receiver ended.
#[derive(Serialize)]
pub(super) struct Outcome {
    destinations: Vec<Line>,
}

/// How it ended at one destination.
#[derive(Serialize)]
struct Line {
    channel: &'static str,
    destination: String,
    delivered: bool,
    /// The provider's answer.
    answer: String,
    /// A bounded reason why not.
    reason: Option<&'static str>,
    code: Option<String>,
    /// What to do.
    fix: Option<String>,
    refused: Vec<Refused>,
}

/// What the form of the page says.
#[derive(Deserialize)]
pub(super) struct Wanted {
    receiver: String,
}

pub(super) async fn send(
    State(web): State<Web>,
    Path(receiver): Path<String>,
) -> Result<Json<Outcome>, Refusal> {
    let tested = run(&web, receiver).await?;
    let destinations = tested.into_iter().map(Line::from).collect();
    Ok(Json(Outcome { destinations }))
}

/// The same for people: what the command prints.
pub(super) async fn send_from_form(
    State(web): State<Web>,
    reader: Reader,
    wanted: Result<Form<Wanted>, FormRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Form(wanted) = wanted.map_err(|why| Refusal::Wrong(Phrase::verbatim(why.body_text())))?;
    let language = reader.0.unwrap_or_else(|| web.language());
    let tested = run(&web, wanted.receiver).await?;
    let report: String = tested.iter().map(|one| one.line(language)).collect();
    Ok(plain(
        report.lines().map(|line| text::line(line) + "\n").collect(),
    ))
}

async fn run(web: &Web, receiver: String) -> Result<Vec<Tested>, Refusal> {
    let outlets = web.intake.plan.borrow().outlets_of(&receiver);
    if outlets.is_empty() {
        return Err(Refusal::NotFound(NO_RECEIVER));
    }
    let right = Arc::clone(&web.trials.0).try_acquire_owned();
    let right = right.map_err(|_| Refusal::Busy(ANOTHER))?;
    let now = web.intake.clock.now();
    tracing::info!(receiver, "a person asked for a test message");
    // Whoever asked may leave; the provider's answer still ends the test.
    let store = Arc::clone(&web.store);
    let sending = tokio::spawn(async move {
        let tested = trial::send(&outlets, Some(&*store), now).await;
        drop(right);
        tested
    });
    let ended = sending.await;
    ended.map_err(|_| Refusal::Busy(CUT_OFF))
}

impl From<Tested> for Line {
    fn from(tested: Tested) -> Self {
        let (channel, destination) = (tested.channel, tested.destination);
        match tested.result {
            Ok(receipt) => Self {
                channel,
                destination,
                delivered: true,
                answer: receipt.answer,
                reason: None,
                code: None,
                fix: None,
                refused: receipt.refused.into_iter().map(Refused::from).collect(),
            },
            Err(error) => Self {
                channel,
                destination,
                delivered: false,
                answer: error.answer,
                reason: Some(error.reason),
                code: error.code,
                fix: error.fix.map(|fix| fix.to_string()),
                refused: Vec::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::{Receipt, RefusedRecipient};
    use crate::testing::Description;

    #[test]
    fn who_refused_a_test_is_said_as_described() {
        let refused = RefusedRecipient {
            recipient: "b@example.com".to_owned(),
            reason: "550 no such user".to_owned(),
        };
        let tested = Tested {
            channel: "email",
            destination: "a@example.com, b@example.com".to_owned(),
            result: Ok(Receipt {
                answer: "250 queued".to_owned(),
                refused: vec![refused],
                memory: None,
            }),
        };
        let destinations = vec![Line::from(tested)];
        let outcome = serde_json::to_value(Outcome { destinations }).unwrap();
        let mut description = Description::of_the_api();
        description.value("Tested", &outcome).unwrap();
        let mut unseen = description.unseen();
        unseen.retain(|place| place.contains("/Tested/") || place.contains("/RefusedRecipients/"));
        assert!(unseen.is_empty(), "{unseen:#?}");
        assert_eq!(outcome["destinations"][0]["delivered"], true, "{outcome}");
    }
}
