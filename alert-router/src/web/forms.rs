//! The page's buttons. A browser sends forms only by POST and shows whatever comes back, so each does
//! what the API does and then leads to the page again, or shows a text; a refusal is the API's own.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use axum::routing::{get, post};

use super::api::{self, Refusal};
use super::kept::{self, Manner};
use super::{Web, trials};

type Done = Result<Redirect, Refusal>;

/// The routes of the buttons, and the texts that they are about.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/test-alert", post(test_alert))
        .route("/send-test", post(trials::send_from_form))
        .route("/dead-letters/{id}", get(kept::show_dead_letter))
        .route("/dead-letters/{id}/replay", post(replay_dead_letter))
        .route("/dead-letters/{id}/drop", post(drop_dead_letter))
        .route("/quarantine/{id}", get(kept::show_quarantined))
        .route("/quarantine/{id}/replay", post(replay_quarantined))
        .route("/quarantine/{id}/drop", post(drop_quarantined))
}

fn done<T>(result: Result<T, Refusal>) -> Done {
    result.map(|_| Redirect::to("/"))
}

async fn test_alert(web: State<Web>) -> Done {
    done(api::test_alert(web).await)
}

async fn replay_dead_letter(
    web: State<Web>,
    letter: Path<String>,
    manner: Result<Query<Manner>, QueryRejection>,
) -> Done {
    done(kept::replay_dead_letter(web, letter, manner).await)
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
