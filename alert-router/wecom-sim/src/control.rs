//! What a person or a test in another language can do over HTTP: look at the page, read what was
//! received, break and heal things, move time. None of it exists in the real service.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::page;
use crate::service::Service;
use crate::world::{Fate, FaultRule, Message, Refusal, ReplyFate, Sender, World};

type Shared = State<Arc<Service>>;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(show_page))
        .route("/_sim/messages", get(messages).delete(forget))
        .route("/_sim/faults", post(add_fault).delete(heal))
        .route("/_sim/clock", post(advance))
        .route("/_sim/tokens/revoke", post(revoke_tokens))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u32,
}

async fn show_page(State(service): Shared) -> impl IntoResponse {
    let html = service.read(page::page);
    (
        [("content-security-policy", page::content_security_policy())],
        Html(html),
    )
}

async fn messages(State(service): Shared, Query(Since { since }): Query<Since>) -> Json<Value> {
    Json(service.read(|world, now| {
        let messages = world
            .outbox
            .messages()
            .filter(|message| message.seq > since);
        let messages: Vec<Value> = messages
            .map(|message| message_json(world, message))
            .collect();
        let refusals = world
            .outbox
            .refusals()
            .filter(|refusal| refusal.seq > since);
        let refusals: Vec<Value> = refusals.map(refusal_json).collect();
        let last = world.outbox.last();
        json!({ "now": now.to_string(), "last": last, "messages": messages, "refusals": refusals })
    }))
}

async fn forget(State(service): Shared) -> StatusCode {
    service.change(|world, _| world.outbox.clear());
    StatusCode::NO_CONTENT
}

async fn add_fault(State(service): Shared, Json(rule): Json<FaultRule>) -> StatusCode {
    service.change(|world, _| world.faults.add(rule));
    StatusCode::NO_CONTENT
}

async fn heal(State(service): Shared) -> StatusCode {
    service.change(|world, _| world.faults.clear());
    StatusCode::NO_CONTENT
}

async fn advance(State(service): Shared, Json(advance): Json<Advance>) -> StatusCode {
    service.advance(Duration::from_secs(advance.advance_seconds.into()));
    StatusCode::NO_CONTENT
}

async fn revoke_tokens(State(service): Shared) -> StatusCode {
    service.change(|world, _| world.apps.revoke_tokens());
    StatusCode::NO_CONTENT
}

fn message_json(world: &World, message: &Message) -> Value {
    let from = match &message.sender {
        Sender::Bot(key) => json!({ "bot": world.bots.name(key.expose()) }),
        Sender::App(agent) => json!({ "agent": agent }),
    };
    let fate = match message.fate {
        Fate::Shown => "shown",
        Fate::Duplicate => "duplicate",
        Fate::Dropped => "dropped",
    };
    let reply = match message.reply {
        ReplyFate::Sent => "sent",
        ReplyFate::Lost => "lost",
    };
    let warnings: Vec<String> = message.warnings.iter().map(ToString::to_string).collect();
    json!({
        "seq": message.seq, "at": message.at.to_string(), "from": from,
        "msgtype": message.content.msgtype(), "text": message.text(),
        "body": String::from_utf8_lossy(&message.body), "bytes": message.body.len(),
        "shown_to": message.shown_to, "dropped_for": message.dropped_for,
        "fate": fate, "reply": reply, "warnings": warnings,
    })
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "seq": refusal.seq, "at": refusal.at.to_string(), "api": refusal.api, "who": refusal.who,
        "errcode": refusal.code, "answer": refusal.answer,
        "body": String::from_utf8_lossy(&refusal.body), "injected": refusal.injected,
    })
}
