//! The JSON API and what monitoring asks: every answer is bounded, every refusal says why.

use std::sync::Arc;
use std::time::Duration;

use alert_engine::GroupId;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, of_step};
use super::{Web, view};
use crate::config::test_button;
use crate::history::Event;
use crate::id;
use crate::receiver;
use crate::render::{Language, Phrase};
use crate::step::groups::group_key;
use crate::store::{HistoryQuery, Kind, Position};
use crate::webhook::payload::{BodyLimits, parse};

/// Rows that one answer holds.
const ROWS: usize = 200;

/// What Prometheus scrapes, in the format that it prefers.
pub(super) async fn metrics(State(web): State<Web>, headers: HeaderMap) -> Response {
    // HEAD comes here too; axum leaves the body out then.
    match web.telemetry.answer(&Method::GET, "/metrics", &headers) {
        Some(answer) => answer.map(Body::from),
        None => Refusal::NotFound(Phrase::verbatim(
            "metrics are switched off by OTEL_METRICS_EXPORTER",
        ))
        .into_response(),
    }
}

pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

pub(super) async fn reload(State(web): State<Web>) -> Result<Json<serde_json::Value>, Refusal> {
    let reloader = Arc::clone(&web.reloader);
    let done = tokio::task::spawn_blocking(move || reloader.reload()).await;
    let done = done.map_err(|_| Refusal::Busy(Phrase::verbatim("the reload did not end")))?;
    let changes = done.map_err(|error| Refusal::Wrong(Phrase::verbatim(error)))?;
    Ok(Json(
        serde_json::json!({ "status": "reloaded", "applied": changes.applied, "after_restart": changes.after_restart }),
    ))
}

/// What this server is, and whether its config is the one in the file.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    url: String,
    ready: bool,
    config: ConfigStatus,
}

#[derive(Serialize)]
struct ConfigStatus {
    /// `null` without a file.
    file: Option<String>,
    /// Whether the last reload took effect.
    ok: bool,
    /// Why it did not.
    error: Option<String>,
}

pub(super) async fn status(State(web): State<Web>) -> Json<Status> {
    let error = web.reloader.refused();
    let file = web.reloader.file().map(|file| file.display().to_string());
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        url: web.url.to_string(),
        ready: *web.ready.borrow(),
        config: ConfigStatus {
            file,
            ok: error.is_none(),
            error,
        },
    })
}

pub(super) async fn groups(State(web): State<Web>) -> Result<Json<Vec<view::GroupCard>>, Refusal> {
    let plan = web.intake.plan.borrow().clone();
    Ok(Json(view::groups(&web, &plan).await?))
}

pub(super) async fn sources(
    State(web): State<Web>,
) -> Result<Json<Vec<view::SourceCard>>, Refusal> {
    let plan = web.intake.plan.borrow().clone();
    Ok(Json(view::sources(&web, &plan, Language::English).await?))
}

pub(super) async fn inbox(State(web): State<Web>) -> Result<Json<Vec<receiver::Entry>>, Refusal> {
    Ok(Json(receiver::newest(&*web.store, ROWS).await?))
}

/// Which part of the history.
#[derive(Deserialize)]
pub(super) struct HistoryFilter {
    /// Of this group only.
    group: Option<String>,
    /// `next` of the page before.
    before: Option<u64>,
    /// Deliveries of this receiver only.
    receiver: Option<String>,
    /// Deliveries that this address or user got or refused only.
    recipient: Option<String>,
}

impl HistoryFilter {
    fn fits(&self, event: &Event) -> bool {
        let receiver = self.receiver.as_ref().is_none_or(|wanted| {
            let delivery = event.delivery();
            delivery.is_some_and(|delivery| delivery.receiver == *wanted)
        });
        let recipient = self.recipient.as_ref().is_none_or(|wanted| {
            let recipients = event.recipients();
            recipients.is_some_and(|recipients| recipients.may_hold(wanted))
        });
        receiver && recipient
    }
}

