//! The application that every stack instruments: twenty routes that do almost nothing, so that the
//! instrumentation is what is seen.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;

/// Different route templates.
pub const ROUTES: usize = 20;

pub(crate) fn router() -> Router {
    (0..ROUTES).fold(Router::new(), |router, number| {
        router
            .route(&format!("/plain/{number}/{{id}}"), get(plain))
            .route(&format!("/nested/{number}/{{id}}"), get(nested))
            .route(&format!("/logged/{number}/{{id}}"), get(logged))
    })
}

async fn plain(Path(id): Path<u64>) -> String {
    id.to_string()
}

async fn nested(Path(id): Path<u64>) -> String {
    outer(id).await.to_string()
}

async fn logged(Path(id): Path<u64>) -> String {
    tracing::info!(user = id, "served");
    id.to_string()
}

#[tracing::instrument]
async fn outer(id: u64) -> u64 {
    middle(id).await
}

#[tracing::instrument]
async fn middle(id: u64) -> u64 {
    inner(id).await
}

#[tracing::instrument]
async fn inner(id: u64) -> u64 {
    std::hint::black_box(id)
}
