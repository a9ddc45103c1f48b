//! The span and the metric of an HTTP client: semantic conventions 1.44, `http/http-spans.md` and
//! `http/http-metrics.md` (stable).

use std::sync::Arc;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::get;
use futures_util::stream;
use http::{Request, Response};
use telemetry_lib::Resends;
use telemetry_lib::testing::TestTelemetry;
use tokio::sync::Notify;
use tower::retry::{Policy, RetryLayer};
use tower::{ServiceBuilder, ServiceExt};
use tracing::Instrument;

use super::net::{Body, Server, ask, client, int, statuses};
use super::read::{ABSENT, BUCKETS, Row, assert_as_long, bounds, check, said, series};

const DURATION: &str = "http_client_request_duration_seconds";

/// What the rule says, method and URL, and what the span then says. `{at}` is address and port of
/// the server, `{port}` the port alone.
const ROWS: &[Row] = &[
    (
        "the kind is CLIENT, the name {method}, never the path",
        "GET http://{at}/status/200",
        &[("(kind)", "client"), ("(name)", "GET")],
    ),
    (
        "required: http.request.method, server.address, server.port, url.full",
        "GET http://{at}/status/200?a=1",
        &[
            ("http.request.method", "GET"),
            ("server.address", "127.0.0.1"),
            ("server.port", "#{port}"),
            ("url.full", "http://{at}/status/200?a=1"),
        ],
    ),
    (
        "the values of signatures are REDACTED, their keys kept",
        "GET http://{at}/status/200?a=1&sig=s3cret&X-Amz-Signature=s3cret",
        &[
            (
                "url.full",
                "http://{at}/status/200?a=1&sig=REDACTED&X-Amz-Signature=REDACTED",
            ),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "beyond the conventions: other secrets, and keys in any case and encoding",
        "GET http://{at}/status/200?client_secret=s3cret&%73IG=s3cret",
        &[
            (
                "url.full",
                "http://{at}/status/200?client_secret=REDACTED&%73IG=REDACTED",
            ),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "… and a value that is a URL with a secret",
        "GET http://{at}/status/200?next=%2Fcb%3Ftoken%3Ds3cret",
        &[
            ("url.full", "http://{at}/status/200?next=REDACTED"),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "user-info becomes REDACTED:REDACTED",
        "GET http://root:s3cret@{at}/status/200",
        &[
            ("url.full", "http://REDACTED:REDACTED@{at}/status/200"),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "an unknown method is _OTHER, its original is kept, the name is HTTP",
        "PURGE http://{at}/status/200",
        &[
            ("(name)", "HTTP"),
            ("http.request.method", "_OTHER"),
            ("http.request.method_original", "PURGE"),
        ],
    ),
    (
        "a known method has no original; QUERY is known",
        "QUERY http://{at}/status/200",
        &[
            ("http.request.method", "QUERY"),
            ("http.request.method_original", ABSENT),
        ],
    ),
    (
        "2xx: the code is a number, status unset, no error.type",
        "GET http://{at}/status/204",
        &[
            ("http.response.status_code", "#204"),
            ("(status)", "unset"),
            ("error.type", ABSENT),
        ],
    ),
    (
        "3xx: status unset, no error.type",
        "GET http://{at}/status/304",
        &[
            ("http.response.status_code", "#304"),
            ("(status)", "unset"),
            ("error.type", ABSENT),
        ],
    ),
    (
        "4xx is an error of a client, without a description",
        "GET http://{at}/status/404",
        &[
            ("http.response.status_code", "#404"),
            ("(status)", "error"),
            ("(description)", ""),
            ("error.type", "404"),
        ],
    ),
    (
        "5xx too",
        "GET http://{at}/status/503",
        &[
            ("http.response.status_code", "#503"),
            ("(status)", "error"),
            ("(description)", ""),
            ("error.type", "503"),
        ],
    ),
    (
        "network.protocol.version; http needs no network.protocol.name",
        "GET http://{at}/status/200",
        &[
            ("network.protocol.version", "1.1"),
            ("network.protocol.name", ABSENT),
        ],
    ),
    (
        "network.peer.* are the connection's",
        "GET http://{at}/status/200",
        &[
            ("network.peer.address", "127.0.0.1"),
            ("network.peer.port", "#{port}"),
        ],
    ),
    (
        "what is opt-in or conditional is not there",
        "GET http://{at}/status/200",
        &[(
            "(attributes)",
            "http.request.method http.response.status_code network.peer.address \
             network.peer.port network.protocol.version server.address server.port url.full",
        )],
    ),
];

#[tokio::test]
async fn a_span_says_what_the_conventions_say() {
    let server = Server::start(statuses()).await;
    let (at, port) = (server.address.to_string(), server.address.port());
    let here = |text: &str| {
        text.replace("{at}", &at)
            .replace("{port}", &port.to_string())
    };
    for (rule, request, expected) in ROWS {
        let telemetry = TestTelemetry::start();
        let (method, url) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(here(url));
        ask(&telemetry, request.body(Body::default()).unwrap())
            .await
            .unwrap();
        let spans = telemetry.spans().await;
        assert_eq!(spans.len(), 1, "{rule}: one span for an attempt");
        let expected: Vec<_> = expected.iter().map(|(key, it)| (*key, here(it))).collect();
        check(rule, &spans[0], &expected);
    }
}

#[tokio::test]
async fn http_2_is_told_by_its_version() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    let request = server.request("GET", "/status/200");
    let client = client(telemetry.handle(), true);
    client.oneshot(request).await.unwrap();
    assert_eq!(
        said(&telemetry.spans().await[0], "network.protocol.version"),
        "2"
    );
}

#[tokio::test]
async fn the_span_ends_with_the_head_of_the_response_whatever_its_body_does() {
    let telemetry = TestTelemetry::start();
    let endless =
        || async { AxumBody::from_stream(stream::pending::<Result<&str, axum::Error>>()) };
    let server = Server::start(Router::new().route("/", get(endless))).await;
    let client = client(telemetry.handle(), false);
    let response = client.oneshot(server.request("GET", "/")).await.unwrap();
    let spans = telemetry.spans().await;
    assert_eq!(said(&spans[0], "http.response.status_code"), "#200");
    let count = format!("{DURATION}_count");
    assert_eq!(telemetry.scrape().total(&count), 1.0);
    drop(response);
    assert_eq!(telemetry.spans().await.len(), 1);
    assert_eq!(telemetry.scrape().total(&count), 1.0);
}

#[tokio::test]
async fn who_leaves_before_the_response_has_cancelled_and_that_is_no_error() {
    let telemetry = TestTelemetry::start();
    let arrived = Arc::new(Notify::new());
    let there = Arc::clone(&arrived);
    let never = get(|| async move {
        there.notify_one();
        std::future::pending::<()>().await;
    });
    let server = Server::start(Router::new().route("/", never)).await;
    tokio::select! {
        _ = ask(&telemetry, server.request("GET", "/")) => panic!("nobody answers"),
        () = arrived.notified() => {}
    }
    let spans = telemetry.spans().await;
    check(
        "leaving",
        &spans[0],
        &[("error.type", "cancelled"), ("(status)", "unset")],
    );
    let labels = [("error_type", "cancelled")];
    let count = format!("{DURATION}_count");
    assert_eq!(telemetry.scrape().value(&count, &labels), Some(1.0));
}

/// Sends again until the answer is a success; at most three times.
#[derive(Clone)]
struct ThreeTimes(u32);

impl<E> Policy<Request<Body>, Response<hyper::body::Incoming>, E> for ThreeTimes {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<hyper::body::Incoming>, E>,
    ) -> Option<Self::Future> {
        let failed = result
            .as_ref()
            .is_ok_and(|it| it.status().is_server_error());
        self.0 -= 1;
        (failed && self.0 > 0).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_attempt_is_a_span_of_its_own_and_says_which_one_it_is() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    let numbered = ServiceBuilder::new()
        .map_request(|mut request: Request<Body>| {
            request.extensions_mut().insert(Resends::default());
            request
        })
        .layer(RetryLayer::new(ThreeTimes(3)))
        .service(client(telemetry.handle(), false));
    for _ in 0..2 {
        let asked = numbered
            .clone()
            .oneshot(server.request("GET", "/status/503"));
        let parent = tracing::info_span!("order");
        assert_eq!(asked.instrument(parent).await.unwrap().status(), 503);
    }
    let spans = telemetry.spans().await;
    let orders: Vec<_> = spans.iter().filter(|it| it.name() == "order").collect();
    assert_eq!(orders.len(), 2, "each request counts from the start");
    for order in orders {
        let attempts = spans
            .iter()
            .filter(|it| it.parent_span_id() == order.span_id());
        let counts: Vec<_> = attempts
            .map(|it| it.attribute("http.request.resend_count").cloned())
            .collect();
        assert_eq!(counts, [None, int(1), int(2)]);
    }
    let count = format!("{DURATION}_count");
    assert_eq!(telemetry.scrape().total(&count), 6.0);
}

#[tokio::test]
async fn the_metric_has_the_recommended_form_and_says_what_the_span_says() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(statuses()).await;
    ask(&telemetry, server.request("GET", "/status/404"))
        .await
        .unwrap();
    let spans = telemetry.spans().await;
    let page = telemetry.scrape();
    assert_eq!(page.types()[DURATION], "histogram");
    assert_eq!(bounds(&page, DURATION), BUCKETS);

    let port = server.address.port().to_string();
    let labels = [
        ("error_type", "404"),
        ("http_request_method", "GET"),
        ("http_response_status_code", "404"),
        ("network_protocol_version", "1.1"),
        ("server_address", "127.0.0.1"),
        ("server_port", &port),
    ];
    assert_eq!(series(&page, DURATION), [labels]);
    assert_as_long(&page, DURATION, &spans[0]);

    let exemplars = page.exemplars(DURATION);
    assert_eq!(exemplars.len(), 1);
    assert_eq!(exemplars[0].labels["trace_id"], spans[0].trace_id());
    assert_eq!(exemplars[0].labels["span_id"], spans[0].span_id());
    assert_eq!(said(&spans[0], "exemplar"), "true");
}
