//! A request that meets two layers is told once, and one that can meet only one layer is not burdened with
//! a mark. The only test of its process, in which
//! each layer counts that is made anywhere.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use telemetry_lib::testing::TestTelemetry;
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;

/// How many extensions a handler of this router finds, and how many spans a request to it has.
async fn asked(telemetry: &TestTelemetry, around: impl FnOnce(Router) -> Router) -> (usize, usize) {
    let found = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&found);
    let handler = move |request: Request| async move {
        count.store(request.extensions().len(), Relaxed);
    };
    let before = telemetry.spans().await.len();
    let app = around(Router::new().route("/orders/{id}", get(handler)));
    let request = Request::get("/orders/7").body(Body::empty()).unwrap();
    let asking = async {
        app.oneshot(request)
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
    };
    asking.with_subscriber(telemetry.dispatch()).await.unwrap();
    (found.load(Relaxed), telemetry.spans().await.len() - before)
}

#[tokio::test]
async fn a_request_is_told_once_and_marked_only_where_it_may_meet_two_layers() {
    let telemetry = TestTelemetry::start();
    let handle = telemetry.handle();
    let (bare, untold) = asked(&telemetry, |app| app).await;
    assert_eq!(untold, 0);
    assert_eq!(
        asked(&telemetry, |app| handle.instrument(app)).await,
        (bare, 1)
    );
    let twice = |app| handle.instrument(handle.instrument(app));
    assert_eq!(asked(&telemetry, twice).await, (bare + 1, 1));
    let both = |app: Router| handle.instrument(app.layer(handle.http_server()));
    assert_eq!(asked(&telemetry, both).await, (bare + 1, 1));
    // The layer of any tower service may be put around repeatedly.
    let layer = handle.http_server();
    let repeatedly = |app: Router| app.layer(layer.clone()).layer(layer);
    assert_eq!(asked(&telemetry, repeatedly).await.1, 1);
}
