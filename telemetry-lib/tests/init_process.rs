//! F27: what an `init` takes of its process, and what one that fails gives back. The tests start
//! themselves as services, because each needs a process of its own.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use telemetry_lib::opentelemetry::trace::{Span, Tracer};
use telemetry_lib::opentelemetry::{Context, global};
use telemetry_lib::testing::FakeCollector;
use telemetry_lib::{Config, InitError, Telemetry};
use tracing_subscriber::prelude::*;

const LIMIT: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

fn init(variables: &[(&str, &str)]) -> Result<Telemetry, InitError> {
    let variables = variables.iter();
    let owned = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    telemetry_lib::init(Config::from_vars("process", owned))
}

/// What a service said on stdout and on stderr.
fn run(service: &str) -> (String, String) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", service, "--nocapture", "--ignored"])
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let [stdout, stderr] = said;
    assert!(child.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}");
    (stdout, stderr)
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
    let (stdout, _) = run("fails_and_goes_on_by_itself");
    assert!(stdout.contains("the service's own line"), "{stdout}");
    let (stdout, stderr) = run("fails_and_tries_again");
    assert!(stdout.contains("a line of the second"), "{stdout}");
    assert!(!stderr.contains("init was called before"), "{stderr}");
}
