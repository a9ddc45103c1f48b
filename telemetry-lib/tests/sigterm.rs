//! F30: a real process is told to end while the Collector is away. The test starts itself as the
//! service and plays the kubelet, which sends SIGKILL when the grace is over.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustix::process::{Pid, Signal, kill_process};
use telemetry_lib::testing::{Answer, FakeCollector, closed_endpoint};
use telemetry_lib::{Config, Grace, serve_gracefully};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
#[ignore = "the service that the other tests start"]
async fn service() {
    let telemetry = telemetry_lib::init(Config::from_env("ending")).unwrap();
    let routes = Router::new().route("/", get(|| async { "here" }));
    let app = telemetry.instrument(routes);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening {}", listener.local_addr().unwrap());
    let grace = Grace {
        drain: Duration::ZERO,
        requests: Duration::from_secs(1),
        telemetry: Duration::from_secs(2),
    };
    let report = serve_gracefully(&telemetry, listener, app, grace).await;
    eprintln!("{}", report.unwrap());
}

fn start(endpoint: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "service", "--nocapture", "--ignored"])
        .env(ENDPOINT, endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut addresses = lines.filter_map(|line| {
        let line = line.unwrap();
        // The harness may have begun the line.
        Some(line.split_once("listening ")?.1.to_owned())
    });
    let address = addresses.next().expect("it says where it listens");
    // Or the child would end by writing to a pipe that nobody reads.
    thread::spawn(move || addresses.count());
    (child, address)
}

fn ask(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"),
        "{answer}"
    );
}

/// What the service said at its end, if it ended by itself within the grace.
fn terminate(mut child: Child) -> String {
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (end, ended) = sync_channel(1);
    thread::spawn(move || end.send(child.wait().unwrap()));
    let status = ended.recv_timeout(GRACE).unwrap_or_else(|_| {
        // As the kubelet does. The test then fails by the status.
        kill_process(pid, Signal::KILL).unwrap();
        ended.recv().unwrap()
    });
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{said}");
    said
}

#[track_caller]
fn check(endpoint: &str, report: &str) {
    let (child, address) = start(endpoint);
    ask(&address);
    let said = terminate(child);
    assert!(said.contains(report), "{said}");
}

const LOST: &str = "spans: 0 exported, 1 lost (1 export failed)\n";

#[test]
fn f30_sigterm_with_a_closed_collector_ends_in_time_and_says_what_is_lost() {
    check(&closed_endpoint(), LOST);
}

#[test]
fn f30_sigterm_with_a_silent_collector_ends_in_time_and_says_what_is_lost() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    check(&collector.traces_endpoint(), LOST);
}

#[test]
fn f30_sigterm_with_a_collector_that_answers_loses_nothing() {
    let collector = FakeCollector::start();
    let report = "spans: 1 exported, none lost\n";
    check(&collector.traces_endpoint(), report);
    assert_eq!(collector.spans()[0].name(), "GET /");
}
