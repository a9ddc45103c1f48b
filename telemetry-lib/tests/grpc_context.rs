//! The context on its way through gRPC: who is whose parent, what travels, and what is left alone.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

#[expect(dead_code, reason = "shared with the tests of how a call ends")]
mod shop;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::{Request, Response};
use shop::{Running, Shop, text, unary};
use telemetry_lib::Callers;
use telemetry_lib::layers::GrpcServerLayer;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const CHAINS: usize = 500;

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// Two gRPC servers behind an axum service: HTTP, then gRPC, then gRPC.
async fn chain(telemetry: &TestTelemetry) -> (Router, [Running; 2]) {
    let layer: GrpcServerLayer = telemetry.handle().grpc_server();
    let client = || telemetry.handle().grpc_client();
    let last = Running::start(layer.clone(), Shop::default()).await;
    let next = Some(last.channel(client()));
    let relay = Shop {
        next,
        ..Shop::default()
    };
    let first = Running::start(layer, relay).await;
    let channel = first.channel(client());
    let handler = move |Path(id): Path<String>| async move {
        tokio::task::yield_now().await;
        let answer = unary(channel, "Relay", text(&id)).await.unwrap();
        answer.into_inner().text
    };
    let router = Router::new().route("/orders/{id}", get(handler));
    (telemetry.handle().instrument(router), [first, last])
}

#[test]
fn f39_parents_are_right_through_http_grpc_and_grpc_at_once() {
    let telemetry = TestTelemetry::configured(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10000")], |it| it);
    let dispatch = telemetry.dispatch();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        // The subscriber of this test alone, for as long as the thread lives.
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
        .enable_all()
        .build()
        .unwrap();
    let spans = runtime.block_on(async {
        let (router, _servers) = chain(&telemetry).await;
        let requests = (0..CHAINS).map(|id| {
            let request = Request::get(format!("/orders/{id}")).body(axum::body::Body::empty());
            let asked = router.clone().oneshot(request.unwrap());
            tokio::spawn(async move {
                let body = asked.await.unwrap().into_body();
                let body = http_body_util::BodyExt::collect(body).await.unwrap();
                assert_eq!(body.to_bytes(), id.to_string());
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        let arrived = async {
            loop {
                let spans = telemetry.spans().await;
                if spans.len() >= CHAINS * 5 {
                    return spans;
                }
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, arrived).await.unwrap()
    });
    check_chains(&spans);
}

fn check_chains(spans: &[ReceivedSpan]) {
    let mut traces: BTreeMap<String, Vec<&ReceivedSpan>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id()).or_default().push(span);
    }
    assert_eq!(traces.len(), CHAINS);
    let expected = [
        ("server", "GET /orders/{id}"),
        ("client", "test.Shop/Relay"),
        ("server", "test.Shop/Relay"),
        ("client", "test.Shop/Get"),
        ("server", "test.Shop/Get"),
    ];
    for spans in traces.values() {
        let mut parent = String::new();
        let mut way = Vec::new();
        while let Some(span) = spans.iter().find(|span| span.parent_span_id() == parent) {
            way.push((span.kind(), span.name()));
            parent = span.span_id();
        }
        assert_eq!(way, expected);
        assert_eq!(spans.len(), expected.len());
    }
}

/// What stands in the headers of a request after the client's layer, called like this.
async fn sent(telemetry: &TestTelemetry, request: Request<Body>) -> http::HeaderMap {
    let echo = service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let client = telemetry.handle().grpc_client().layer(echo);
    client.oneshot(request).await.unwrap().headers().clone()
}

fn call() -> http::request::Builder {
    Request::post("http://shop:50051/test.Shop/Get").header("content-type", "application/grpc")
}

#[tokio::test]
async fn the_parent_is_what_is_current_when_the_call_is_made() {
    let telemetry = TestTelemetry::start();
    let echo =
        service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let client = telemetry.handle().grpc_client().layer(echo);
    let request = call().body(Body::empty()).unwrap();
    let outer = tracing::info_span!("outer");
    let called = outer.in_scope(|| {
        let mut client = client;
        tower::Service::call(&mut client, request)
    });
    let elsewhere = tracing::info_span!("elsewhere");
    let polled = tracing::Instrument::instrument(called, elsewhere);
    drop(polled.await.unwrap());
    drop(outer);
    let spans = telemetry.spans().await;
    let named = |name: &str| spans.iter().find(|span| span.name() == name).unwrap();
    let client = named("test.Shop/Get");
    assert_eq!(client.parent_span_id(), named("outer").span_id());
    // From the request's own URI.
    client
        .assert_attribute("server.address", Some("shop".into()))
        .assert_attribute("server.port", Some(50_051.into()));
}

#[tokio::test]
async fn a_context_of_the_same_trace_is_left_alone() {
    let telemetry = TestTelemetry::start();
    let there = call().header("traceparent", traceparent());
    let headers = sent(&telemetry, there.body(Body::empty()).unwrap()).await;
    let own = headers["traceparent"].to_str().unwrap();
    assert!(!own.contains(TRACE), "another trace's: {own}");

    let parent =
        telemetry_lib::propagation::extract(&telemetry_lib::propagation::HeaderCarrier(&headers));
    let _attached = parent.attach();
    let trace = own.split('-').nth(1).unwrap();
    let nearer = format!("00-{trace}-{PARENT}-01");
    let there = call().header("traceparent", &nearer);
    let headers = sent(&telemetry, there.body(Body::empty()).unwrap()).await;
    assert_eq!(headers["traceparent"], nearer);
}

/// The spans of a call that came with a context, to a server configured like this.
async fn served(telemetry: &TestTelemetry) -> Vec<ReceivedSpan> {
    let server = telemetry.handle().grpc_server().layer(Shop::default());
    let request = call().header("traceparent", traceparent());
    let response = server.oneshot(request.body(Body::empty()).unwrap());
    drop(response.await.unwrap());
    telemetry.spans().await
}

#[tokio::test]
async fn a_caller_is_continued_or_only_linked() {
    let telemetry = TestTelemetry::start();
    let spans = served(&telemetry).await;
    assert_eq!(spans[0].trace_id(), TRACE);
    assert_eq!(spans[0].parent_span_id(), PARENT);
    let edge = TestTelemetry::configured(&[], |config| config.callers(Callers::Public));
    let spans = served(&edge).await;
    assert_ne!(spans[0].trace_id(), TRACE);
    assert_eq!(spans[0].as_otlp().links.len(), 1);
}

#[tokio::test]
async fn without_an_sdk_the_context_passes_through() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "true")], |it| it);
    let client = telemetry.handle().grpc_client();
    let echo = service_fn(move |request: Request<Body>| {
        let inner = service_fn(|request: Request<Body>| async move {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = request.headers().clone();
            Ok::<_, Infallible>(response)
        });
        let onward = Request::post(request.uri()).body(Body::empty()).unwrap();
        client.layer(inner).oneshot(onward)
    });
    let server = telemetry.handle().grpc_server().layer(echo);
    let request = call().header("traceparent", traceparent());
    let response = server
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["traceparent"], traceparent());
    assert!(telemetry.spans().await.is_empty());
}

