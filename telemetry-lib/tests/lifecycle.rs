//! Start, flush and stop, in every place where somebody may call them.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::testing::{Answer, FakeCollector, Gate, TestTelemetry, closed_endpoint};
use telemetry_lib::{Config, InitError, Report, Telemetry};
use tower::ServiceExt;

const LIMIT: Duration = Duration::from_secs(60);

async fn request(app: &Router) {
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

fn app(telemetry: &TestTelemetry) -> Router {
    let route = Router::new().route("/", get(|| async {}));
    telemetry.handle().instrument(route)
}

#[tokio::test]
async fn f29_shutdown_twice_gives_the_same_counts_and_late_spans_are_counted() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    request(&app).await;
    let first = telemetry.handle().shutdown(LIMIT).await;
    assert_eq!(first.traces.exported, 1, "{first}");
    assert_eq!(first.traces.dropped.after_shutdown, 0);

    request(&app).await;
    let second = telemetry.handle().shutdown(LIMIT).await;
    assert_eq!(second.traces.exported, 1, "{second}");
    assert_eq!(second.traces.dropped.after_shutdown, 1, "{second}");
    assert_eq!(telemetry.collector().spans().len(), 1);
}

#[tokio::test]
async fn f29_shutdown_under_load_accounts_for_every_span() {
    let telemetry = TestTelemetry::start();
    let app = app(&telemetry);
    let requests = |count| futures_util::future::join_all((0..count).map(|_| request(&app)));
    requests(300).await;
    let (first, _) = tokio::join!(telemetry.handle().shutdown(LIMIT), requests(300));
    requests(100).await;
    let report = telemetry.handle().shutdown(LIMIT).await.traces;
    assert!(
        first.traces.exported >= 300,
        "what ended before is there: {first}"
    );
    assert_eq!(
        report.exported + report.dropped.after_shutdown,
        700,
        "{report:?}"
    );
    assert_eq!(telemetry.collector().spans().len() as u64, report.exported);
}

#[tokio::test]
async fn after_shutdown_ids_still_travel() {
    let telemetry = TestTelemetry::start();
    let _ = telemetry.handle().shutdown(LIMIT).await;
    let valid = get(|| async {
        let current = Context::current();
        assert!(current.span().span_context().is_valid());
    });
    request(
        &telemetry
            .handle()
            .instrument(Router::new().route("/", valid)),
    )
    .await;
}

/// A shutdown, and where it is called.
type Call = fn(Telemetry) -> Report;

fn span() {
    tracing::info_span!("work").in_scope(|| ());
}

#[test]
fn f29_shutdown_blocks_no_runtime_it_is_called_in() {
    // Nothing but the call itself ends the export: what it says, and what has arrived when it returns.
    let ended = |call: Call| {
        let telemetry = TestTelemetry::start();
        span();
        let report = call(telemetry.handle().clone());
        (report.traces.exported, telemetry.collector().spans().len())
    };
    let without = |it: Telemetry| it.shutdown_blocking(LIMIT);
    let inside = |it: Telemetry| runtime().block_on(async { it.shutdown_blocking(LIMIT) });
    let from_a_task = |it: Telemetry| {
        let task = async move { it.shutdown_blocking(LIMIT) };
        runtime().block_on(async { tokio::spawn(task).await.unwrap() })
    };
    let awaited = |it: Telemetry| runtime().block_on(it.shutdown(LIMIT));
    let awaited_by_a_task = |it: Telemetry| {
        let task = async move { it.shutdown(LIMIT).await };
        runtime().block_on(async { tokio::spawn(task).await.unwrap() })
    };
    let calls: [(&str, Call); 5] = [
        ("without a runtime", without),
        ("inside one", inside),
        ("from a task", from_a_task),
        ("awaited", awaited),
        ("awaited by a task", awaited_by_a_task),
    ];
    for (place, call) in calls {
        assert_eq!(ended(call), (1, 1), "{place}");
    }
}

/// One without drivers, as a service may have it.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().unwrap()
}

#[tokio::test]
async fn f29_a_runtime_goes_on_while_a_shutdown_waits() {
    let telemetry = TestTelemetry::start();
    let gate = Gate::closed();
    telemetry.collector().next(Answer::ok().behind(&gate));
    span();
    let handle = telemetry.handle().clone();
    let shutdown = tokio::spawn(async move { handle.shutdown(LIMIT).await });
    // The only thread is back here while the shutdown waits for the answer.
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    gate.open();
    let report = shutdown.await.unwrap();
    assert_eq!((report.traces.exported, report.traces.failed), (1, 0));
}

#[tokio::test]
async fn f02_a_shutdown_keeps_its_limit_while_the_collector_hangs() {
    // An attempt may take ten minutes; the calls have a moment, and the test half a minute for them.
    let patient = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "600000"),
    ];
    let (limit, margin) = (Duration::from_millis(100), Duration::from_secs(30));
    let hanging = || {
        let telemetry = TestTelemetry::configured(&patient, |config| config);
        telemetry.collector().always(Answer::hang());
        span();
        telemetry
    };
    let lost = |report: Report| (report.traces.exported, report.traces.dropped.export_failed);

    let telemetry = hanging();
    let ended = tokio::time::timeout(margin, telemetry.handle().shutdown(limit)).await;
    assert_eq!(lost(ended.unwrap()), (0, 1));

    let telemetry = hanging();
    let handle = telemetry.handle().clone();
    let (end, ended) = sync_channel(1);
    thread::spawn(move || end.send(handle.shutdown_blocking(limit)).unwrap());
    assert_eq!(lost(ended.recv_timeout(margin).unwrap()), (0, 1));
}

