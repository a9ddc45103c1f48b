//! F26 and beside it: how a call ends, on both sides, over real sockets between tonic's server and
//! tonic's client. Read from OTLP bytes and from a scrape.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod shop;

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use futures_util::FutureExt;
use shop::{Running, Shop, collect, text, unary, watch, within};
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};
use tower::ServiceExt;

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the collector has so many spans more than `before`, and returns these.
async fn new_spans(telemetry: &TestTelemetry, before: usize, count: usize) -> Vec<ReceivedSpan> {
    let arrived = async {
        loop {
            let spans = telemetry.spans().await;
            if spans.len() >= before + count {
                return spans[before..].to_vec();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived)
        .await
        .expect("the spans arrive")
}

fn shown(span: &ReceivedSpan, key: &str) -> String {
    span.attribute(key)
        .map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// A line for each span: what a reader of the trace sees.
fn rows(mut spans: Vec<ReceivedSpan>) -> String {
    spans.sort_by_key(|span| span.kind());
    let row = |span: &ReceivedSpan| {
        format!(
            "  {:<7}| {:<18}| {:<18}| {:<18}| {:<18}| {}",
            span.kind(),
            span.name(),
            shown(span, "rpc.method"),
            shown(span, "rpc.status_code"),
            shown(span, "error.type").rsplit("::").next().unwrap(),
            if span.is_error() { "error" } else { "unset" },
        )
    };
    spans.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// What each case left behind, for people to read.
struct Table<'t> {
    telemetry: &'t TestTelemetry,
    text: String,
}

impl Table<'_> {
    /// Runs one case and adds its two spans.
    async fn case<T>(&mut self, name: &str, run: impl Future<Output = T>) -> T {
        let before = self.telemetry.spans().await.len();
        let result = run.await;
        let spans = new_spans(self.telemetry, before, 2).await;
        for span in &spans {
            assert_eq!(shown(span, "rpc.system.name"), "grpc");
            assert!(span.status_message().is_empty());
        }
        let [client, server] = &sorted(&spans)[..] else {
            panic!("{name}: {spans:#?}");
        };
        assert_eq!((client.kind(), server.kind()), ("client", "server"));
        assert_eq!(server.parent_span_id(), client.span_id(), "{name}");
        assert_eq!(server.trace_id(), client.trace_id(), "{name}");
        self.text.push_str(&format!("{name}\n{}\n", rows(spans)));
        result
    }
}

fn sorted(spans: &[ReceivedSpan]) -> Vec<ReceivedSpan> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.kind());
    spans
}

type Client = shop::Instrumented<tonic::transport::Channel>;

/// The code of a call that is to fail.
fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> Code {
    result.unwrap_err().code()
}

async fn unary_calls(table: &mut Table<'_>, client: &Client) {
    let ask = |what| unary(client.clone(), "Get", text(what));
    let nope = unary(client.clone(), "Nope", text(""));
    let name = "a method that is not there, of an unknown one";
    assert_eq!(code(table.case(name, nope).await), Code::Unimplemented);
    let nope = unary(client.clone(), "no.Such/Get", text(""));
    let name = "a service that is not there";
    assert_eq!(code(table.case(name, nope).await), Code::Unimplemented);
    let got = table.case("unary", ask("tea")).await;
    assert_eq!(got.unwrap().get_ref().text, "tea");
    let name = "unary, trailers only, not found";
    assert_eq!(code(table.case(name, ask("missing")).await), Code::NotFound);
    let name = "unary, trailers only, internal";
    assert_eq!(code(table.case(name, ask("broken")).await), Code::Internal);
}

/// How many messages came, and what ended them.
async fn read(client: Client, what: &str) -> (usize, Option<Code>) {
    let mut messages = watch(client, what).await.unwrap();
    let mut count = 0;
    loop {
        match messages.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, None),
            Err(status) => return (count, Some(status.code())),
        }
    }
}

async fn streams(table: &mut Table<'_>, client: &Client) {
    let parts = collect(client.clone(), &["a", "b", "c"]);
    let got = table.case("stream from the client", parts).await;
    assert_eq!(got.unwrap().get_ref().text, "abc");
    let all = read(client.clone(), "all");
    let got = table.case("stream from the server", all).await;
    assert_eq!(got, (3, None));
    let fails = read(client.clone(), "fails");
    let got = table.case("stream that fails at message 3", fails).await;
    assert_eq!(got, (2, Some(Code::DataLoss)));
    let leave = async {
        let mut messages = watch(client.clone(), "endless").await.unwrap();
        messages.message().await.unwrap().unwrap();
    };
    table.case("stream that the client leaves", leave).await;
}

