//! The spans and metrics of gRPC calls: semantic conventions 1.44, `rpc/grpc.md` and
//! `rpc/rpc-metrics.md` (release candidate), between tonic's server and tonic's client. How each
//! kind of call ends is F26 (`tests/grpc.rs`).

use std::collections::BTreeMap;

use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tower::{Layer, ServiceExt, service_fn};

use super::read::{ABSENT, BUCKETS, assert_as_long, bounds, check, labels, said, samples};
use super::shop::{Running, Shop, text, unary, watch};

const SERVER: &str = "rpc_server_call_duration_seconds";
const CLIENT: &str = "rpc_client_call_duration_seconds";

/// Each code, its name, and whether it is an error of the server; all but OK are of the client.
const CODES: [(i32, &str, bool); 17] = [
    (0, "OK", false),
    (1, "CANCELLED", false),
    (2, "UNKNOWN", true),
    (3, "INVALID_ARGUMENT", false),
    (4, "DEADLINE_EXCEEDED", true),
    (5, "NOT_FOUND", false),
    (6, "ALREADY_EXISTS", false),
    (7, "PERMISSION_DENIED", false),
    (8, "RESOURCE_EXHAUSTED", false),
    (9, "FAILED_PRECONDITION", false),
    (10, "ABORTED", false),
    (11, "OUT_OF_RANGE", false),
    (12, "UNIMPLEMENTED", true),
    (13, "INTERNAL", true),
    (14, "UNAVAILABLE", true),
    (15, "DATA_LOSS", true),
    (16, "UNAUTHENTICATED", false),
];

/// A server and everything that its calls left behind.
struct Calls {
    telemetry: TestTelemetry,
    server: Running,
}

impl Calls {
    async fn start() -> Self {
        let telemetry = TestTelemetry::start();
        let server = Running::start(telemetry.handle().grpc_server(), Shop::default()).await;
        Self { telemetry, server }
    }

    async fn ask(&self, method: &str, what: &str) {
        let layer = self.telemetry.handle().grpc_client().server("shop", 50_051);
        // The spans tell how it ended.
        let _ = unary(self.server.channel(layer), method, text(what)).await;
    }

