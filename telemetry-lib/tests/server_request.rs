//! The server span as the semantic conventions (stable, 1.44) want it, read from OTLP bytes,
//! and the context that travels through a service.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::routing::{any, get};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName};
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt as _;
use telemetry_lib::propagation::{self, HeaderCarrierMut};
use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry};
use telemetry_lib::tracing_opentelemetry::OpenTelemetrySpanExt;
use telemetry_lib::{Callers, Config, Endpoints, layers};
use tower::ServiceExt;
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

fn users() -> Router {
    Router::new()
        .route("/users/{id}", any(|| async { "user" }))
        .nest(
            "/api",
            Router::new().route("/orders/{id}", get(|| async { "order" })),
        )
        .nest_service("/files", get(|| async { "file" }))
}

/// One request through `app`, in process; returns the response's headers.
async fn ask(app: &Router, request: Request) -> HeaderMap {
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    http_body_util::BodyExt::collect(body).await.unwrap();
    head.headers
}

fn asking(method: &str, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

async fn span_of(
    configure: impl FnOnce(Config) -> Config,
    request: http::request::Builder,
) -> ReceivedSpan {
    let telemetry = TestTelemetry::configured(&[], configure);
    let app = telemetry.handle().instrument(users());
    ask(&app, request.body(Body::empty()).unwrap()).await;
    let mut spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

#[tokio::test]
async fn the_route_is_the_whole_template_or_absent() {
    let route = |uri: &'static str| async move {
        let span = span_of(|config| config, asking("GET", uri)).await;
        (
            span.name().to_owned(),
            span.attribute("http.route").cloned(),
        )
    };
    assert_eq!(
        route("/api/orders/9").await,
        ("GET /api/orders/{id}".to_owned(), text("/api/orders/{id}"))
    );
    // Unmatched, and below `nest_service`: no template, and never the path.
    assert_eq!(route("/no/such/path").await, ("GET".to_owned(), None));
    assert_eq!(route("/files/a").await, ("GET".to_owned(), None));
}

#[tokio::test]
async fn peer_and_proxies_name_the_client() {
    let peer: SocketAddr = "10.0.0.9:4711".parse().unwrap();
    let through_proxy = || {
        asking("GET", "/users/1")
            .header("host", "inner:80")
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "shop.example")
            .extension(ConnectInfo(peer))
    };
    let span = span_of(|config| config, through_proxy()).await;
    span.assert_attribute("client.address", text("10.0.0.9"))
        .assert_attribute("network.peer.address", text("10.0.0.9"))
        .assert_attribute("network.peer.port", Some(AttributeValue::Int(4711)))
        .assert_attribute("server.address", text("inner"))
        .assert_attribute("url.scheme", text("http"));

    let trusting = |config: Config| config.trusted_proxies(["10.0.0.0/8".parse().unwrap()]);
    let span = span_of(trusting, through_proxy()).await;
    span.assert_attribute("client.address", text("203.0.113.7"))
        .assert_attribute("network.peer.address", text("10.0.0.9"))
        .assert_attribute("server.address", text("shop.example"))
        .assert_attribute("url.scheme", text("https"));
}

#[tokio::test]
async fn the_scheme_is_what_the_server_says_and_not_what_the_client_writes() {
    let absolute = || asking("GET", "https://shop.example/users/1");
    let span = span_of(|config| config, absolute()).await;
    span.assert_attribute("url.scheme", text("http"));
    let telemetry = TestTelemetry::start();
    let app = telemetry.handle().instrument(users());
    let app = app.layer(axum::Extension(Scheme::HTTPS));
    ask(&app, asking("GET", "/users/1").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    spans[0].assert_attribute("url.scheme", text("https"));
}

#[tokio::test]
async fn headers_are_captured_by_name_and_credentials_never() {
    let names = [
        "x-team",
        "authorization",
        "x-api-key",
        "x-auth-token",
        "x-pin",
    ];
    let names = names.map(HeaderName::from_static);
    let pin = ["pin".to_owned()];
    let capturing = |config: Config| config.redact_fields(pin).request_headers(names);
    let request = asking("GET", "/users/1")
        .header("x-team", "pay")
        .header("x-other", "no")
        .header("x-api-key", "s3cret")
        .header("x-auth-token", "s3cret")
        .header("x-pin", "s3cret")
        .header("authorization", "Bearer s3cret");
    let span = span_of(capturing, request).await;
    let list = |value: &str| {
        Some(AttributeValue::List(vec![AttributeValue::Text(
            value.into(),
        )]))
    };
    span.assert_attribute("http.request.header.x-team", list("pay"))
        .assert_attribute("http.request.header.x-other", None)
        .assert_attribute("http.request.header.authorization", list("REDACTED"))
        .assert_attribute("http.request.header.x-api-key", list("REDACTED"))
        .assert_attribute("http.request.header.x-auth-token", list("REDACTED"))
        .assert_attribute("http.request.header.x-pin", list("REDACTED"));
}

#[tokio::test]
async fn the_callers_trace_continues() {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let request = asking("GET", "/users/1").header("traceparent", parent);
    let span = span_of(|config| config, request).await;
    assert_eq!(span.trace_id(), TRACE);
    assert_eq!(span.parent_span_id(), PARENT);
}

/// A log layer that wants the ids of a span when it is created, which starts the span.
#[derive(Default)]
struct ReadsIds(OnceLock<WeakDispatch>);

impl<S: Subscriber> Layer<S> for ReadsIds {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.0.set(dispatch.downgrade());
    }

    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, _: layer::Context<'_, S>) {
        let dispatch = self.0.get().and_then(WeakDispatch::upgrade).unwrap();
        assert!(tracing_opentelemetry::get_otel_context(id, &dispatch).is_some());
    }
}

