//! F27: what an `init` takes of its process, and what one that fails gives back. The tests start
//! themselves as services, because each needs a process of its own.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod service;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http::{HeaderMap, Method};
use telemetry_lib::opentelemetry::trace::{Span, Tracer};
use telemetry_lib::opentelemetry::{Context, global};
use telemetry_lib::testing::{Exposition, FakeCollector};
use telemetry_lib::{Config, InitError, Telemetry};
use tower::ServiceExt;
use tracing_subscriber::prelude::*;

use service::run;

const LIMIT: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

fn init(variables: &[(&str, &str)]) -> Result<Telemetry, InitError> {
    let variables = variables.iter();
    let owned = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    telemetry_lib::init(Config::from_vars("process", owned))
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Three that fail, each for another reason, and would leave other traces.
fn fail() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mute = [("OTEL_TRACES_SAMPLER", "always_off"), ("RUST_LOG", "off")];
    let failed = init(&[mute[0], mute[1], (PORT, &port)]);
    assert!(matches!(failed, Err(InitError::Listen { .. })));

    let port = free_port();
    let plain = [
        ("TOOLKIT_ENV", "prod"),
        (ENDPOINT, "http://collector.example"),
    ];
    let failed = init(&[mute[0], mute[1], plain[0], plain[1], (PORT, &port)]);
    assert!(matches!(failed, Err(InitError::PlainText { .. })));
    let certificate = [
        (ENDPOINT, "https://localhost:1"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "testdata/none.pem"),
    ];
    let failed = init(&[
        mute[0],
        mute[1],
        certificate[0],
        certificate[1],
        (PORT, &port),
    ]);
    assert!(matches!(failed, Err(InitError::Export(_))));
    TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
}

#[test]
#[ignore = "the service that another test starts"]
fn fails_and_goes_on_by_itself() {
    fail();
    let fields = global::get_text_map_propagator(|it| it.fields().count());
    assert_eq!(fields, 0, "no propagator");
    let span = global::tracer("service").start_with_context("probe", &Context::new());
    assert!(!span.span_context().is_valid(), "no provider");
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer())
        .try_init()
        .unwrap();
    tracing::info!("the service's own line");
}

#[test]
#[ignore = "the service that another test starts"]
fn fails_and_tries_again() {
    fail();
    let collector = FakeCollector::start();
    let telemetry = init(&[(ENDPOINT, &collector.endpoint())]).unwrap();
    tracing::info_span!("work").in_scope(|| tracing::info!("a line of the second"));
    let report = telemetry.shutdown_blocking(LIMIT);
    assert_eq!(report.traces.exported, 1, "{report}");
    assert_eq!(collector.spans()[0].name(), "work");
}

#[test]
fn f27_an_init_that_fails_leaves_the_process_as_it_was() {
    let (stdout, _) = run("fails_and_goes_on_by_itself", &[]);
    assert!(stdout.contains("the service's own line"), "{stdout}");
    let (stdout, stderr) = run("fails_and_tries_again", &[]);
    assert!(stdout.contains("a line of the second"), "{stdout}");
    assert!(!stderr.contains("init was called before"), "{stderr}");
}

#[test]
#[ignore = "the service that another test starts"]
fn starts_often() {
    let again = || {
        init(&[
            ("OTEL_TRACES_EXPORTER", "stdout"),
            (ENDPOINT, "http://127.0.0.1:1"),
        ])
    };
    let held: Vec<_> = (0..50).map(|_| again().unwrap()).collect();
    drop(held);
    (0..50).for_each(|_| drop(again().unwrap()));
}

#[test]
fn what_many_inits_have_to_say_is_said_once() {
    let (_, stderr) = run("starts_often", &[]);
    let times = |text: &str| stderr.matches(text).count();
    assert_eq!(times("init was called before: this handle"), 1, "{stderr}");
    assert_eq!(times("init was called before, and nobody"), 1, "{stderr}");
    assert_eq!(times("OTEL_TRACES_EXPORTER"), 1, "{stderr}");
}

