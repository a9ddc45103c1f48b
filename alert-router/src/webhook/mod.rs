//! Where alerts come in: `POST /webhook` and `/webhook/{source}`. A 2xx means that the alerts are
//! durable; whatever a retry can mend is a 503, because Alertmanager retries nothing else.

pub(crate) mod auth;
mod pace;
pub mod payload;
mod replay;
mod room;
mod sources;

pub(crate) use replay::{ALERT, ReplayError, replay};
pub use room::BodyRoom;
pub use sources::KnownSources;

use std::sync::Arc;
use std::time::Duration;

use alert_engine::SourceName;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::metrics::{Metrics, RequestOutcome};
use crate::plan::Plan;
use crate::quarantine::Quarantine;
use crate::step::{Busy, StepHandle, Taken};
use crate::trace::Sampled;
use payload::{Batch, RefusedAlert, Rejection};
use room::NotRead;

/// Alertmanager gives up a webhook only at its own timeout, by default never; we answer earlier, so
/// that it tries again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a sender may take for its body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// What the handlers need.
#[derive(Clone)]
pub struct Intake {
    /// The config as it takes effect now.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// Where observations go.
    pub step: StepHandle,
    /// Where unreadable bodies go.
    pub quarantine: Quarantine,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// Stamps what goes to quarantine.
    pub clock: Arc<dyn Clock>,
    /// The sources that posted without being in the config.
    pub sources: KnownSources,
    /// Bounds what all requests together hold.
    pub room: BodyRoom,
}

/// How a request ended, for people who look at the answer.
#[derive(Serialize)]
pub(crate) struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    changed: usize,
    unchanged: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedLine>,
}

#[derive(Serialize)]
struct RefusedLine {
    alert: usize,
    why: String,
}

/// Why a request was not taken.
enum Refusal {
    Unauthorized,
    /// A page of another site, in the browser of somebody who may post.
    Foreign,
    /// Under a name that is not ours, where no credential is asked for.
    Strange,
    UnknownSource(String),
    /// More than the source's `rate_limit`; it may come again after so long.
    Limited(Duration),
    Rejected(Rejection),
    TooSlow,
    BrokeOff,
    Unavailable(String),
}

/// Takes a webhook for the source `default`.
pub async fn post_default(state: State<Intake>, headers: HeaderMap, body: Body) -> Response {
    post(state, SourceName::unnamed(), headers, body).await
}

/// Takes a webhook for the source that the path names.
pub async fn post_source(
    state: State<Intake>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post(state, SourceName::new(&source), headers, body).await
}

/// Says what to do to whoever comes with another method: often a redirect that changed it.
pub async fn wrong_method(State(intake): State<Intake>) -> Response {
    intake.metrics.count_request(RequestOutcome::Rejected);
    let hint = "post webhooks here with POST; a redirect on the way turns POST into GET, so point \
                Alertmanager's `url` at the final address\n";
    (
        StatusCode::METHOD_NOT_ALLOWED,
        [(header::ALLOW, "POST")],
        hint,
    )
        .into_response()
}

