//! One wrong thing at a time, on real sockets, and what the doctor says about it.

use std::future::pending;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use hyper_util::rt::{TokioExecutor, TokioIo};
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::testing::authority::{Authority, Clients, Validity};
use crate::testing::{Answer, FakeCollector, TestTelemetry, closed_endpoint};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

fn with(variables: &[(&str, &str)]) -> Diagnosis {
    TestTelemetry::configured(variables, |config| config)
        .handle()
        .doctor()
}

/// Of a collector that answers so.
fn answered(answer: Answer, variables: &[(&str, &str)]) -> Diagnosis {
    let collector = FakeCollector::start();
    collector.always(answer);
    let endpoint = collector.traces_endpoint();
    let own = [(ENDPOINT, endpoint.as_str())];
    with(&[&own[..], variables].concat())
}

/// Severity, text and advice of the last line about that step.
#[track_caller]
fn line(diagnosis: &Diagnosis, step: &str) -> String {
    let found = diagnosis.findings().iter().rfind(|it| it.step == step);
    let found = found.unwrap_or_else(|| panic!("nothing about {step}:\n{diagnosis}"));
    let fix = found.fix.as_deref().unwrap_or("-");
    format!("{}: {} -> {fix}", found.severity.word(), found.what)
}

#[track_caller]
fn check(diagnosis: &Diagnosis, step: &str, expected: &str) {
    let line = line(diagnosis, step);
    assert!(line.starts_with(expected), "{line}\n\n{diagnosis}");
    let problem = expected.starts_with("problem");
    assert_eq!(diagnosis.is_healthy(), !problem, "{diagnosis}");
}

/// Without what differs from run to run.
fn steady(diagnosis: &Diagnosis, port: &str) -> String {
    let text = diagnosis.to_string().replace(port, "PORT");
    let kept = text.lines().filter(|line| !line.contains(" versions "));
    kept.collect::<Vec<_>>().join("\n")
}

fn port(endpoint: &str) -> String {
    let uri: http::Uri = endpoint.parse().unwrap();
    uri.port().unwrap().to_string()
}

