//! Who may see and do things here: whoever shows the config's `auth`, and no web page of somebody
//! else in the browser of a person who may.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tokio::sync::watch;

use crate::plan::Plan;
use crate::webhook::auth;

/// Lets a request pass, or says what it lacks.
pub(super) async fn guard(
    State(plan): State<watch::Receiver<Arc<Plan>>>,
    request: Request,
    next: Next,
) -> Response {
    let plan = plan.borrow().clone();
    match &plan.config().auth {
        Some(wanted) if !auth::shows(wanted, request.headers()) => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"alert-router\"")];
            let why = refusal("show the credential of the config's `auth`");
            return (StatusCode::UNAUTHORIZED, ask, why).into_response();
        }
        None if auth::is_strange(plan.config(), request.headers()) => {
            let why = refusal(auth::STRANGE);
            return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
        }
        Some(_) | None => {}
    }
    if !request.method().is_safe() && auth::is_foreign(plan.config(), request.headers()) {
        return (StatusCode::FORBIDDEN, refusal(auth::FOREIGN)).into_response();
    }
    next.run(request).await
}

/// As all errors of the API.
fn refusal(why: &str) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "error": why }))
}
