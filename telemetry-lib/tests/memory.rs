//! What a service holds while nobody collects (F01): the bytes that are allocated and not freed, on
//! all threads, the exporter's too. Its resident memory would also tell of the allocator. One test:
//! it counts what the whole process does.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::routing::get;
use http_body_util::BodyExt;
use telemetry_lib::testing::{TestTelemetry, closed_endpoint};
use tower::Service;
use tracing::instrument;

const THREADS: usize = 4;
const WARM_UP: usize = 2;
const ROUNDS: usize = 6;
/// Of each thread in each round.
const REQUESTS: usize = 1_000;

static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: the system's allocator does all of it, with what the caller gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(count(layout), SeqCst);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(count(layout), SeqCst);
        unsafe { System.dealloc(place, layout) }
    }
}

#[instrument]
async fn load(user: u32) -> String {
    user.to_string()
}

async fn user(Path(user): Path<u32>) -> String {
    load(user).await
}

/// Each path is another one, of the same length.
async fn ask(app: &mut Router, number: usize) {
    let request = Request::get(format!("/users/{}", 1_000_000 + number))
        .header("host", "orders.example")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(Body::empty())
        .unwrap();
    let response = app.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

fn dropped(telemetry: &TestTelemetry) -> f64 {
    let page = telemetry.scrape();
    let reason = [("reason", "queue_full")];
    page.value("telemetry_spans_dropped_total", &reason)
        .unwrap()
}

#[test]
fn f01_memory_does_not_grow_while_the_collector_is_away() {
    let closed = closed_endpoint();
    let telemetry = TestTelemetry::configured(
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &closed),
            // Small, so that what the exporter has in hand is little beside what would be a growth.
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
        ],
        |config| config,
    );
    let app = Router::new().route("/users/{id}", get(user));
    let app = telemetry.handle().instrument(app);
    let (begin, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let mut live = Vec::with_capacity(WARM_UP + ROUNDS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (mut app, dispatch) = (app.clone(), telemetry.dispatch());
            let (begin, end) = (&begin, &end);
            scope.spawn(move || {
                let _subscriber = tracing::dispatcher::set_default(&dispatch);
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.build().unwrap();
                for round in 0..WARM_UP + ROUNDS {
                    begin.wait();
                    runtime.block_on(async {
                        let first = (thread * (WARM_UP + ROUNDS) + round) * REQUESTS;
                        for number in first..first + REQUESTS {
                            ask(&mut app, number).await;
                        }
                    });
                    end.wait();
                }
            });
        }
        for _ in 0..WARM_UP + ROUNDS {
            begin.wait();
            end.wait();
            live.push(LIVE.load(SeqCst));
        }
    });
    let requests = i64::try_from(THREADS * REQUESTS * ROUNDS).unwrap();
    // Two spans each, of which the queue and a batch hold few.
    assert!(dropped(&telemetry) > 1.9 * requests as f64);
    // Whatever is kept for a request, or for a span that is dropped, is at least a word.
    let growth = live[WARM_UP + ROUNDS - 1] - live[WARM_UP - 1];
    assert!(growth < requests, "{growth} bytes more: {live:?}");
}