/// The page on an admin port; `None` if nobody serves it.
fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// A job of this name, so that a page tells whose it is.
fn work(telemetry: &Telemetry, name: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let job = telemetry.job(name, async { Ok::<(), std::io::Error>(()) });
    runtime.unwrap().block_on(job).unwrap();
}

fn answers(telemetry: &Telemetry, path: &str) -> bool {
    let answer = telemetry.answer(&Method::GET, path, &HeaderMap::new());
    answer.is_some()
}

#[test]
#[ignore = "the service that another test starts"]
fn serves_its_port_once() {
    let collector = FakeCollector::start();
    let port = free_port();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let endpoint = collector.endpoint();
    let again = || init(&[(ENDPOINT, &endpoint), (PORT, &port)]).unwrap();
    let first = again();
    let second = again();
    work(&first, "one");
    work(&second, "two");
    let page = scrape(address).unwrap();
    assert!(page.contains("\"one\"") && !page.contains("\"two\""));
    for telemetry in [&first, &second] {
        assert!(!answers(telemetry, "/metrics"), "only at the port");
        assert!(answers(telemetry, "/healthz"));
    }
    let report = second.shutdown_blocking(LIMIT);
    assert_eq!(report.traces.exported, 2, "{report}");

    // Another address is its own.
    let other = init(&[(ENDPOINT, &endpoint), (PORT, &free_port())]).unwrap();
    drop((first, second, other));
    // The first has just given it back.
    for _ in 0..50 {
        let next = again();
        work(&next, "next");
        assert!(scrape(address).unwrap().contains("\"next\""));
    }

    let barrier = Barrier::new(8);
    let handles: Vec<Telemetry> = thread::scope(|scope| {
        let start = || {
            barrier.wait();
            again()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(scrape(address).is_some());
    drop(handles);
}

#[test]
fn f27_a_second_init_with_the_same_port_gives_a_handle_that_works() {
    let (_, stderr) = run("serves_its_port_once", &[]);
    let told = "is served by an earlier handle already";
    assert!(stderr.contains(told), "{stderr}");
}

#[test]
#[ignore = "the service that another test starts"]
fn serves_any_port() {
    let telemetry = init(&[(PORT, "0")]).unwrap();
    work(&telemetry, "any");
    eprintln!("told all");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_port_that_the_system_chose_is_told() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serves_any_port", "--nocapture", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let lines = BufReader::new(stderr).lines().map(|line| line.unwrap());
    let lines: Vec<String> = lines.take_while(|line| line != "told all").collect();
    let told = lines.iter().find_map(|line| {
        let (_, after) = line.split_once("is served at http://")?;
        after.strip_suffix("/metrics")?.parse().ok()
    });
    let page = told.and_then(scrape);
    // It ends with its input.
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let page = page.unwrap_or_else(|| panic!("nobody was told: {lines:?}"));
    assert!(page.contains("job_duration_seconds"));
}

/// Exemplars on the page of this handle after a request of each of 30 series.
fn marks(telemetry: &Telemetry) -> usize {
    let routes = (0..30).map(|number| format!("/{number}"));
    let app = routes.clone().fold(Router::new(), |app, route| {
        app.route(&route, get(|| async {}))
    });
    let app = telemetry.instrument(app);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        for path in routes {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    });
    let page = Exposition::scrape(telemetry);
    page.exemplars("http_server_request_duration_seconds").len()
}

#[test]
#[ignore = "the service that another test starts"]
#[expect(
    clippy::disallowed_methods,
    reason = "a mark a second is added while it runs"
)]
fn marks_with_two_handles() {
    let collector = FakeCollector::start();
    let endpoint = collector.endpoint();
    let handles = [(); 2].map(|()| init(&[(ENDPOINT, &endpoint)]).unwrap());
    let before = std::time::Instant::now();
    let marks: usize = handles.iter().map(marks).sum();
    let seconds = before.elapsed().as_secs() + 1;
    let most = 20 + usize::try_from(seconds).unwrap();
    assert!((20..=most).contains(&marks), "{marks} in {seconds} s");
}

#[test]
fn marks_for_exemplars_are_bounded_for_all_handles_together() {
    run("marks_with_two_handles", &[]);
}