async fn post(
    State(intake): State<Intake>,
    source: SourceName,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let result = take(&intake, &source, &headers, body).await;
    let outcome = match &result {
        Ok(_) => RequestOutcome::Accepted,
        Err(Refusal::Unauthorized) => RequestOutcome::Unauthorized,
        Err(
            Refusal::Rejected(_) | Refusal::UnknownSource(_) | Refusal::Foreign | Refusal::Strange,
        ) => RequestOutcome::Rejected,
        Err(Refusal::Limited(_)) => RequestOutcome::Limited,
        Err(Refusal::TooSlow | Refusal::BrokeOff) => RequestOutcome::Incomplete,
        Err(Refusal::Unavailable(_)) => RequestOutcome::Unavailable,
    };
    intake.metrics.count_request(outcome);
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(
    intake: &Intake,
    source: &SourceName,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Refusal> {
    let plan = intake.plan.borrow().clone();
    if auth::is_foreign(plan.config(), headers) {
        return Err(Refusal::Foreign);
    }
    match plan.config().credential(source) {
        Some(wanted) if !auth::shows(wanted, headers) => return Err(Refusal::Unauthorized),
        None if auth::is_led_here(plan.config(), headers) => return Err(Refusal::Strange),
        Some(_) | None => {}
    }
    intake
        .sources
        .admit(plan.config(), source)
        .map_err(Refusal::UnknownSource)?;
    let paced = intake
        .sources
        .pace(plan.config(), source, intake.clock.now());
    paced.map_err(|wait| {
        let limited = &intake.metrics.webhook_limited;
        let shown = plan.config().shown(source);
        limited.with_label_values(&[shown.as_str()]).inc();
        Refusal::Limited(wait)
    })?;
    let settings = plan.config().source(source);
    let limits = plan.body_limits();
    let body = read(intake, body, limits.body_bytes).await?;
    let timer = intake.metrics.webhook_seconds.start_timer();
    let batch = match payload::parse(&body, &settings.ignore_labels, limits) {
        Ok(batch) => batch,
        Err(rejection) => return Err(reject(intake, source, rejection, &body).await),
    };
    let answer = take_batch(intake, source, batch).await?;
    let took = timer.stop_and_record();
    intake
        .metrics
        .answered(took, Sampled::current(), intake.clock.now());
    Ok(answer)
}

/// Takes in what could be read, and keeps the alerts that could not.
async fn take_batch(intake: &Intake, source: &SourceName, batch: Batch) -> Result<Answer, Refusal> {
    count_alerts(&intake.metrics, source, &batch);
    let mut refused = batch.refused.clone();
    let taken = if batch.alerts.is_empty() {
        Taken::default()
    } else {
        let observed = intake.step.observe(source.clone(), batch);
        let observed = tokio::time::timeout(ANSWER_WITHIN, observed).await;
        observed
            .map_err(|_| Refusal::Unavailable(format!("no answer within {ANSWER_WITHIN:?}")))??
    };
    refused.extend(taken.refused);
    for refused in &refused {
        quarantine(intake, source, ALERT, refused.why.clone(), &refused.raw).await?;
    }
    Ok(Answer {
        status: "accepted",
        error: None,
        changed: taken.changed,
        unchanged: taken.unchanged,
        refused: refused.iter().map(RefusedLine::from).collect(),
    })
}

async fn read(intake: &Intake, body: Body, limit: usize) -> Result<Bytes, Refusal> {
    // One byte more than allowed tells a body at the limit from one beyond it.
    let whole = tokio::time::timeout(BODY_WITHIN, intake.room.read(body, limit + 1)).await;
    match whole {
        Err(_elapsed) => Err(Refusal::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(NotRead::TooLarge)) => {
            let rejection = Rejection::TooLarge { limit };
            // What is not read to its end cannot be kept, only counted.
            let quarantined = &intake.metrics.quarantined;
            quarantined.with_label_values(&[rejection.reason()]).inc();
            Err(Refusal::Rejected(rejection))
        }
        Ok(Err(why @ NotRead::NoRoom)) => Err(Refusal::Unavailable(why.to_string())),
        Ok(Err(NotRead::BrokeOff)) => Err(Refusal::BrokeOff),
    }
}

async fn reject(
    intake: &Intake,
    source: &SourceName,
    rejection: Rejection,
    body: &Bytes,
) -> Refusal {
    match quarantine(
        intake,
        source,
        rejection.reason(),
        rejection.to_string(),
        body,
    )
    .await
    {
        Ok(()) => Refusal::Rejected(rejection),
        Err(refusal) => refusal,
    }
}

async fn quarantine(
    intake: &Intake,
    source: &SourceName,
    reason: &'static str,
    why: String,
    body: &Bytes,
) -> Result<(), Refusal> {
    let now = intake.clock.now();
    let kept = intake.quarantine.keep(now, source, reason, why, body).await;
    kept.map_err(|error| Refusal::Unavailable(error.to_string()))
}

fn count_alerts(metrics: &Metrics, source: &SourceName, batch: &Batch) {
    let firing = batch
        .alerts
        .iter()
        .filter(|alert| alert.ends_at.is_none())
        .count();
    for (status, count) in [
        ("firing", firing),
        ("resolved", batch.alerts.len() - firing),
    ] {
        let labels = [source.as_str(), status];
        metrics
            .alerts_received
            .with_label_values(&labels)
            .inc_by(count as u64);
    }
}

impl From<&RefusedAlert> for RefusedLine {
    fn from(refused: &RefusedAlert) -> Self {
        Self {
            alert: refused.index,
            why: refused.why.clone(),
        }
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Self {
        Self::Unavailable(busy.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let again = match &self {
            Self::Limited(wait) => Some(*wait),
            Self::Unauthorized | Self::Foreign | Self::Strange | Self::UnknownSource(_) => None,
            Self::Rejected(_) | Self::TooSlow | Self::BrokeOff | Self::Unavailable(_) => None,
        };
        // In whole seconds, rounded up. Alertmanager does not read it, others do.
        let again = again.map(|wait| wait.as_millis().div_ceil(1000).to_string());
        let (code, status, error) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "this source asks for a credential: set `http_config.authorization` or `basic_auth` in Alertmanager's webhook_configs".to_owned(),
            ),
            Self::Foreign => (StatusCode::FORBIDDEN, "rejected", auth::FOREIGN.to_owned()),
            Self::Strange => (StatusCode::MISDIRECTED_REQUEST, "rejected", auth::STRANGE.to_owned()),
            Self::UnknownSource(why) => (StatusCode::NOT_FOUND, "rejected", why),
            Self::Rejected(rejection) => (rejection_code(&rejection), "rejected", rejection.to_string()),
            Self::Limited(wait) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                format!("more than this source's `rate_limit`; try again in {wait:?}"),
            ),
            Self::TooSlow => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                format!("the body did not arrive whole within {BODY_WITHIN:?}"),
            ),
            Self::BrokeOff => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                NotRead::BrokeOff.to_string(),
            ),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        };
        let answer = Answer {
            status,
            error: Some(error),
            changed: 0,
            unchanged: 0,
            refused: Vec::new(),
        };
        (
            code,
            again.map(|wait| [(header::RETRY_AFTER, wait)]),
            Json(answer),
        )
            .into_response()
    }
}

fn rejection_code(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::Empty | Rejection::Unreadable { .. } => StatusCode::BAD_REQUEST,
        Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::Version { .. } | Rejection::NoAlerts | Rejection::TooManyAlerts { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}