#[test]
fn a_way_without_trouble_is_told_step_by_step() {
    let collector = FakeCollector::start();
    let endpoint = collector.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=hunter2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let diagnosis = with(&variables);
    insta::assert_snapshot!(steady(&diagnosis, &port(&endpoint)), @r"
    good     subscriber  spans of tracing come to our layer
    good     sampler     as the caller decided, else 100 % of traces
    good     propagators headers traceparent, tracestate, baggage
    good     spans       so far 0 spans exported; dropped: 0 queue full, 0 export failed, 0 rejected
    good     endpoint    http://127.0.0.1:PORT/v1/traces, from OTEL_EXPORTER_OTLP_ENDPOINT
    good     connect     127.0.0.1:PORT takes connections
    good     request     the Collector takes traces
    ");
    let requests = collector.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/v1/traces");
    assert_eq!(requests[0].headers["x-token"], "hunter2");
    assert!(requests[0].spans.is_empty(), "it costs nobody a span");
}

#[test]
fn a_way_with_all_kinds_of_trouble_reads_well() {
    let endpoint = closed_endpoint();
    let variables = [
        (ENDPOINT, endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_PROPAGATORS", "none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "5"),
    ];
    insta::assert_snapshot!(steady(&with(&variables), &port(&endpoint)), @r"
    warning  variables   OTEL_BSP_SCHEDULE_DELAY is ignored: its value is not a whole number of milliseconds
                         -> correct its value, or unset it
    warning  variables   set, but without effect here: OTEL_BLRP_SCHEDULE_DELAY
                         -> unset them; metrics are pulled from /metrics, log lines go to stdout
    good     subscriber  spans of tracing come to our layer
    warning  sampler     0 % of traces: no trace begins here
                         -> choose another OTEL_TRACES_SAMPLER, or a larger OTEL_TRACES_SAMPLER_ARG
    warning  propagators none: each service begins traces of its own
                         -> set OTEL_PROPAGATORS to tracecontext,baggage, or unset it
    good     spans       so far 0 spans exported; dropped: 0 queue full, 0 export failed, 0 rejected
    good     endpoint    http://127.0.0.1:PORT/v1/traces, from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    problem  connect     127.0.0.1:PORT refuses connections: nothing listens there
                         -> start the Collector, or correct host and port in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; in a container, localhost is that container
    ");
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn over_grpc_the_port_for_http_is_the_wrong_one() {
    let collector = FakeCollector::start();
    let endpoint = collector.endpoint();
    let diagnosis = with(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ]);
    let said = line(&diagnosis, "endpoint");
    assert!(said.starts_with("good: http://127.0.0.1:"), "{said}");
    let said = line(&diagnosis, "request");
    assert!(said.contains("usually 4317"), "{said}");
    assert!(!diagnosis.is_healthy());
}

#[test]
fn the_endpoint_is_told_with_who_said_it() {
    let from_code = TestTelemetry::configured(&[], |config| {
        config.endpoint("http://127.0.0.1:1/v1/traces").unwrap()
    });
    let said = line(&from_code.handle().doctor(), "endpoint");
    assert_eq!(
        said,
        "good: http://127.0.0.1:1/v1/traces, from Config::endpoint -> -"
    );
    let default = Config::from_vars("a", []);
    assert_eq!(default.exporter.unwrap().origin.to_string(), "the default");
}

#[test]
fn nothing_secret_is_told() {
    let collector = FakeCollector::start();
    collector
        .always(Answer::status(307).header("location", "http://u:s3cret@other:1/x?key=s3cret"));
    let endpoint = collector.traces_endpoint();
    let endpoint = endpoint.replace("http://", "http://user:s3cret@") + "?token=s3cret";
    let diagnosis = with(&[
        (ENDPOINT, &endpoint),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20s3cret",
        ),
        ("OTEL_TRACES_SAMPLER", "s3cret"),
    ]);
    check(
        &diagnosis,
        "request",
        "problem: 307 Temporary Redirect to http://other:1/x: redirects",
    );
    assert!(!diagnosis.to_string().contains("s3cret"), "{diagnosis}");
    assert!(
        !format!("{diagnosis:?}").contains("s3cret"),
        "{diagnosis:?}"
    );
}

#[test]
fn telemetry_that_is_switched_off_is_told_first() {
    let disabled = with(&[("OTEL_SDK_DISABLED", "true")]);
    check(
        &disabled,
        "switched off",
        "problem: OTEL_SDK_DISABLED is true",
    );
    let none = TestTelemetry::configured(&[("OTEL_TRACES_EXPORTER", "none")], |config| {
        config.endpoint("http://127.0.0.1:1/v1/traces").unwrap()
    });
    let none = none.handle().doctor();
    check(
        &none,
        "switched off",
        "problem: OTEL_TRACES_EXPORTER is none: spans have ids and go nowhere, whatever the endpoint is",
    );
    assert!(none.findings().iter().all(|it| it.step != "connect"));
}

#[test]
fn a_subscriber_without_our_layer_or_with_a_filter_over_it_is_seen() {
    let telemetry = TestTelemetry::start();
    let bare =
        tracing::subscriber::with_default(NoSubscriber::default(), || telemetry.handle().doctor());
    check(
        &bare,
        "subscriber",
        "problem: the tracing subscriber of this thread has no layer",
    );
    let filtered = tracing_subscriber::registry()
        .with(telemetry.handle().tracing_layer())
        .with(LevelFilter::WARN);
    let filtered = tracing::subscriber::with_default(filtered, || telemetry.handle().doctor());
    check(
        &filtered,
        "subscriber",
        "problem: a filter of the subscriber hides",
    );
    let plain = tracing_subscriber::registry().with(telemetry.handle().tracing_layer());
    let plain = tracing::subscriber::with_default(plain, || telemetry.handle().doctor());
    check(&plain, "subscriber", "good");
}

#[test]
fn spans_that_were_lost_so_far_are_told() {
    let telemetry = TestTelemetry::start();
    telemetry.collector().always(Answer::status(400));
    tracing::info_span!("lost").in_scope(|| {});
    let _ = telemetry
        .handle()
        .shutdown_blocking(Duration::from_secs(60));
    let said = line(&telemetry.handle().doctor(), "spans");
    assert!(
        said.starts_with(
            "warning: so far 0 spans exported; dropped: 0 queue full, 1 export failed"
        ),
        "{said}"
    );
}

#[test]
fn a_host_that_does_not_exist_is_told_from_one_that_refuses() {
    let unknown = with(&[(ENDPOINT, "https://no-such-host.invalid:4318/v1/traces")]);
    // Without a name server at all it is the same advice.
    check(&unknown, "name", "problem: no");
    let said = line(&unknown, "name");
    assert!(said.contains("no-such-host.invalid"), "{said}");
    assert!(said.contains("correct the host in"), "{said}");
    assert!(unknown.findings().iter().all(|it| it.step != "connect"));
    let closed = closed_endpoint();
    let refused = with(&[(ENDPOINT, &closed)]);
    let port = port(&closed);
    check(
        &refused,
        "connect",
        &format!("problem: 127.0.0.1:{port} refuses connections"),
    );
    assert!(line(&refused, "connect").ends_with("in a container, localhost is that container"));
}

#[test]
fn plain_text_to_another_host_is_told() {
    // Reserved for documentation: nobody is there.
    let said = with(&[
        (ENDPOINT, "http://192.0.2.1:4318/v1/traces"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
    ]);
    assert!(line(&said, "endpoint").contains("spans cross a network in plain text"));
    assert!(!said.is_healthy());
}

#[test]
fn each_answer_has_its_own_advice() {
    for (answer, expected) in [
        (
            Answer::status(404),
            "problem: 404 Not Found: nothing takes traces at /v1/traces",
        ),
        (
            Answer::status(401),
            "problem: 401 Unauthorized; no header is configured",
        ),
        (
            Answer::status(415),
            "problem: 415 Unsupported Media Type: it takes no protobuf -> ",
        ),
        (
            Answer::html("<html>"),
            "problem: a success with text/html; charset=utf-8, which no Collector sends",
        ),
        (
            Answer::status(503),
            "problem: 503 Service Unavailable: the Collector is there",
        ),
        (Answer::status(413), "problem: 413 to an empty export"),
        (
            Answer::status(418),
            "problem: 418 I'm a teapot to an empty export",
        ),
        (Answer::close(), "problem: the collector cannot be reached"),
    ] {
        check(&answered(answer, &[]), "request", expected);
    }
    let token = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x,b=y")];
    check(
        &answered(Answer::status(403), &token),
        "request",
        "problem: 403 Forbidden; the headers authorization, b are sent",
    );
    let brief = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    check(
        &answered(Answer::hang(), &brief),
        "request",
        "problem: the collector did not answer within",
    );
}

#[test]
fn a_path_that_is_not_the_usual_one_is_told_before_its_404() {
    let collector = FakeCollector::start();
    collector.always(Answer::status(404));
    let diagnosis = with(&[(ENDPOINT, &collector.endpoint())]);
    assert!(line(&diagnosis, "endpoint").contains("the usual path is /v1/traces"));
    check(
        &diagnosis,
        "request",
        "problem: 404 Not Found: nothing takes traces at / -> ",
    );
}

#[test]
fn clocks_that_differ_are_seen_in_the_answer() {
    let late = Answer::ok().header("date", "Tue, 24 Nov 2026 10:00:00 GMT");
    let said = line(&answered(late, &[]), "clock");
    assert!(
        said.starts_with("warning: ") && said.contains("the Collector's: spans"),
        "{said}"
    );
    let now = httpdate::fmt_http_date(crate::clock::wall());
    check(
        &answered(Answer::ok().header("date", &now), &[]),
        "clock",
        "good",
    );
}

/// A server that speaks HTTP/2 and nothing else, as the gRPC port of a Collector does.
fn grpc_port(tls: Option<rustls::ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let tls = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                let service =
                    hyper::service::service_fn(|_: http::Request<hyper::body::Incoming>| {
                        pending::<Result<http::Response<String>, std::convert::Infallible>>()
                    });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // How a connection ends is the doctor's doing.
                let _ = match tls {
                    None => server.serve_connection(TokioIo::new(stream), service).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                        Err(_) => Ok(()),
                    },
                };
            });
        }
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(serve)
    });
    address
}