#[tokio::test]
async fn what_is_no_call_or_is_skipped_passes_without_a_span() {
    let skip = |config: telemetry_lib::Config| {
        config.skip_paths(["/grpc.health.v1.Health/Check".to_owned()])
    };
    let telemetry = TestTelemetry::configured(&[], skip);
    let layer = telemetry.handle().grpc_server();
    let requests = [
        Request::post("/test.Shop/Get").header("content-type", "application/grpc-web"),
        Request::get("/test.Shop/Get").header("content-type", "application/grpc"),
        Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/grpc"),
    ];
    for request in requests {
        let request = request.body(Body::empty()).unwrap();
        drop(layer.layer(Shop::default()).oneshot(request).await.unwrap());
    }
    assert!(telemetry.spans().await.is_empty());
    // Twice around the same service is once.
    let twice = layer.layer(layer.layer(Shop::default()));
    drop(
        twice
            .oneshot(call().body(Body::empty()).unwrap())
            .await
            .unwrap(),
    );
    assert_eq!(telemetry.spans().await.len(), 1);
}

#[tokio::test]
async fn the_trace_id_is_told_if_the_service_wants_it() {
    let header = http::HeaderName::from_static("x-trace-id");
    let telemetry = TestTelemetry::configured(&[], |config| config.trace_id_header(header));
    let server = telemetry.handle().grpc_server().layer(Shop::default());
    let response = server.oneshot(call().body(Body::empty()).unwrap()).await;
    let told = response.unwrap().headers()["x-trace-id"].clone();
    assert_eq!(
        telemetry.spans().await[0].trace_id(),
        told.to_str().unwrap()
    );
}
