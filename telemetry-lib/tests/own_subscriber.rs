//! A subscriber that the service builds with our layer: spans whatever `RUST_LOG` says, and
//! 10,000 requests at once on four workers whose children have the right parents.
//! One test: it takes the global places of the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::routing::get;
use telemetry_lib::testing::{AttributeValue, FakeCollector, ReceivedSpan};
use telemetry_lib::{Config, Telemetry};
use tokio::sync::Barrier;
use tower::ServiceExt;
use tracing::{Instrument, Span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// At once, in waves: the queue holds 16 MiB, and no span may be lost here.
const WAVES: usize = 10;
const AT_ONCE: usize = 1_000;

#[tracing::instrument]
async fn outer(request: u32) {
    tokio::task::yield_now().await;
    inner(request).await;
}

#[tracing::instrument]
async fn inner(request: u32) {
    tokio::task::yield_now().await;
}

async fn handle(Path(request): Path<u32>, all: Arc<Barrier>) {
    all.wait().await;
    let spawned = tracing::info_span!("spawned", request);
    let task = tokio::spawn(outer(request).instrument(spawned));
    tokio::select! {
        () = async { tokio::task::yield_now().await }
            .instrument(tracing::info_span!("chosen", request)) => {}
        () = std::future::pending() => {}
    }
    task.await.unwrap();
}

/// One child span in each place where work may run.
async fn places() {
    let mut set = tokio::task::JoinSet::new();
    set.spawn(async {}.instrument(tracing::info_span!("joined")));
    set.join_all().await;

    let here = Span::current();
    let blocking = move || here.in_scope(|| tracing::info_span!("blocking").in_scope(|| {}));
    tokio::task::spawn_blocking(blocking).await.unwrap();

    let here = Span::current();
    let thread = move || here.in_scope(|| tracing::info_span!("thread").in_scope(|| {}));
    std::thread::spawn(thread).join().unwrap();

    // A task that takes nothing along starts a trace of its own.
    tokio::spawn(async { tracing::info_span!("alone").in_scope(|| {}) })
        .await
        .unwrap();
}

#[test]
fn f39_every_child_has_the_parent_that_made_it() {
    let collector = FakeCollector::start();
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            collector.endpoint(),
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE".to_owned(), "100000".to_owned()),
    ];
    let config = Config::from_vars("many", variables).install_subscriber(false);
    let telemetry = telemetry_lib::init(config).unwrap();
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN))
        .with(telemetry.tracing_layer())
        .init();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let all = Arc::new(Barrier::new(AT_ONCE));
        let route = get(move |path| handle(path, Arc::clone(&all)));
        let app = Telemetry::instrument(&telemetry, Router::new().route("/{request}", route));
        for wave in 0..WAVES {
            let requests = (0..AT_ONCE).map(|at| {
                let uri = format!("/{}", wave * AT_ONCE + at);
                let request = Request::get(uri).body(Body::empty()).unwrap();
                tokio::spawn(app.clone().oneshot(request))
            });
            for request in requests.collect::<Vec<_>>() {
                assert_eq!(request.await.unwrap().unwrap().status(), 200);
            }
            let _ = telemetry.flush(Duration::from_secs(60)).await;
        }
    });
    check(&collector.spans());

    let app = Telemetry::instrument(&telemetry, Router::new().route("/places", get(places)));
    runtime.block_on(async {
        let request = Request::get("/places").body(Body::empty()).unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
        let _ = telemetry.flush(Duration::from_secs(60)).await;
    });
    check_places(&collector.spans()[WAVES * AT_ONCE * 5..]);
}

fn check(spans: &[ReceivedSpan]) {
    let by_id: BTreeMap<String, &ReceivedSpan> =
        spans.iter().map(|span| (span.span_id(), span)).collect();
    assert_eq!(
        by_id.len(),
        WAVES * AT_ONCE * 5,
        "nothing lost, nothing twice"
    );
    for span in spans {
        let parent = by_id.get(&span.parent_span_id());
        let expected = match span.name() {
            "GET /{request}" => None,
            "spawned" | "chosen" => Some("GET /{request}"),
            "outer" => Some("spawned"),
            "inner" => Some("outer"),
            other => panic!("a span {other} that nobody made"),
        };
        assert_eq!(parent.map(|parent| parent.name()), expected, "{span:#?}");
        if let Some(parent) = parent {
            assert_eq!(request_of(parent), request_of(span), "{span:#?}");
        }
    }
}

fn check_places(spans: &[ReceivedSpan]) {
    let named = |name: &str| spans.iter().find(|span| span.name() == name).unwrap();
    let server = named("GET /places").span_id();
    for place in ["joined", "blocking", "thread"] {
        assert_eq!(named(place).parent_span_id(), server, "{place}");
    }
    assert_eq!(named("alone").parent_span_id(), "");
}

/// The number that a request and all of its spans carry.
fn request_of(span: &ReceivedSpan) -> String {
    let carried = span.attribute("request").or(span.attribute("url.path"));
    match carried {
        Some(AttributeValue::Text(text)) => text.trim_start_matches('/').to_owned(),
        Some(AttributeValue::Int(number)) => number.to_string(),
        other => panic!("{other:?} on {span:#?}"),
    }
}
