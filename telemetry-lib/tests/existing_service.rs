//! A service that has its own subscriber and metrics gets ours beside them and loses nothing.
//! One test: it takes the global places of the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http::HeaderMap;
use http_body_util::BodyExt;
use telemetry_lib::opentelemetry::trace::Tracer;
use telemetry_lib::opentelemetry::{Context, global};
use telemetry_lib::opentelemetry_sdk::error::OTelSdkResult;
use telemetry_lib::opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use telemetry_lib::propagation::{self, HeaderCarrierMut};
use telemetry_lib::testing::{Exposition, FakeCollector};
use telemetry_lib::{Config, prometheus};
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tracer provider of the service's own, and the spans that passed it.
#[derive(Clone, Debug, Default)]
struct Foreign(Arc<Mutex<Vec<String>>>);

impl SpanProcessor for Foreign {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span.name.into_owned());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn config(collector: &FakeCollector) -> Config {
    let endpoint = (
        "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        collector.endpoint(),
    );
    Config::from_vars("existing", [endpoint])
}

/// The service as it was.
#[expect(
    clippy::disallowed_types,
    reason = "the macros of prometheus name a HashMap"
)]
fn service() -> Router {
    let requests = prometheus::register_int_counter!("orders_total", "Orders.").unwrap();
    let open = prometheus::register_int_gauge!("orders_open", "Open orders.").unwrap();
    let sizes = prometheus::register_histogram!("order_size", "Items of an order.").unwrap();
    let order = move || async move {
        requests.inc();
        open.set(3);
        sizes.observe(2.0);
        tracing::info!("order taken");
        let mut headers = HeaderMap::new();
        propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
        headers
    };
    Router::new()
        .route("/orders", get(order))
        .route("/healthz", get(|| async { "mine" }))
}

async fn ask(app: &Router, path: &str, parent: &str) -> (HeaderMap, String) {
    let request = Request::get(path).header("traceparent", parent);
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_existing_service_keeps_what_it_has() {
    let output = Output::default();
    let writer = output.clone();
    let logs = move || writer.clone();
    tracing_subscriber::fmt()
        .with_writer(logs)
        .with_ansi(false)
        .init();
    let foreign = Foreign::default();
    let provider = SdkTracerProvider::builder().with_span_processor(foreign.clone());
    global::set_tracer_provider(provider.build());
    let collector = FakeCollector::start();

    let telemetry = telemetry_lib::init(config(&collector)).unwrap();
    let app = telemetry.instrument(service());
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
    let (headers, _) = ask(&app, "/orders", parent).await;
    // No engine sees the span, so the caller's context passes through unchanged.
    assert_eq!(headers["traceparent"], parent);
    assert_eq!(ask(&app, "/healthz", parent).await.1, "mine");

    let lines = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("order taken"), "{lines}");

    let (headers, body) = ask(&app, "/metrics", parent).await;
    let kind = headers["content-type"].to_str().unwrap();
    let scrape = Exposition::parse(kind, &body).unwrap();
    assert_eq!(scrape.value("orders_total", &[]), Some(1.0));
    assert_eq!(scrape.value("orders_open", &[]), Some(3.0));
    assert_eq!(scrape.value("order_size_count", &[]), Some(1.0));
    let ours = [("http_route", "/orders")];
    let count = scrape.value("http_server_request_duration_seconds_count", &ours);
    assert_eq!(count, Some(1.0));

    // F27: a second call works, with metrics of its own.
    let second = telemetry_lib::init(config(&collector)).unwrap();
    let other = second.instrument(Router::new().route("/other", get(|| async {})));
    ask(&other, "/other", parent).await;
    let (_, body) = ask(&other, "/metrics", parent).await;
    assert!(body.contains("http_route=\"/other\""), "{body}");
    assert!(!body.contains("http_route=\"/orders\""), "{body}");

    // What was taken is kept, what was free is ours now.
    drop(global::tracer("service").start("mine"));
    assert_eq!(*foreign.0.lock().unwrap(), ["mine"]);
    let fields = global::get_text_map_propagator(|it| it.fields().count());
    assert_eq!(fields, 3);
    assert!(collector.spans().is_empty());
    let report = telemetry.shutdown(Duration::from_secs(5)).await;
    assert_eq!(report.traces.exported, 0);
}
