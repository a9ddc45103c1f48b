//! 10,000 requests under way at once on four workers, through sockets: every span of every
//! request has the parent that the code gave it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{Instrument, info_span, instrument};

use super::runtime;

const REQUESTS: usize = 10_000;
/// HTTP/2 lets a server refuse more than some streams on a connection.
const PER_CONNECTION: usize = 100;
/// So many responses are let go at once, so that the queue of spans is never full.
const WAVE: usize = 500;

#[derive(Clone)]
struct Work {
    arrived: mpsc::Sender<()>,
    released: Arc<Semaphore>,
}

#[instrument(skip_all)]
async fn handle(State(work): State<Work>) {
    nested().await;
    let spawned = tokio::spawn(spawned().in_current_span());
    work.arrived.send(()).await.unwrap();
    tokio::select! {
        permit = work.released.acquire().instrument(info_span!("won")) => permit.unwrap().forget(),
        () = std::future::pending::<()>().instrument(info_span!("lost")) => {}
    }
    spawned.await.unwrap();
    info_span!("after").in_scope(|| {});
}

#[instrument]
async fn nested() {
    tokio::task::yield_now().await;
    innermost().await;
}

#[instrument]
async fn innermost() {
    tokio::task::yield_now().await;
}

#[instrument]
async fn spawned() {
    tokio::task::yield_now().await;
}

/// Name and name of the parent, for every span of a request but the server's own.
const SHAPE: [(&str, &str); 7] = [
    ("after", "handle"),
    ("handle", "GET /work"),
    ("innermost", "nested"),
    ("lost", "handle"),
    ("nested", "handle"),
    ("spawned", "handle"),
    ("won", "handle"),
];

#[test]
fn f39_ten_thousand_requests_at_once_keep_their_spans_apart() {
    let telemetry = TestTelemetry::configured(&[("OTEL_BSP_MAX_QUEUE_SIZE", "200000")], |it| it);
    let runtime = runtime(&telemetry, 4);
    let (arrived, mut arrivals) = mpsc::channel(REQUESTS);
    let released = Arc::new(Semaphore::new(0));
    let work = Work {
        arrived,
        released: Arc::clone(&released),
    };
    let app = Router::new().route("/work", get(handle)).with_state(work);
    let app = telemetry.handle().instrument(app);

    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mut asking = JoinSet::new();
        for connection in 0..REQUESTS / PER_CONNECTION {
            let mut builder = Client::builder(TokioExecutor::new());
            let client: Client<HttpConnector, Empty<Bytes>> = builder.http2_only(true).build_http();
            for stream in 0..PER_CONNECTION {
                let number = connection * PER_CONNECTION + stream;
                let request = Request::get(format!("http://{address}/work"))
                    .header("traceparent", caller(number))
                    .body(Empty::new())
                    .unwrap();
                let client = client.clone();
                asking.spawn(async move {
                    let response = client.request(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    response.into_body().collect().await.unwrap();
                });
            }
        }
        for _ in 0..REQUESTS {
            arrivals.recv().await.unwrap();
        }
        // All of them are under way now, and none has an answer.
        assert!(asking.try_join_next().is_none());
        for _ in 0..REQUESTS / WAVE {
            released.add_permits(WAVE);
            for _ in 0..WAVE {
                asking.join_next().await.unwrap().unwrap();
            }
            let _ = telemetry.handle().flush(Duration::from_secs(60)).await;
        }
        server.abort();
    });
    let spans = runtime.block_on(telemetry.spans());
    check(&spans);
    assert!(!Context::current().has_active_span());
}

/// Trace and span id of whoever makes the request.
fn caller(number: usize) -> String {
    format!("00-{:032x}-{:016x}-01", number + 1, number + 1)
}

fn check(spans: &[ReceivedSpan]) {
    assert_eq!(spans.len(), REQUESTS * (SHAPE.len() + 1));
    let mut traces: BTreeMap<&[u8], Vec<&ReceivedSpan>> = BTreeMap::new();
    for span in spans {
        traces
            .entry(&span.as_otlp().trace_id)
            .or_default()
            .push(span);
    }
    assert_eq!(traces.len(), REQUESTS);
    for (trace, spans) in traces {
        let names = spans.iter().map(|it| (&it.as_otlp().span_id, it.name()));
        let names: BTreeMap<&Vec<u8>, &str> = names.collect();
        let mut shape = Vec::new();
        for span in &spans {
            let parent = &span.as_otlp().parent_span_id;
            match names.get(parent) {
                Some(parent) => shape.push((span.name(), *parent)),
                None => {
                    assert_eq!(span.name(), "GET /work", "{spans:#?}");
                    assert_eq!(parent, &trace[8..], "the caller's span");
                }
            }
        }
        shape.sort_unstable();
        assert_eq!(shape, SHAPE, "trace {trace:?}");
    }
}
