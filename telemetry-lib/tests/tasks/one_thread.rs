//! The API keeps the contexts that are attached on a thread in a stack of 65,535 places, and beyond
//! them attaches nothing, without an error. What would stay there of each request would be found
//! after hours; here the places are counted.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::TestTelemetry;
use tower::ServiceExt;
use tracing::{Instrument, Span, info_span, instrument};

use super::{parent_of, step, won_and_lost};

/// Each of them has ten spans, and enters most of them twice.
const REQUESTS: usize = 15_000;

struct Place(usize);

/// How many contexts can be attached on this thread, one in the other.
pub(super) fn room() -> usize {
    let mut guards = Vec::new();
    loop {
        let context = Context::new().with_value(Place(guards.len()));
        let guard = context.attach();
        let current = Context::current();
        if current.get::<Place>().map(|it| it.0) != Some(guards.len()) {
            break;
        }
        guards.push(guard);
    }
    let room = guards.len();
    // The innermost goes first.
    while guards.pop().is_some() {}
    room
}

#[instrument]
async fn handle() {
    nested().await;
    let spawned = step().instrument(info_span!("spawned"));
    tokio::spawn(spawned).await.unwrap();
    won_and_lost().await;
}

#[instrument]
async fn nested() {
    step().await;
}

fn asking(flag: &str) -> Request {
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    let request = Request::get("/").header("traceparent", format!("{caller}-{flag}"));
    request.body(Body::empty()).unwrap()
}

#[test]
fn f39_more_requests_than_a_thread_has_places_for_contexts_leave_all_of_them_free() {
    let telemetry = TestTelemetry::start();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let before = room();
    assert!(before > 65_000, "{before}");
    let app = Router::new().route("/", get(handle));
    let app = telemetry.handle().instrument(app);
    runtime.block_on(async {
        // The collector is not needed for these, and contexts are attached all the same.
        for _ in 0..REQUESTS {
            let request = app.clone().oneshot(asking("00"));
            assert_eq!(request.await.unwrap().status(), 200);
        }
    });
    assert_eq!(room(), before, "something stays attached");
    assert!(!Context::current().has_active_span());
    assert!(Span::current().is_none());

    let spans = runtime.block_on(async {
        let request = app.oneshot(asking("01"));
        assert_eq!(request.await.unwrap().status(), 200);
        telemetry.spans().await
    });
    for (child, parent) in [
        ("handle", "GET /"),
        ("nested", "handle"),
        ("spawned", "handle"),
        ("lost", "handle"),
        ("won", "handle"),
    ] {
        assert_eq!(parent_of(&spans, child), parent, "{child}");
    }
}