#[tokio::test]
async fn f26_every_end_of_a_call_is_told_right_on_both_sides() {
    let telemetry = TestTelemetry::start();
    let shop = Shop::default();
    let waits = shop.waits.clone();
    let server = Running::start(telemetry.handle().grpc_server(), shop).await;
    let layer = || telemetry.handle().grpc_client().server("shop", 50_051);
    let client = server.channel(layer());
    let mut table = Table {
        telemetry: &telemetry,
        text: String::new(),
    };
    unary_calls(&mut table, &client).await;
    streams(&mut table, &client).await;
    let leave = async {
        tokio::select! {
            got = unary(client.clone(), "Get", text("waits")) => panic!("{got:?}"),
            () = waits.notified() => {}
        }
    };
    table.case("unary that the client cancels", leave).await;
    // No timer but the server's, so that each side's reading is certain.
    let patient = server.patient(layer()).await;
    let late = unary(patient, "Get", within(Duration::from_millis(50), "waits"));
    let got = code(table.case("deadline", late).await);
    assert_eq!(got, Code::Cancelled, "tonic says so");
    insta::assert_snapshot!(table.text);
}

#[tokio::test]
async fn f26_the_metrics_say_what_the_spans_say() {
    let telemetry = TestTelemetry::start();
    let server = Running::start(telemetry.handle().grpc_server(), Shop::default()).await;
    let layer = telemetry.handle().grpc_client().server("shop", 50_051);
    let client = server.channel(layer);
    for what in ["tea", "missing", "broken", "missing"] {
        let _ = unary(client.clone(), "Get", text(what)).await;
    }
    let _ = unary(client.clone(), "Nope", text("")).await;
    let spans = new_spans(&telemetry, 0, 10).await;
    let page = telemetry.scrape();
    let count = |side: &str, labels: &[(&str, &str)]| {
        let name = format!("rpc_{side}_call_duration_seconds_count");
        let system = [("rpc_system_name", "grpc")];
        let labels: Vec<_> = system.iter().chain(labels).copied().collect();
        page.value(&name, &labels)
    };
    let get = ("rpc_method", "test.Shop/Get");
    for (code, calls) in [("OK", 1.0), ("NOT_FOUND", 2.0), ("INTERNAL", 1.0)] {
        let labels = [get, ("rpc_status_code", code)];
        assert_eq!(count("server", &labels), Some(calls), "{code}");
        let client = [
            labels[0],
            labels[1],
            ("server_address", "shop"),
            ("server_port", "50051"),
        ];
        assert_eq!(count("client", &client), Some(calls), "{code}");
    }
    let other = [("rpc_method", "_OTHER"), ("error_type", "UNIMPLEMENTED")];
    assert_eq!(count("server", &other), Some(1.0));
    // A client's methods stand in its code.
    let nope = [
        ("rpc_method", "test.Shop/Nope"),
        ("error_type", "UNIMPLEMENTED"),
    ];
    assert_eq!(count("client", &nope), Some(1.0));
    for side in ["server", "client"] {
        let missing = [
            ("rpc_status_code", "NOT_FOUND"),
            ("error_type", "NOT_FOUND"),
        ];
        let expected = (side == "client").then_some(2.0);
        assert_eq!(count(side, &missing), expected, "{side}");
    }
    for side in ["server", "client"] {
        let exemplars = page.exemplars(&format!("rpc_{side}_call_duration_seconds"));
        assert!(!exemplars.is_empty(), "{side}");
        for exemplar in exemplars {
            let id = &exemplar.labels["span_id"];
            let span = spans.iter().find(|span| span.span_id() == *id).unwrap();
            assert_eq!(span.kind(), side);
            assert_eq!(shown(span, "exemplar"), "true");
            // They end with one reading, which the exemplar shows in milliseconds.
            let end = span.as_otlp().end_time_unix_nano as f64 / 1e9;
            let shown = exemplar.timestamp.unwrap();
            assert!((shown - end).abs() <= 0.001, "{shown} {end}");
        }
    }
}