#[tokio::test]
async fn dropping_the_last_handle_sends_what_is_queued() {
    let telemetry = TestTelemetry::start();
    request(&app(&telemetry)).await;
    let (handle, rest) = (telemetry.handle().clone(), telemetry);
    drop(handle);
    assert_eq!(rest.collector().spans().len(), 0, "there is another handle");
    let collector = rest.into_collector();
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn init_does_not_need_a_collector() {
    let endpoint = closed_endpoint();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let _ = TestTelemetry::configured(&variables, |config| config);
}

#[test]
fn production_refuses_plain_text_to_another_host() {
    let start = |environment: &str, endpoint: &str| {
        let variables = [
            ("TOOLKIT_ENV", environment),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ];
        TestTelemetry::try_configured(FakeCollector::start(), &variables, |it| it).map(drop)
    };
    let refused = start("prod", "http://user:pw@collector.example:4318").unwrap_err();
    assert!(matches!(refused, InitError::PlainText { .. }));
    insta::assert_snapshot!(refused, @"spans would go to http://collector.example:4318/v1/traces in plain text, which the environment `prod` forbids: use an https endpoint, or a Collector on this host");
    let resource = [
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=Production",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://10.0.0.7:4318/v1/traces",
        ),
    ];
    let refused = TestTelemetry::try_configured(FakeCollector::start(), &resource, |it| it);
    assert!(matches!(
        refused.map(drop).unwrap_err(),
        InitError::PlainText { .. }
    ));
    let by_code = |it: Config| it.endpoint("http://collector/v1/traces").unwrap();
    let prod = [("TOOLKIT_ENV", "prod")];
    let refused = TestTelemetry::try_configured(FakeCollector::start(), &prod, by_code);
    assert!(matches!(
        refused.map(drop).unwrap_err(),
        InitError::PlainText { .. }
    ));
    start("prod", "http://[::1]:4318").unwrap();
    start("prod", "https://collector.example:4318").unwrap();
    start("prod", "http://localhost:4318").unwrap();
    start("dev", "http://collector.example:4318").unwrap();
}

#[test]
fn f09_a_certificate_that_is_not_there_stops_init() {
    let config = |it: Config| it.endpoint("https://localhost:1/v1/traces").unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "testdata/none.pem")];
    let failed = TestTelemetry::try_configured(FakeCollector::start(), &variables, config);
    assert!(matches!(
        failed.map(drop).unwrap_err(),
        InitError::Export(_)
    ));
}

#[tokio::test]
async fn a_report_says_what_was_lost() {
    let telemetry = TestTelemetry::start();
    telemetry.collector().always(Answer::status(400));
    request(&app(&telemetry)).await;
    let report = telemetry.handle().shutdown(LIMIT).await;
    insta::assert_snapshot!(report, @"spans: 0 exported, 1 lost (1 export failed)");
}

#[tokio::test]
async fn a_report_counts_a_span_once_however_it_was_lost() {
    let telemetry = TestTelemetry::start();
    telemetry.collector().always(Answer::hang());
    request(&app(&telemetry)).await;
    let flush = telemetry.handle().flush(Duration::ZERO).await;
    insta::assert_snapshot!(flush, @"spans: 0 exported, 1 still waiting, none lost");
    let shutdown = telemetry.handle().shutdown(Duration::ZERO).await;
    insta::assert_snapshot!(shutdown, @"spans: 0 exported, 1 lost (1 export failed)");
    request(&app(&telemetry)).await;
    let again = telemetry.handle().shutdown(Duration::ZERO).await;
    insta::assert_snapshot!(again, @"spans: 0 exported, 2 lost (1 export failed, 1 after shutdown)");
}

#[tokio::test]
async fn a_report_without_loss_says_so() {
    let telemetry = TestTelemetry::start();
    request(&app(&telemetry)).await;
    let report = telemetry.handle().shutdown(LIMIT).await;
    insta::assert_snapshot!(report, @"spans: 1 exported, none lost");
}

#[tokio::test]
async fn a_span_that_a_task_still_holds_ends_with_its_request() {
    let telemetry = TestTelemetry::start();
    let route = get(|| async {
        let held = tracing::Span::current();
        tokio::spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
    });
    request(
        &telemetry
            .handle()
            .instrument(Router::new().route("/", route)),
    )
    .await;
    // The task is still there and holds the `tracing` span.
    let spans = telemetry.spans().await;
    assert_eq!(spans.len(), 1);
    assert!(spans[0].duration() < Duration::from_secs(10));
}

#[test]
fn the_runtime_is_shown_whether_init_came_before_it_or_after() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let shows =
        |telemetry: &TestTelemetry| telemetry.scrape().types().contains_key("tokio_workers");

    let after = runtime.block_on(async { TestTelemetry::start() });
    assert!(shows(&after));
    let before = TestTelemetry::start();
    let app = app(&before);
    assert!(!shows(&before), "there is none yet");
    runtime.block_on(request(&app));
    assert!(shows(&before));
    let worker = TestTelemetry::start();
    let work = async { Ok::<(), std::io::Error>(()) };
    runtime.block_on(worker.handle().job("work", work)).unwrap();
    assert!(shows(&worker));
}

#[test]
fn the_runtime_of_the_admin_port_is_not_taken_for_the_services() {
    let telemetry = TestTelemetry::start();
    let address = "127.0.0.1:0".parse().unwrap();
    let bound = telemetry.handle().admin(address).unwrap();
    let mut stream = TcpStream::connect(bound).unwrap();
    let head = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("target_info"), "{page}");
    assert!(!page.contains("tokio_workers"), "{page}");
}