    /// The spans of the last call, by kind. The server's may come later than the answer.
    async fn spans(&self, calls: usize) -> BTreeMap<&'static str, ReceivedSpan> {
        loop {
            let spans = self.telemetry.spans().await;
            if spans.len() == 2 * calls {
                let last = spans.into_iter().rev().take(2);
                return last.map(|span| (span.kind(), span)).collect();
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_span_says_what_the_conventions_say() {
    let calls = Calls::start().await;
    calls.ask("Get", "tea").await;
    let spans = calls.spans(1).await;
    for (kind, address, port) in [
        ("client", "shop", 50_051),
        ("server", "127.0.0.1", calls.server.address.port()),
    ] {
        let port = format!("#{port}");
        let expected = [
            ("(name)", "test.Shop/Get"),
            ("rpc.system.name", "grpc"),
            ("rpc.method", "test.Shop/Get"),
            ("rpc.method_original", ABSENT),
            ("rpc.status_code", "OK"),
            ("error.type", ABSENT),
            ("(status)", "unset"),
            ("server.address", address),
            ("server.port", &port),
        ];
        check(kind, &spans[kind], &expected);
    }
    // What is opt-in, and all names of before 1.38, are not there.
    let plain = "rpc.method rpc.status_code rpc.system.name server.address server.port";
    check("client", &spans["client"], &[("(attributes)", plain)]);
    let plain = format!("network.peer.address network.peer.port {plain}");
    check("server", &spans["server"], &[("(attributes)", plain)]);
}

#[tokio::test]
async fn an_unknown_method_is_other_on_the_server_and_its_span_named_after_the_system() {
    let calls = Calls::start().await;
    calls.ask("Nope", "").await;
    let spans = calls.spans(1).await;
    let expected = [
        ("(name)", "grpc"),
        ("rpc.method", "_OTHER"),
        ("rpc.method_original", "test.Shop/Nope"),
    ];
    check("server", &spans["server"], &expected);
    // A client's methods stand in its code.
    let expected = [
        ("(name)", "test.Shop/Nope"),
        ("rpc.method_original", ABSENT),
    ];
    check("client", &spans["client"], &expected);
}

#[tokio::test]
async fn every_code_is_told_by_name_and_is_an_error_where_the_conventions_say() {
    let calls = Calls::start().await;
    calls.ask("Get", "known from now on").await;
    for (at, (code, name, of_server)) in (2..).zip(CODES) {
        calls.ask("Get", &format!("code {code}")).await;
        let spans = calls.spans(at).await;
        for (kind, is_error) in [("client", name != "OK"), ("server", of_server)] {
            let error_type = if is_error { name } else { ABSENT };
            let expected = [
                ("rpc.status_code", name),
                ("error.type", error_type),
                ("(status)", if is_error { "error" } else { "unset" }),
                ("(description)", ""),
            ];
            check(&format!("{name} {kind}"), &spans[kind], &expected);
        }
    }
}

#[tokio::test]
async fn the_peers_of_a_connection_are_told_where_the_transport_tells_them() {
    let calls = Calls::start().await;
    let http2 = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let port = calls.server.address.port();
    let authority = calls.server.address.to_string();
    // tonic's own channel tells nobody.
    let client = service_fn(move |mut request: http::Request<tonic::body::Body>| {
        let uri = Uri::builder().scheme("http").authority(authority.as_str());
        *request.uri_mut() = uri.path_and_query(request.uri().path()).build().unwrap();
        http2.clone().oneshot(request)
    });
    let client = calls.telemetry.handle().grpc_client().layer(client);
    unary(client, "Get", text("tea")).await.unwrap();
    let spans = calls.spans(1).await;
    for kind in ["client", "server"] {
        check(kind, &spans[kind], &[("network.peer.address", "127.0.0.1")]);
    }
    let port = format!("#{port}");
    check(
        "client",
        &spans["client"],
        &[("network.peer.port", port.as_str())],
    );
    assert_ne!(
        said(&spans["server"], "network.peer.port"),
        port,
        "the client's"
    );
    assert_ne!(said(&spans["server"], "network.peer.port"), ABSENT);
}

#[tokio::test]
async fn a_span_covers_the_whole_stream() {
    let calls = Calls::start().await;
    let layer = calls.telemetry.handle().grpc_client();
    let mut messages = watch(calls.server.channel(layer), "endless").await.unwrap();
    messages.message().await.unwrap().unwrap();
    assert!(calls.telemetry.spans().await.is_empty(), "it goes on");
    drop(messages);
    let spans = calls.spans(1).await;
    for kind in ["client", "server"] {
        check(kind, &spans[kind], &[("rpc.status_code", "CANCELLED")]);
    }
}

#[tokio::test]
async fn the_metrics_have_the_recommended_form_and_say_what_the_spans_say() {
    for (what, code, of_server) in [("tea", "OK", false), ("broken", "INTERNAL", true)] {
        let calls = Calls::start().await;
        calls.ask("Get", what).await;
        let spans = calls.spans(1).await;
        let page = calls.telemetry.scrape();
        for (name, span, is_error) in [
            (CLIENT, &spans["client"], code != "OK"),
            (SERVER, &spans["server"], of_server),
        ] {
            assert_eq!(page.types()[name], "histogram");
            assert_eq!(bounds(&page, name), BUCKETS);
            let mut expected = vec![
                ("rpc_method", "test.Shop/Get"),
                ("rpc_status_code", code),
                ("rpc_system_name", "grpc"),
            ];
            if is_error {
                expected.insert(0, ("error_type", code));
            }
            if name == CLIENT {
                expected.extend([("server_address", "shop"), ("server_port", "50051")]);
            }
            let count = format!("{name}_count");
            let found: Vec<_> = samples(&page, &count).map(labels).collect();
            assert_eq!(found, [expected]);
            assert_as_long(&page, name, span);
        }
    }
}