#[tokio::test]
async fn a_given_list_of_methods_is_all_there_is() {
    let telemetry = TestTelemetry::start();
    let layer = telemetry.handle().grpc_server().methods(["test.Shop/Nope"]);
    let server = Running::start(layer, Shop::default()).await;
    let client = server.channel(telemetry.handle().grpc_client());
    for method in ["Nope", "Get"] {
        let _ = unary(client.clone(), method, text("tea")).await;
    }
    let spans = new_spans(&telemetry, 0, 4).await;
    let names = spans.iter().filter(|span| span.kind() == "server");
    let names: Vec<_> = names.map(|span| shown(span, "rpc.method")).collect();
    assert_eq!(
        names,
        ["test.Shop/Nope", "_OTHER"],
        "the list is all there is"
    );
}

#[tokio::test]
async fn who_cannot_reach_the_server_is_told_so() {
    let telemetry = TestTelemetry::start();
    let gone = Running::start(telemetry.handle().grpc_server(), Shop::default()).await;
    let client = |gone: &Running| gone.channel(telemetry.handle().grpc_client());
    let unreachable = client(&gone);
    drop(gone);
    let status = unary(unreachable, "Get", text("")).await.unwrap_err();
    let spans = new_spans(&telemetry, 0, 1).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(shown(&spans[0], "rpc.status_code"), "UNAVAILABLE");
    let error = shown(&spans[0], "error.type");
    assert!(
        error.starts_with("tonic::") && error.ends_with("Error"),
        "{error}"
    );
    assert!(spans[0].is_error());
}

#[tokio::test]
async fn f26_a_client_whose_time_is_over_does_not_wait_for_the_server() {
    let telemetry = TestTelemetry::start();
    let never = post(std::future::pending::<()>);
    let server = Running::start_bare(Router::new().fallback(never)).await;
    let client = server.channel(telemetry.handle().grpc_client());
    let asked = within(Duration::from_millis(50), "");
    unary(client, "Get", asked).await.unwrap_err();
    let timed = server.endpoint().timeout(Duration::from_millis(50));
    let timed = tower::Layer::layer(&telemetry.handle().grpc_client(), timed.connect_lazy());
    unary(timed, "Get", text("")).await.unwrap_err();
    for span in new_spans(&telemetry, 0, 2).await {
        assert_eq!(shown(&span, "rpc.status_code"), "DEADLINE_EXCEEDED");
        assert!(span.is_error());
    }
}

#[tokio::test]
async fn an_axum_router_serves_calls_and_requests_side_by_side() {
    let telemetry = TestTelemetry::start();
    let router = tonic::service::Routes::new(Shop::default())
        .into_axum_router()
        .route("/users/{id}", get(|| async { "user" }))
        .route(
            "/proxy.Down/Get",
            post(|| async { http::StatusCode::BAD_GATEWAY }),
        );
    let server = Running::start_bare(telemetry.handle().instrument(router)).await;
    let client = server.channel(telemetry.handle().grpc_client());
    unary(client.clone(), "Get", text("tea")).await.unwrap();
    let _ = unary(client.clone(), "Nope", text("")).await;
    let bad_gateway = unary(client, "proxy.Down/Get", text("")).await;
    assert_eq!(bad_gateway.unwrap_err().code(), Code::Unavailable);
    let user = format!("http://{}/users/7", server.address);
    let stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(user).header("host", "shop");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);

    let mut spans = new_spans(&telemetry, 0, 7).await;
    spans.retain(|span| span.kind() == "server");
    let http = spans.pop().unwrap();
    assert_eq!(http.name(), "GET /users/{id}");
    let told = |span: &ReceivedSpan| (span.name().to_owned(), shown(span, "rpc.status_code"));
    let expected = [
        ("test.Shop/Get", "OK"),
        ("grpc", "UNIMPLEMENTED"),
        ("grpc", "UNAVAILABLE"),
    ];
    let found: Vec<_> = spans.iter().map(told).collect();
    assert_eq!(
        found,
        expected.map(|(name, code)| (name.to_owned(), code.to_owned()))
    );
    let page = telemetry.scrape();
    assert_eq!(page.total("rpc_server_call_duration_seconds_count"), 3.0);
    assert_eq!(
        page.total("http_server_request_duration_seconds_count"),
        1.0
    );
}

/// Polled once, then dropped, as when a caller hangs up.
fn knock(app: &Router, path: &str) {
    let request = http::Request::post(path).header("content-type", "application/grpc");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let asked = AssertUnwindSafe(app.clone().oneshot(request)).catch_unwind();
    // Dropping what came drops a response before its end as well.
    drop(asked.now_or_never());
}