/// A page of history.
#[derive(Serialize)]
pub(super) struct HistoryPage {
    records: Vec<HistoryLine>,
    next: Option<u64>,
}

#[derive(Serialize)]
struct HistoryLine {
    at_ms: i64,
    /// `None` if it is about a body in quarantine.
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    events: Vec<Event>,
}

pub(super) async fn history(
    State(web): State<Web>,
    filter: Result<Query<HistoryFilter>, QueryRejection>,
) -> Result<Json<HistoryPage>, Refusal> {
    let Query(filter) = filter?;
    let about = match filter.group.as_deref() {
        Some(group) => Some(group_key(GroupId(read_id(group)?))),
        None => None,
    };
    let query = HistoryQuery {
        about,
        before: filter.before.map(Position),
        limit: ROWS,
    };
    let page = web.store.history(query).await?;
    let line = |record: crate::store::Record| {
        let mut events = crate::history::read(&record).ok()?;
        events.retain(|event| filter.fits(event));
        if events.is_empty() {
            return None;
        }
        let about = Some(id::show(&record.about.id));
        let (group, body) = match record.about.kind == Kind::Quarantine {
            true => (None, about),
            false => (about, None),
        };
        Some(HistoryLine {
            at_ms: record.at.as_millis(),
            group,
            body,
            events,
        })
    };
    let records = page.records.into_iter().filter_map(line).collect();
    Ok(Json(HistoryPage {
        records,
        next: page.next.map(|position| position.0),
    }))
}

/// How long a test alert fires: long enough to be told, short enough to see its end, too.
const TEST_FIRES: Duration = Duration::from_secs(60);

const TEST_ALERT: Phrase = Phrase::fixed(
    "a test alert from the button of the page: nothing is wrong; it is over in a minute",
    "来自页面按钮的测试告警：没有故障；一分钟后自动恢复",
);

/// A new alert each time, which says that it is a test, and is over by itself: nobody upstream
/// knows of it and would say so.
pub(super) async fn test_alert(State(web): State<Web>) -> Result<StatusCode, Refusal> {
    let now = web.intake.clock.now();
    let at = jiff::Timestamp::from_millisecond(now.as_millis())
        .unwrap_or_default()
        .to_string();
    let body = serde_json::json!({"version": "4", "alerts": [{
        "status": "firing",
        "labels": {"alertname": "TestAlert", "severity": "info", "test": at},
        "annotations": {"summary": TEST_ALERT.in_language(web.language())},
        "startsAt": at,
    }]});
    let none = std::collections::BTreeSet::new();
    let mut batch = parse(
        &Bytes::from(body.to_string()),
        &none,
        &BodyLimits::default(),
    )
    .expect("what this function writes is a webhook body");
    for alert in &mut batch.alerts {
        alert.expires = Some(now + TEST_FIRES);
    }
    let taken = web.step.observe(test_button(), batch).await;
    taken
        .map(|_| StatusCode::ACCEPTED)
        .map_err(|busy| Refusal::Busy(of_step(&busy)))
}

pub(super) async fn wrong_method() -> Refusal {
    Refusal::Method
}

pub(super) async fn not_found() -> Refusal {
    Refusal::NotFound(Phrase::verbatim(
        "no such page; the start page is /, webhooks go to /webhook",
    ))
}

/// The bytes of an id in a path or query.
pub(super) fn read_id(text: &str) -> Result<[u8; 16], Refusal> {
    let wrong = || {
        Refusal::Wrong(Phrase::new(
            format!("{text:?} is not an id: 32 hex digits"),
            format!("{text:?} 不是编号：应为 32 位十六进制数字"),
        ))
    };
    id::read(text).ok_or_else(wrong)
}

/// What programs read about this API.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

/// The description of all of it; tests hold it against the routes and against real answers.
pub(crate) const OPENAPI: &str = include_str!("../../openapi.yaml");
