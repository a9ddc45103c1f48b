//! Metrics and traces of the same requests: exemplars that lead to a trace, series that no
//! caller can multiply, and requests that are dropped in masses.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use futures_util::FutureExt;
use http::{HeaderMap, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use telemetry_lib::RouteTemplate;
use telemetry_lib::testing::{AttributeValue, Exposition, TestTelemetry};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,*/*;q=0.1";
const DURATION: &str = "http_server_request_duration_seconds";

fn app(telemetry: &TestTelemetry) -> Router {
    let route = Router::new().route("/users/{id}", get(|| async { "user" }));
    telemetry.handle().instrument(route)
}

async fn ask(app: &Router, request: http::request::Builder) -> (HeaderMap, String) {
    let request: Request = request.body(Body::empty()).unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Serves on a free port of loopback, for as long as the test's runtime lives.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A client with one connection.
async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn scrape(app: &Router) -> Exposition {
    let request = Request::get("/metrics").header("accept", OPEN_METRICS);
    let (headers, body) = ask(app, request).await;
    Exposition::parse(headers["content-type"].to_str().unwrap(), &body).unwrap()
}

fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

#[tokio::test]
async fn an_exemplar_leads_to_a_trace_that_the_collector_holds() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    for id in 0..3 {
        ask(&app, Request::get(format!("/users/{id}"))).await;
    }
    let spans = telemetry.spans().await;
    let scrape = scrape(&app).await;
    let exemplars = scrape.exemplars(DURATION);
    // One slot per series and bucket, kept for 15 s; which bucket is the machine's affair.
    assert!(!exemplars.is_empty());
    for exemplar in &exemplars {
        let id = &exemplar.labels["span_id"];
        let found = spans.iter().find(|it| it.span_id() == *id).unwrap();
        assert_eq!(exemplar.labels["trace_id"], found.trace_id());
        found.assert_attribute("exemplar", text("true"));
    }
    let marked = spans.iter().filter(|it| it.attribute("exemplar").is_some());
    assert_eq!(
        marked.count(),
        exemplars.len(),
        "only what is shown is marked"
    );
}

#[tokio::test]
async fn what_is_not_sampled_is_no_exemplar() {
    let telemetry = TestTelemetry::configured(&[("OTEL_TRACES_SAMPLER", "always_off")], |it| it);
    let app = app(&telemetry);
    ask(&app, Request::get("/users/1")).await;
    let scrape = scrape(&app).await;
    assert!(scrape.exemplars(DURATION).is_empty());
    assert_eq!(
        scrape.total(&format!("{DURATION}_count")),
        1.0,
        "it is counted all the same"
    );
    assert!(telemetry.spans().await.is_empty());
}

#[tokio::test]
async fn a_span_that_the_queue_cannot_take_is_no_exemplar() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    let _ = telemetry
        .handle()
        .shutdown(std::time::Duration::from_secs(60))
        .await;
    ask(&app, Request::get("/users/1")).await;
    assert!(scrape(&app).await.exemplars(DURATION).is_empty());
}

#[tokio::test]
async fn a_disabled_sdk_measures_nothing() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "true")], |it| it);
    let app = app(&telemetry);
    ask(&app, Request::get("/users/1")).await;
    assert_eq!(scrape(&app).await.total(&format!("{DURATION}_count")), 0.0);
}

/// A stranger's request: nothing in it came before or will come again.
fn probe(at: usize) -> http::request::Builder {
    Request::builder()
        .method(format!("PROBE{at}").as_str())
        .uri(format!("/no/such/path/{at}?{at}={at}"))
        .header("host", format!("host{at}.example:{}", at % 65_536))
        .header("x-forwarded-host", format!("other{at}.example"))
        .header("x-client-name", format!("client{at}"))
        .header("user-agent", format!("agent{at}"))
}

/// Five times as many as a metric may have series, each of which is new in every respect.
const MANY: usize = 10_000;

#[tokio::test]
async fn f18_methods_paths_and_hosts_make_no_series() {
    let telemetry = TestTelemetry::configured(&[("OTEL_TRACES_SAMPLER", "always_off")], |it| it);
    let app = app(&telemetry);
    ask(&app, probe(0)).await;
    let series = scrape(&app).await.samples().len();
    let mut client = connect(serve(app.clone()).await).await;
    for at in 1..MANY {
        let request = probe(at).body(Body::empty()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 404);
        response.into_body().collect().await.unwrap();
    }
    let scrape = scrape(&app).await;
    assert_eq!(scrape.samples().len(), series);
    let labels = [
        ("http_request_method", "_OTHER"),
        ("http_response_status_code", "404"),
    ];
    let count = scrape.value(&format!("{DURATION}_count"), &labels);
    assert_eq!(count, Some(MANY as f64));
    assert_eq!(telemetry.notices().len(), 1, "{:?}", telemetry.notices());
}

/// Every method, version, scheme and header that might become a label, on every route.
async fn flood(app: &Router, routes: usize) {
    let methods = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY PROBE";
    let versions = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];
    for route in 0..routes {
        for method in methods.split(' ') {
            for version in versions {
                for scheme in ["http", "https"] {
                    let request = Request::builder()
                        .method(method)
                        .version(version)
                        .uri(format!("{scheme}://shop.example/{route}/a"))
                        .header("host", format!("{method}.example"))
                        .header("x-forwarded-proto", scheme)
                        .header("forwarded", format!("proto={scheme}"));
                    ask(app, request).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn f18_a_stranger_who_tries_everything_hides_neither_errors_nor_successes() {
    const ROUTES: usize = 150;
    let telemetry = TestTelemetry::configured(&[("OTEL_TRACES_SAMPLER", "always_off")], |it| it);
    let mut router = Router::new()
        .route("/quiet", get(|| async { "for the first time" }))
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        );
    for route in 0..ROUTES {
        router = router.route(&format!("/{route}/{{id}}"), get(|| async { "it" }));
    }
    let app = telemetry.handle().instrument(router);
    flood(&app, ROUTES).await;
    ask(&app, Request::get("/quiet")).await;
    ask(&app, Request::get("/broken")).await;

    let scrape = scrape(&app).await;
    let count = |labels: &[_]| scrape.value(&format!("{DURATION}_count"), labels);
    assert_eq!(count(&[("http_route", "/quiet")]), Some(1.0));
    let broken = [("http_route", "/broken"), ("error_type", "500")];
    assert_eq!(count(&broken), Some(1.0));
    assert!(count(&[("otel_metric_overflow", "true")]) > Some(1.0));
    let schemes = scrape
        .samples()
        .iter()
        .filter_map(|it| it.labels.get("url_scheme"));
    assert!(schemes.into_iter().all(|scheme| scheme == "http"));
}

#[tokio::test]
async fn f18_spans_of_strangers_all_have_one_name() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    for at in 0..100 {
        ask(&app, probe(at)).await;
    }
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 100);
    for (at, span) in spans.iter().enumerate() {
        assert_eq!(span.name(), "HTTP");
        let original = format!("PROBE{at}");
        span.assert_attribute("http.request.method_original", text(&original));
    }
}

#[tokio::test]
async fn f16_a_flood_of_headers_is_cut_and_counted() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    let members: Vec<String> = (0..10_000)
        .map(|at| format!("key{at}={}", "v".repeat(100)))
        .collect();
    let mut request = Request::get("/users/1")
        .header("baggage", members.join(","))
        .header("tracestate", "x".repeat(100_000))
        .header("traceparent", "0".repeat(100_000));
    for at in 0..200 {
        request = request.header(format!("x-flood-{at}"), "y".repeat(8_192));
    }
    ask(&app, request).await;
    assert_eq!(telemetry.spans().await.len(), 1);
    let scrape = scrape(&app).await;
    let malformed = |header| {
        let labels = [("header", header)];
        scrape.value("telemetry_malformed_headers_total", &labels)
    };
    assert_eq!(malformed("traceparent"), Some(1.0));
    assert_eq!(malformed("baggage"), Some(1.0));
}

#[tokio::test]
async fn f23_a_thousand_dropped_requests_are_cancelled_once_each() {
    let telemetry = TestTelemetry::configured(&[("OTEL_BSP_MAX_QUEUE_SIZE", "4096")], |it| it);
    let never = get(|| async { std::future::pending::<()>().await });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/never", never));
    for _ in 0..1_000 {
        let request = Request::get("/never").body(Body::empty()).unwrap();
        // As a timeout layer does: polled, then dropped.
        assert!(app.clone().oneshot(request).now_or_never().is_none());
    }
    let scrape = scrape(&app).await;
    let labels = [("error_type", "cancelled"), ("http_route", "/never")];
    assert_eq!(
        scrape.value(&format!("{DURATION}_count"), &labels),
        Some(1_000.0)
    );
    assert_eq!(scrape.total("http_server_active_requests"), 0.0);
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1_000);
    for span in spans {
        span.assert_attribute("error.type", text("cancelled"))
            .assert_attribute("http.response.status_code", None);
        assert!(!span.is_error());
    }
}

#[tokio::test]
async fn f23_clients_that_vanish_from_their_sockets_are_cancelled_once_each() {
    const CLIENTS: usize = 300;
    let telemetry = TestTelemetry::start();
    let arrived = Arc::new(Semaphore::new(0));
    let there = Arc::clone(&arrived);
    let never = get(|| async move {
        there.add_permits(1);
        std::future::pending::<()>().await
    });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/never", never));
    let address = serve(app.clone()).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET /never HTTP/1.1\r\nhost: shop\r\n\r\n";
        client.write_all(request).await.unwrap();
        clients.push(client);
    }
    let all = u32::try_from(CLIENTS).unwrap();
    arrived.acquire_many(all).await.unwrap().forget();
    let active = "http_server_active_requests";
    assert_eq!(scrape(&app).await.total(active), CLIENTS as f64);

    drop(clients);
    while scrape(&app).await.total(active) > 0.0 {
        tokio::task::yield_now().await;
    }
    let labels = [("error_type", "cancelled"), ("http_route", "/never")];
    let scrape = scrape(&app).await;
    let count = scrape.value(&format!("{DURATION}_count"), &labels);
    assert_eq!(count, Some(CLIENTS as f64));
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), CLIENTS);
    for span in spans {
        span.assert_attribute("error.type", text("cancelled"));
        assert!(!span.is_error());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct Refused;

#[tokio::test]
async fn any_tower_service_passes_its_errors_through() {
    let telemetry = TestTelemetry::start();
    let service = service_fn(|_: http::Request<()>| async { Err::<Response<String>, _>(Refused) });
    let service = telemetry.handle().http_server().layer(service);
    let request = http::Request::get("/a").body(()).unwrap();
    let _: Refused = service.oneshot(request).await.unwrap_err();
    let spans = telemetry.spans().await;
    assert!(spans[0].is_error());
    spans[0]
        .assert_attribute("error.type", text(std::any::type_name::<Refused>()))
        .assert_attribute("http.response.status_code", None);
}

#[tokio::test]
async fn a_router_of_ones_own_tells_its_template_before_or_after() {
    let telemetry = TestTelemetry::start();
    let layer = telemetry.handle().http_server();
    let late = layer.layer(service_fn(|_: http::Request<()>| async {
        let mut response = Response::new(String::new());
        response
            .extensions_mut()
            .insert(RouteTemplate::new("/late/{id}"));
        Ok::<_, Infallible>(response)
    }));
    drop(
        late.oneshot(http::Request::get("/late/1").body(()).unwrap())
            .await
            .unwrap(),
    );
    let early = layer.layer(service_fn(|_: http::Request<()>| async {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let request = http::Request::get("/early/1").extension(RouteTemplate::new("/early/{id}"));
    drop(early.oneshot(request.body(()).unwrap()).await.unwrap());

    let spans = telemetry.spans().await;
    let names: Vec<&str> = spans.iter().map(|span| span.name()).collect();
    assert_eq!(names, ["GET /late/{id}", "GET /early/{id}"]);
    spans[0].assert_attribute("http.route", text("/late/{id}"));
}

struct Panicking;

impl<S: Sync> axum::extract::FromRequestParts<S> for Panicking {
    type Rejection = Infallible;

    async fn from_request_parts(
        _: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        panic!("in an extractor")
    }
}

#[tokio::test]
async fn f20_a_panic_in_a_spawned_task_or_an_extractor_leaves_no_gauge_behind() {
    let telemetry = TestTelemetry::start();
    let spawning = get(|| async {
        let task = tokio::spawn(async {
            if true {
                panic!("in a task")
            }
        });
        assert!(task.await.is_err());
    });
    let routes = Router::new()
        .route("/extracting", get(|_: Panicking| async {}))
        .route("/spawning", spawning);
    let app = telemetry.handle().instrument(routes);
    ask(&app, Request::get("/spawning")).await;
    let request = Request::get("/extracting").body(Body::empty()).unwrap();
    let panicked = std::panic::AssertUnwindSafe(app.clone().oneshot(request)).catch_unwind();
    assert!(panicked.await.is_err());

    let scrape = scrape(&app).await;
    assert_eq!(scrape.total("http_server_active_requests"), 0.0);
    let count = |labels: &[(&str, &str)]| scrape.value(&format!("{DURATION}_count"), labels);
    assert_eq!(
        count(&[
            ("http_route", "/spawning"),
            ("http_response_status_code", "200")
        ]),
        Some(1.0)
    );
    assert_eq!(
        count(&[("http_route", "/extracting"), ("error_type", "panic")]),
        Some(1.0)
    );
}