#[tokio::test]
async fn a_layer_that_reads_ids_on_creation_does_not_lose_the_parent() {
    let telemetry = TestTelemetry::start();
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.handle().tracing_layer())
        .with(ReadsIds::default());
    let _default = tracing::subscriber::set_default(subscriber);
    let app = telemetry.handle().instrument(users());
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let request = asking("GET", "/users/1").header("traceparent", parent);
    ask(&app, request.body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    assert_eq!(spans[0].trace_id(), TRACE);
    assert_eq!(spans[0].parent_span_id(), PARENT);
}

#[tokio::test]
async fn f17_a_public_endpoint_takes_no_orders_but_links() {
    let public = |config: Config| config.callers(Callers::Public);
    let parent = format!("00-{TRACE}-{PARENT}-00");
    let request = asking("GET", "/users/1").header("traceparent", parent);
    let span = span_of(public, request).await;
    assert_ne!(span.trace_id(), TRACE);
    assert_eq!(span.parent_span_id(), "");
    let links = &span.as_otlp().links;
    assert_eq!(links.len(), 1);
    let linked: String = links[0]
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(linked, TRACE);
}

/// What a service sends on when it injects its current context.
async fn passed_on(telemetry: &TestTelemetry, incoming: &[(&'static str, &str)]) -> HeaderMap {
    let relay = get(|| async {
        let mut headers = HeaderMap::new();
        propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
        headers
    });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/", relay));
    let mut request = asking("GET", "/");
    for (name, value) in incoming {
        request = request.header(*name, *value);
    }
    ask(&app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_random_flag_state_and_baggage_travel_on() {
    let telemetry = TestTelemetry::start();
    for (flags, expected) in [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("ff", "03"),
    ] {
        let parent = format!("00-{TRACE}-{PARENT}-{flags}");
        let incoming = [
            ("traceparent", parent.as_str()),
            ("tracestate", "a=1,b=2"),
            ("baggage", "user=7;p=1"),
        ];
        let headers = passed_on(&telemetry, &incoming).await;
        let sent = headers["traceparent"].to_str().unwrap();
        assert!(sent.starts_with(&format!("00-{TRACE}-")), "{sent}");
        assert!(
            !sent.contains(PARENT),
            "the service's own span is the parent: {sent}"
        );
        assert!(sent.ends_with(expected), "{flags} became {sent}");
        assert_eq!(headers["tracestate"], "a=1,b=2");
        assert_eq!(headers["baggage"], "user=7;p=1");
    }
}

#[tokio::test]
async fn a_trace_of_our_own_is_random_and_sends_no_empty_state() {
    let telemetry = TestTelemetry::start();
    let headers = passed_on(&telemetry, &[]).await;
    assert!(headers["traceparent"].to_str().unwrap().ends_with("-03"));
    assert!(!headers.contains_key("tracestate"));
    assert!(!headers.contains_key("baggage"));
}

#[tokio::test]
async fn a_disabled_sdk_passes_the_context_through_unchanged() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "TRUE")], |it| it);
    let parent = format!("00-{TRACE}-{PARENT}-03");
    let headers = passed_on(&telemetry, &[("traceparent", &parent)]).await;
    assert_eq!(headers["traceparent"], parent.as_str());
    assert!(telemetry.spans().await.is_empty());
}

#[tokio::test]
async fn baggage_reaches_spans_only_by_name() {
    let allowing = |config: Config| config.baggage_attributes(["tenant".to_owned()]);
    let request = asking("GET", "/users/1").header("baggage", "tenant=a,secret=b");
    let span = span_of(allowing, request).await;
    span.assert_attribute("tenant", text("a"))
        .assert_attribute("secret", None);
}

