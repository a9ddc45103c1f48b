//! The page's buttons. A browser sends forms only by POST and shows whatever comes back, so each does
//! what the API does and then leads to the page again, or shows a text; a refusal is the API's own, in
//! the language of whoever asked.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::api;
use super::kept::{self, Manner, Replayed};
use super::reader::Reader;
use super::refusal::Refusal;
use super::{Web, trials};
use crate::render::{Language, Phrase};

type Done = Result<Redirect, Refusal>;

/// The routes of the buttons, and the texts that they are about.
pub(super) fn routes(web: &Web) -> Router<Web> {
    Router::new()
        .route("/test-alert", post(test_alert))
        .route("/send-test", post(trials::send_from_form))
        .route("/dead-letters/{id}", get(kept::show_dead_letter))
        .route("/dead-letters/{id}/replay", post(replay_dead_letter))
        .route("/dead-letters/{id}/drop", post(drop_dead_letter))
        .route("/quarantine/{id}", get(kept::show_quarantined))
        .route("/quarantine/{id}/replay", post(replay_quarantined))
        .route("/quarantine/{id}/drop", post(drop_quarantined))
        .layer(from_fn_with_state(web.clone(), say_why))
}

/// Says a refusal in the language of whoever asked.
async fn say_why(State(web): State<Web>, reader: Reader, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let language = reader.0.unwrap_or_else(|| web.language());
    match response.extensions().get::<Phrase>() {
        Some(why) if language != Language::English => {
            let why = serde_json::json!({ "error": why.in_language(language) });
            (response.status(), Json(why)).into_response()
        }
        Some(_) | None => response,
    }
}

fn done<T>(result: Result<T, Refusal>) -> Done {
    result.map(|_| Redirect::to("/"))
}

async fn test_alert(web: State<Web>) -> Done {
    done(api::test_alert(web).await)
}

async fn replay_dead_letter(
    web: State<Web>,
    reader: Reader,
    letter: Path<String>,
    manner: Result<Query<Manner>, QueryRejection>,
) -> Result<Response, Refusal> {
    let language = reader.0.unwrap_or_else(|| web.language());
    Ok(match kept::replay_dead_letter(web, letter, manner).await? {
        Replayed::NothingToTell => {
            kept::plain(kept::NOTHING_TO_TELL.in_language(language).to_owned() + "\n")
                .into_response()
        }
        Replayed::Told | Replayed::AsSent(_) => Redirect::to("/").into_response(),
    })
}

async fn drop_dead_letter(web: State<Web>, letter: Path<String>) -> Done {
    done(kept::drop_dead_letter(web, letter).await)
}

async fn replay_quarantined(web: State<Web>, body: Path<String>) -> Done {
    done(kept::replay_quarantined(web, body).await)
}

async fn drop_quarantined(web: State<Web>, body: Path<String>) -> Done {
    done(kept::drop_quarantined(web, body).await)
}
