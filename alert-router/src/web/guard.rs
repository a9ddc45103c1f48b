//! Who may see and do things here: whoever shows the config's `auth`, and no web page of somebody
//! else in the browser of a person who may.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use tokio::sync::watch;

use crate::plan::Plan;
use crate::webhook::auth;

/// Lets a request pass, or says what it lacks.
pub(super) async fn guard(
    State(plan): State<watch::Receiver<Arc<Plan>>>,
    request: Request,
    next: Next,
) -> Response {
    let wanted = plan.borrow().config().auth.clone();
    if wanted.is_some_and(|wanted| !auth::shows(&wanted, request.headers())) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"alert-router\"")];
        return (
            StatusCode::UNAUTHORIZED,
            ask,
            "show the credential of `auth`\n",
        )
            .into_response();
    }
    if !request.method().is_safe() && is_foreign(request.headers()) {
        let why = "this request comes from a page of another site\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

/// Whether a browser says that a page of another site sends this.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
    else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    origin
        .split_once("://")
        .is_none_or(|(_, from)| from != host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_site_changes_nothing_here() {
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:9095".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_foreign(&headers)
        };
        assert!(!check(None));
        assert!(!check(Some("http://127.0.0.1:9095")));
        assert!(check(Some("http://evil.example")));
        assert!(check(Some("http://127.0.0.1:9096")));
        assert!(check(Some("null")));
    }
}