#[tokio::test]
async fn the_caller_is_told_the_trace_id_on_request() {
    let name = HeaderName::from_static("x-trace-id");
    let telemetry = TestTelemetry::configured(&[], |config| config.trace_id_header(name));
    let app = telemetry.handle().instrument(users());
    let headers = ask(&app, asking("GET", "/users/1").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    assert_eq!(headers["x-trace-id"].to_str().unwrap(), spans[0].trace_id());
}

#[tokio::test]
async fn an_instrumented_router_in_an_instrumented_router_counts_once() {
    let telemetry = TestTelemetry::start();
    let inner = telemetry.handle().instrument(users());
    let app = telemetry
        .handle()
        .instrument(Router::new().nest("/v1", inner));
    ask(
        &app,
        asking("GET", "/v1/users/1").body(Body::empty()).unwrap(),
    )
    .await;
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name(), "GET /v1/users/{id}");
}

#[tokio::test]
async fn skipped_paths_get_no_span() {
    let skip = ["/users/1", "/api/*"].map(str::to_owned);
    let telemetry = TestTelemetry::configured(&[], |config| config.skip_paths(skip));
    let app = telemetry.handle().instrument(users());
    for path in ["/users/1", "/api/orders/9", "/users/2", "/apiary"] {
        ask(&app, asking("GET", path).body(Body::empty()).unwrap()).await;
    }
    let spans = telemetry.spans().await;
    let paths: Vec<_> = spans
        .iter()
        .map(|it| it.attribute("url.path").cloned())
        .collect();
    assert_eq!(paths, [text("/users/2"), text("/apiary")]);
}

#[tokio::test]
async fn what_a_skipped_request_calls_stays_in_the_trace_of_its_caller() {
    let carried = |callers| async move {
        let telemetry = TestTelemetry::configured(&[], |config| {
            config.skip_paths(["/probe".to_owned()]).callers(callers)
        });
        let inject = || async {
            let mut headers = HeaderMap::new();
            propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
            let line = headers.get("traceparent").map(|it| it.to_str().unwrap());
            line.unwrap_or_default().to_owned()
        };
        let app = telemetry
            .handle()
            .instrument(Router::new().route("/probe", get(inject)));
        let line = format!("00-{TRACE}-{PARENT}-01");
        let request = asking("GET", "/probe").header("traceparent", line);
        let response = app.oneshot(request.body(Body::empty()).unwrap());
        let body = response.await.unwrap().into_body();
        let carried = axum::body::to_bytes(body, 100).await.unwrap();
        assert_eq!(telemetry.spans().await.len(), 0);
        String::from_utf8(carried.to_vec()).unwrap()
    };
    let unchanged = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(carried(Callers::Trusted).await, unchanged);
    // Strangers have no word in where the service's calls belong.
    assert_eq!(carried(Callers::Public).await, "");
}

#[tokio::test]
async fn the_panic_layer_answers_500_and_the_span_knows() {
    let telemetry = TestTelemetry::start();
    let routes = Router::new().route(
        "/",
        get(|| async {
            if true {
                panic!("boom")
            }
        }),
    );
    let app = telemetry.handle().instrument(routes.layer(layers::panic()));
    let request = asking("GET", "/").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 500);
    drop(response);
    let spans = telemetry.spans().await;
    spans[0]
        .assert_attribute("error.type", text("panic"))
        .assert_attribute("http.response.status_code", Some(AttributeValue::Int(500)));
    assert!(spans[0].is_error());
    assert_eq!(spans[0].event_names(), ["handler panicked"]);
}