#[test]
fn a_grpc_port_is_known_by_its_protocol() {
    let address = grpc_port(None);
    let diagnosis = with(&[(ENDPOINT, &format!("http://{address}/v1/traces"))]);
    let looks = format!("problem: port {} looks like a gRPC port", address.port());
    check(&diagnosis, "request", &looks);
    assert!(line(&diagnosis, "request").contains("usually 4318"));
}

#[test]
fn a_grpc_port_behind_tls_is_known_too() {
    let authority = Authority::new();
    let mut config = authority.server("localhost", Validity::Years, Clients::Any);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = grpc_port(Some(config));
    let ca = authority.file("ca.pem").unwrap();
    let endpoint = format!("https://localhost:{}/v1/traces", address.port());
    let diagnosis = with(&[
        (ENDPOINT, &endpoint),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.to_str().unwrap()),
    ]);
    let looks = format!("problem: port {} looks like a gRPC port", address.port());
    check(&diagnosis, "request", &looks);
}

/// Reads a line and answers with the same bytes, whatever it was.
fn port_that_says(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (ready, wait) = sync_channel(1);
    thread::spawn(move || {
        ready.send(()).unwrap();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut some = [0; 16];
            // The doctor may have left already.
            if stream.read(&mut some).is_ok() {
                let _ = stream.write_all(bytes);
            }
        }
    });
    wait.recv().unwrap();
    address
}

