//! What waits for a person: deliveries that were given up, and bodies that could not be read.

use alert_engine::{BodyHash, DeliveryId};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use super::Web;
use super::api::read_id;
use super::reader::Reader;
use super::refusal::{NO_LETTER, Refusal};
use crate::dead_letter::{self, DeadLetter};
use crate::listing::{self, Listed, Page};
use crate::quarantine::Quarantined;
use crate::receiver::{Receipt, RefusedRecipient};
use crate::render::Phrase;
use crate::store::Doc;
use crate::tools::text;
use crate::webhook;

const NO_BODY: Phrase = Phrase::fixed(
    "nothing in quarantine has this id; list it with quarantine list",
    "隔离区中没有这个编号；quarantine list 会列出全部",
);

/// Which part of a list.
#[derive(Deserialize)]
pub(super) struct Part {
    /// `next` of the page before.
    after: Option<String>,
}

async fn list<T: Listed>(
    web: &Web,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Page<T>>, Refusal> {
    let Query(part) = part?;
    let after = part.after.as_deref().map(read_id).transpose()?;
    Ok(Json(listing::page(&*web.store, after).await?))
}

pub(super) async fn dead_letters(
    State(web): State<Web>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Page<DeadLetter>>, Refusal> {
    list(&web, part).await
}

pub(super) async fn dead_letter(
    State(web): State<Web>,
    Path(letter): Path<String>,
) -> Result<Json<DeadLetter>, Refusal> {
    Ok(Json(find(&web, &letter).await?.0))
}

/// The letter as a person reads it.
pub(super) async fn show_dead_letter(
    State(web): State<Web>,
    reader: Reader,
    Path(letter): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let language = reader.0.unwrap_or_else(|| web.language());
    let (letter, _) = find(&web, &letter).await?;
    Ok(plain(text::letter(&letter, language)))
}

/// Text from outside: no browser may take it for a page.
pub(super) fn plain(text: String) -> impl IntoResponse {
    ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}

pub(super) async fn drop_dead_letter(
    State(web): State<Web>,
    Path(letter): Path<String>,
) -> Result<StatusCode, Refusal> {
    match dead_letter::discard(&*web.store, DeliveryId(read_id(&letter)?)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::NotFound(NO_LETTER)),
    }
}

/// How to replay.
#[derive(Deserialize)]
pub(super) struct Manner {
    /// The stored bytes again, instead of the present truth.
    #[serde(default)]
    as_sent: bool,
}

/// How a letter that was sent again arrived, or why nothing was sent.
#[derive(Serialize)]
struct Resent {
    status: &'static str,
    answer: String,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
pub(super) struct Refused {
    recipient: String,
    reason: String,
}

impl From<RefusedRecipient> for Refused {
    fn from(refused: RefusedRecipient) -> Self {
        let RefusedRecipient { recipient, reason } = refused;
        Self { recipient, reason }
    }
}

/// What came of a replay.
pub(super) enum Replayed {
    /// The present truth is told at once.
    Told,
    /// There was nothing to tell.
    NothingToTell,
    /// The stored bytes arrived.
    AsSent(Receipt),
}

/// Why a replay told nothing.
pub(super) const NOTHING_TO_TELL: Phrase = Phrase::fixed(
    "nothing is left to tell now: its receiver knows how its alerts are, or hears of them at their \
     time, or they are muted, or it does not get them any more; the letter is gone",
    "目前没有需要告知的内容：接收方已了解相关告警的状态或将按时收到、告警被静默，或接收方不再接收这些告警；死信已移除",
);

/// The lanes of a dead letter say the present truth at once; the letter goes. Or, as it was sent:
/// its bytes leave again, and the letter goes once that is confirmed.
pub(super) async fn replay_dead_letter(
    State(web): State<Web>,
    Path(letter): Path<String>,
    manner: Result<Query<Manner>, QueryRejection>,
) -> Result<Replayed, Refusal> {
    let Query(manner) = manner?;
    if manner.as_sent {
        let plan = web.intake.plan.borrow().clone();
        let id = DeliveryId(read_id(&letter)?);
        let receipt = web.resender.resend(plan, id).await?;
        return Ok(Replayed::AsSent(receipt));
    }
    let (found, doc) = find(&web, &letter).await?;
    let lanes = found
        .lanes()
        .map_or_else(Vec::new, |lanes| lanes.iter().copied().collect());
    let tells = web.step.replay(lanes).await?;
    // A conflict means that somebody else was faster.
    web.store.commit(vec![doc.removal().into()]).await?;
    Ok(match tells {
        true => Replayed::Told,
        false => Replayed::NothingToTell,
    })
}

impl IntoResponse for Replayed {
    fn into_response(self) -> Response {
        match self {
            Self::Told => StatusCode::NO_CONTENT.into_response(),
            Self::NothingToTell => Json(Resent {
                status: "nothing_to_tell",
                answer: NOTHING_TO_TELL.to_string(),
                refused: Vec::new(),
            })
            .into_response(),
            Self::AsSent(receipt) => Json(Resent::from(receipt)).into_response(),
        }
    }
}

async fn find(web: &Web, letter: &str) -> Result<(DeadLetter, Doc), Refusal> {
    let found = dead_letter::find(&*web.store, DeliveryId(read_id(letter)?)).await?;
    found.ok_or(Refusal::NotFound(NO_LETTER))
}

impl From<Receipt> for Resent {
    fn from(receipt: Receipt) -> Self {
        Self {
            status: "delivered",
            answer: receipt.answer,
            refused: receipt.refused.into_iter().map(Refused::from).collect(),
        }
    }
}

pub(super) async fn quarantine(
    State(web): State<Web>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Page<Quarantined>>, Refusal> {
    list(&web, part).await
}

pub(super) async fn quarantined(
    State(web): State<Web>,
    Path(body): Path<String>,
) -> Result<Json<Quarantined>, Refusal> {
    Ok(Json(find_body(&web, &body).await?.1))
}

/// The body as a person reads it.
pub(super) async fn show_quarantined(
    State(web): State<Web>,
    reader: Reader,
    Path(body): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let language = reader.0.unwrap_or_else(|| web.language());
    let (_, body) = find_body(&web, &body).await?;
    Ok(plain(text::quarantined(&body, language)))
}

pub(super) async fn drop_quarantined(
    State(web): State<Web>,
    Path(body): Path<String>,
) -> Result<StatusCode, Refusal> {
    let (id, _) = find_body(&web, &body).await?;
    web.quarantine.remove(id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a body in as if it came now; it leaves quarantine once that is durable.
pub(super) async fn replay_quarantined(
    State(web): State<Web>,
    Path(body): Path<String>,
) -> Result<Json<webhook::Answer>, Refusal> {
    let (id, kept) = find_body(&web, &body).await?;
    let answer = webhook::replay(&web.intake, &kept).await?;
    web.quarantine.remove(id, true).await?;
    Ok(Json(answer))
}

async fn find_body(web: &Web, body: &str) -> Result<(BodyHash, Quarantined), Refusal> {
    let id = BodyHash(read_id(body)?);
    let found = web.quarantine.find(id).await?;
    Ok((id, found.ok_or(Refusal::NotFound(NO_BODY))?))
}