#[tokio::test]
async fn an_error_event_is_shown_and_sets_no_status() {
    let telemetry = TestTelemetry::start();
    let routes = Router::new().route(
        "/",
        get(|| async {
            tracing::info!("not shown");
            tracing::error!(attempt = 2, "lookup failed");
        }),
    );
    let app = telemetry.handle().instrument(routes);
    ask(&app, asking("GET", "/").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    assert!(!spans[0].is_error());
    assert_eq!(spans[0].event_names(), ["lookup failed"]);
}

#[tokio::test]
async fn log_lines_carry_the_ids_of_their_span() {
    let telemetry = TestTelemetry::start();
    let routes = Router::new().route("/", get(|| async { tracing::info!("hello") }));
    let app = telemetry.handle().instrument(routes);
    ask(&app, asking("GET", "/").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    let line: serde_json::Value = serde_json::from_str(&telemetry.log()[0]).unwrap();
    assert_eq!(line["message"], "hello");
    assert_eq!(line["trace_id"], spans[0].trace_id());
    assert_eq!(line["span_id"], spans[0].span_id());
}

#[tokio::test]
async fn rust_log_filters_lines_and_never_spans() {
    let telemetry = TestTelemetry::configured(&[("RUST_LOG", "error")], |config| config);
    let steps = get(|| async {
        tracing::info!("not written");
        tracing::error!("written");
        tracing::info_span!("recorded").in_scope(|| {});
        tracing::debug_span!("too fine").in_scope(|| {});
    });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/", steps));
    ask(&app, asking("GET", "/").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    let names: Vec<&str> = spans.iter().map(|span| span.name()).collect();
    assert_eq!(names, ["recorded", "GET /"]);
    let log = telemetry.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].contains(&spans[1].span_id()),
        "its span is found all the same"
    );
}

#[tokio::test]
async fn f12_values_are_cut_and_events_are_bounded() {
    let limits = [("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10")];
    let telemetry = TestTelemetry::configured(&limits, |config| config);
    let large = get(|| async {
        let text = "é".repeat(5_000_000);
        tracing::info_span!("large", text, number = 1).in_scope(|| {
            for at in 0..10_000 {
                tracing::warn!(at, "again");
            }
        });
    });
    let app = telemetry
        .handle()
        .instrument(Router::new().route("/", large));
    ask(&app, asking("GET", "/").body(Body::empty()).unwrap()).await;
    let spans = telemetry.spans().await;
    spans[0].assert_attribute("text", text(&"é".repeat(10)));
    assert_eq!(spans[0].event_names().len(), 128);
    assert_eq!(spans[0].as_otlp().dropped_events_count, 9_872);
}

#[tokio::test]
async fn endpoints_answer_only_where_no_route_does() {
    let status = |app: Router, path: &'static str| async move {
        let request = asking("GET", path).body(Body::empty()).unwrap();
        app.oneshot(request).await.unwrap().status().as_u16()
    };
    let telemetry = TestTelemetry::start();
    let app = telemetry.handle().instrument(users());
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(status(app.clone(), path).await, 200, "{path}");
    }
    telemetry.handle().set_ready(false);
    assert_eq!(status(app.clone(), "/readyz").await, 503);
    assert_eq!(status(app, "/healthz").await, 200);
    assert!(
        telemetry.spans().await.is_empty(),
        "endpoints are not requests of the service"
    );

    let own = Router::new()
        .route("/healthz", get(|| async { http::StatusCode::IM_A_TEAPOT }))
        .fallback(|| async { "page" });
    let own = telemetry.handle().instrument(own);
    assert_eq!(status(own.clone(), "/healthz").await, 418);
    assert_eq!(status(own, "/metrics").await, 200);

    let swallowing = Router::new().route("/{*path}", get(|| async { http::StatusCode::GONE }));
    let swallowing = telemetry.handle().instrument(swallowing);
    assert_eq!(status(swallowing.clone(), "/metrics").await, 410);
    assert_eq!(status(swallowing, "/metrics").await, 410);
    assert_eq!(telemetry.notices().len(), 1, "{:?}", telemetry.notices());

    let quiet = TestTelemetry::configured(&[], |config| config.endpoints(Endpoints::Health));
    let app = quiet.handle().instrument(users());
    assert_eq!(status(app.clone(), "/metrics").await, 404);
    assert_eq!(status(app, "/healthz").await, 200);
}

#[tokio::test]
async fn numbers_in_the_services_own_spans_stay_numbers() {
    let telemetry = TestTelemetry::start();
    let late = tracing::field::Empty;
    let span = tracing::info_span!(
        "count",
        a = 1_u8,
        b = 2_usize,
        c = u64::MAX,
        d = late,
        e = -1
    );
    span.record("d", 4_u64);
    span.record("a", 5_u16);
    // It also may say more of the same without `tracing`.
    let said = tracing::info_span!("said", a = 1_u64);
    said.set_attribute("a", "more");
    drop((span, said));
    let [span, said] = &telemetry.spans().await[..] else {
        panic!("two spans")
    };
    said.assert_attribute("a", text("more"));
    let number = |value| Some(AttributeValue::Int(value));
    span.assert_attribute("a", number(5))
        .assert_attribute("b", number(2))
        .assert_attribute("c", text("18446744073709551615"))
        .assert_attribute("d", number(4))
        .assert_attribute("e", number(-1));
    assert_eq!(span.attributes().len(), span.as_otlp().attributes.len());
}

#[tokio::test]
async fn a_number_of_a_span_that_has_ended_early_changes_no_other() {
    let telemetry = TestTelemetry::start();
    let early = tracing::info_span!("early", a = 7_u64);
    early.context().span().end();
    drop(early);
    drop(tracing::info_span!("next", a = "7"));
    let [_, next] = &telemetry.spans().await[..] else {
        panic!("two spans")
    };
    next.assert_attribute("a", text("7"));
}
