//! F20: code of the service that panics while the telemetry runs it. It costs the request in hand
//! and nothing else: no lock is poisoned, no gauge is left behind.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::fmt;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use telemetry_lib::testing::{AttributeValue, Exposition, TestTelemetry};
use tower::ServiceExt;

/// A value that cannot be shown.
struct Rude;

impl fmt::Debug for Rude {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("shown")
    }
}

#[tracing::instrument(fields(value = ?Rude))]
async fn instrumented() {}

fn routes() -> Router {
    Router::new()
        .route(
            "/span",
            get(|| async { tracing::info_span!("rude", value = ?Rude).in_scope(|| {}) }),
        )
        .route("/attribute", get(|| async { instrumented().await }))
        .route(
            "/warning",
            get(|| async { tracing::warn!(value = ?Rude, "rude") }),
        )
        .route(
            "/line",
            get(|| async { tracing::info!(value = ?Rude, "rude") }),
        )
        .route("/good", get(|| async { tracing::warn!("all is well") }))
}

async fn ask(app: &Router, path: &str) -> Option<String> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = AssertUnwindSafe(app.clone().oneshot(request)).catch_unwind();
    let body = answer.await.ok()?.unwrap().into_body();
    let body = body.collect().await.unwrap().to_bytes();
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn f20_a_value_that_panics_when_shown_costs_its_request_and_nothing_else() {
    let telemetry = TestTelemetry::start();
    let app = telemetry.handle().instrument(routes());
    let rude = ["/span", "/attribute", "/warning", "/line"];
    for path in rude {
        assert_eq!(ask(&app, path).await, None, "{path} panics");
        assert!(ask(&app, "/good").await.is_some(), "after {path}");
    }

    let spans = telemetry.spans().await;
    for path in rude {
        let name = format!("GET {path}");
        let span = spans.iter().find(|span| span.name() == name).unwrap();
        let panic = AttributeValue::Text("panic".to_owned());
        span.assert_attribute("error.type", Some(panic));
        assert!(span.is_error(), "{span:#?}");
    }
    let good = spans.iter().filter(|span| span.name() == "GET /good");
    let shown = good.filter(|span| span.event_names() == ["all is well"]);
    assert_eq!(shown.count(), rude.len(), "events still find their spans");
    let lines = telemetry.log();
    let well = lines.iter().filter(|line| line.contains("all is well"));
    assert_eq!(well.count(), rude.len(), "{lines:?}");

    let page = ask(&app, "/metrics").await.unwrap();
    let page = Exposition::parse("text/plain", &page).unwrap();
    assert_eq!(page.total("http_server_active_requests"), 0.0);
    let panicked = |path| {
        let labels = [("http_route", path), ("error_type", "panic")];
        page.value("http_server_request_duration_seconds_count", &labels)
    };
    assert_eq!(rude.map(panicked), [Some(1.0); 4]);
}