#[test]
fn a_port_that_speaks_neither_is_no_grpc_port() {
    let address = port_that_says(b"220 mail.example ESMTP\r\n");
    let diagnosis = with(&[(ENDPOINT, &format!("http://{address}/v1/traces"))]);
    check(
        &diagnosis,
        "request",
        "problem: the collector cannot be reached",
    );
}

/// TLS with this authority's file, or the system's.
fn over_tls(collector: &FakeCollector, ca: Option<&Authority>) -> Diagnosis {
    let endpoint = collector.traces_endpoint();
    let ca = ca.and_then(|authority| authority.file("ca.pem"));
    let ca = ca.as_ref().map_or("", |file| file.to_str().unwrap());
    with(&[
        (ENDPOINT, &endpoint),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca),
    ])
}

#[test]
fn a_certificate_is_told_with_what_is_wrong_with_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let of = |name, validity| authority.collector(name, validity, Clients::Any);

    let good = over_tls(&of("localhost", Validity::Years), Some(&authority));
    check(
        &good,
        "tls",
        "good: TLS 1.3, certificate for localhost from the authority in ",
    );
    check(&good, "request", "good: the Collector takes traces");
    let file = over_tls(&of("localhost", Validity::Years), Some(&other));
    check(
        &file,
        "tls",
        "problem: the certificate is not from the authority in ",
    );
    let system = over_tls(&of("localhost", Validity::Years), None);
    check(
        &system,
        "tls",
        "problem: the certificate is not from the system's authorities",
    );
    let expired = over_tls(&of("localhost", Validity::Expired), Some(&authority));
    check(
        &expired,
        "tls",
        "problem: the certificate is not valid now: it expired on Fri, 01 Jan 2021 00:00:00 GMT",
    );
    let named = over_tls(&of("other.example", Validity::Years), Some(&authority));
    check(&named, "tls", "problem: the certificate is for other names");
    assert!(line(&named, "tls").contains("other.example"), "{named}");
    let soon = over_tls(&of("localhost", Validity::Days(3)), Some(&authority));
    check(&soon, "tls", "warning: TLS 1.3");
    assert!(
        line(&soon, "tls").contains("it expires in less than 3 days"),
        "{soon}"
    );
}

#[test]
fn a_peer_that_wants_a_client_certificate_is_told() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", Validity::Years, Clients::Known);
    let diagnosis = over_tls(&collector, Some(&authority));
    let asks = line(&diagnosis, "tls");
    assert!(
        asks.starts_with("warning: the peer asks for a client certificate"),
        "{diagnosis}"
    );
    check(
        &diagnosis,
        "request",
        "problem: the peer refuses us without a client certificate",
    );
}

#[test]
fn tls_and_plain_text_that_meet_are_told_apart() {
    let authority = Authority::new();
    let secure = authority.collector("localhost", Validity::Years, Clients::Any);
    let plain = secure.traces_endpoint().replace("https://", "http://");
    let diagnosis = with(&[(ENDPOINT, &plain)]);
    let port = port(&plain);
    check(
        &diagnosis,
        "request",
        &format!("problem: port {port} speaks TLS -> write https:// in {ENDPOINT}"),
    );

    let bare = FakeCollector::start();
    let endpoint = bare.traces_endpoint().replace("http://", "https://");
    let diagnosis = with(&[(ENDPOINT, &endpoint)]);
    check(&diagnosis, "tls", "problem: port ");
    assert!(
        line(&diagnosis, "tls").contains("does not speak TLS"),
        "{diagnosis}"
    );
}

#[tokio::test]
async fn it_may_be_asked_inside_a_runtime() {
    let telemetry = TestTelemetry::start();
    let here = telemetry.handle().doctor();
    assert!(here.is_healthy(), "{here}");
    let handle = telemetry.handle().clone();
    let apart = tokio::task::spawn_blocking(move || handle.doctor())
        .await
        .unwrap();
    assert_eq!(
        line(&apart, "request"),
        "good: the Collector takes traces -> -"
    );
    assert!(telemetry.spans().await.is_empty(), "it makes no spans");
}