async fn panics() {
    panic!("by a stranger")
}

#[tokio::test]
async fn f18_a_stranger_teaches_no_methods_with_the_content_type_of_grpc() {
    let telemetry = TestTelemetry::start();
    let never = || post(std::future::pending::<()>);
    let router = tonic::service::Routes::new(Shop::default())
        .into_axum_router()
        .route("/plain/{id}", post(|| async { "no call" }))
        .route("/slow/{id}", never())
        .route("/broken/{id}", post(panics))
        .fallback_service(never());
    let app = telemetry.handle().instrument(router);
    for at in 0..600 {
        for service in ["plain", "slow", "test.Shop", "no.Such"] {
            knock(&app, &format!("/{service}/{at}"));
        }
    }
    knock(&app, "/broken/1");
    let server = Running::start_bare(app).await;
    let client = server.channel(telemetry.handle().grpc_client());
    unary(client, "Get", text("tea")).await.unwrap();

    let page = telemetry.scrape();
    let calls = "rpc_server_call_duration_seconds_count";
    let known = [("rpc_method", "test.Shop/Get"), ("rpc_status_code", "OK")];
    assert_eq!(page.value(calls, &known), Some(1.0));
    assert_eq!(page.total(calls), 2_402.0);
    let methods = page.samples().iter().filter(|sample| sample.name == calls);
    let methods: BTreeSet<_> = methods.map(|it| it.labels["rpc_method"].as_str()).collect();
    assert_eq!(methods, BTreeSet::from(["_OTHER", "test.Shop/Get"]));
}

/// Refuses whatever is asked for, as one that wants to know the tenant.
fn guard(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("tenant") {
        Some(_) => Ok(request),
        None => Err(Status::invalid_argument("which tenant?")),
    }
}

#[tokio::test]
async fn f18_an_interceptor_that_refuses_everything_teaches_few_names() {
    let telemetry = TestTelemetry::start();
    let shop = InterceptedService::new(Shop::default(), guard);
    let server = Running::start(telemetry.handle().grpc_server(), shop).await;
    let stranger = server.endpoint().connect_lazy();
    for at in 0..600 {
        let refused = unary(stranger.clone(), &format!("M{at}"), text("")).await;
        assert_eq!(code(refused), Code::InvalidArgument);
    }
    let asked = |what| {
        let mut request = Request::new(text(what));
        request
            .metadata_mut()
            .insert("tenant", "7".parse().unwrap());
        request
    };
    // It has no place among the refused any more, but one of its own with its first answer.
    let refused = unary(stranger.clone(), "Get", asked("missing")).await;
    assert_eq!(code(refused), Code::NotFound);
    for what in ["tea", "missing"] {
        let _ = unary(stranger.clone(), "Get", asked(what)).await;
    }

    let calls = "rpc_server_call_duration_seconds_count";
    new_spans(&telemetry, 0, 603).await;
    let page = telemetry.scrape();
    assert_eq!(page.total(calls), 603.0);
    for code in ["OK", "NOT_FOUND"] {
        let known = [("rpc_method", "test.Shop/Get"), ("rpc_status_code", code)];
        assert_eq!(page.value(calls, &known), Some(1.0), "{code}");
    }
    let methods = page.samples().iter().filter(|sample| sample.name == calls);
    let methods: BTreeSet<_> = methods.map(|it| it.labels["rpc_method"].as_str()).collect();
    assert_eq!(methods.len(), 52, "50 that were refused, Get and _OTHER");
}

#[tokio::test]
async fn f20_a_panic_in_a_method_is_told_and_the_server_goes_on() {
    let telemetry = TestTelemetry::start();
    let server = Running::start(telemetry.handle().grpc_server(), Shop::default()).await;
    let client = || server.channel(telemetry.handle().grpc_client());
    for what in ["tea", "panic", "tea"] {
        let answer = unary(client(), "Get", text(what)).await;
        assert_eq!(answer.is_err(), what == "panic");
    }
    let spans = new_spans(&telemetry, 2, 4).await;
    let mut servers = spans.iter().filter(|span| span.kind() == "server");
    let panicked = servers.next().unwrap();
    assert_eq!(shown(panicked, "error.type"), "panic");
    assert_eq!(panicked.name(), "test.Shop/Get");
    assert!(panicked.is_error());
    assert_eq!(shown(servers.next().unwrap(), "rpc.status_code"), "OK");
}
