//! The span of an HTTP server: semantic conventions 1.44, `http/http-spans.md` (stable).

use telemetry_lib::Config;

use super::read::{self, ABSENT, Row};
use super::service::Service;

const PLAIN: &[Row] = &[
    (
        "the name is {method} {route}, the kind SERVER",
        "GET /users/7 HTTP/1.1",
        &[
            ("(name)", "GET /users/{id}"),
            ("(kind)", "server"),
            ("http.route", "/users/{id}"),
        ],
    ),
    (
        "without a route the name is {method}; neither name nor http.route is ever the path",
        "GET /no/such/page HTTP/1.1",
        &[
            ("(name)", "GET"),
            ("http.route", ABSENT),
            ("url.path", "/no/such/page"),
        ],
    ),
    (
        "required: http.request.method, url.path, url.scheme",
        "GET /users/7 HTTP/1.1",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/users/7"),
            ("url.scheme", "http"),
        ],
    ),
    (
        "an unknown method is _OTHER, its original is kept, the name says HTTP",
        "PROPFIND /users/7 HTTP/1.1",
        &[
            ("(name)", "HTTP /users/{id}"),
            ("http.request.method", "_OTHER"),
            ("http.request.method_original", "PROPFIND"),
        ],
    ),
    (
        "methods are case-sensitive",
        "Get /users/7 HTTP/1.1",
        &[
            ("http.request.method", "_OTHER"),
            ("http.request.method_original", "Get"),
        ],
    ),
    (
        "QUERY is a known method",
        "QUERY /users/7 HTTP/1.1",
        &[
            ("http.request.method", "QUERY"),
            ("http.request.method_original", ABSENT),
        ],
    ),
    (
        "PATCH is a known method",
        "PATCH /users/7 HTTP/1.1",
        &[
            ("http.request.method", "PATCH"),
            ("http.request.method_original", ABSENT),
        ],
    ),
    (
        "the status code is a number; 2xx: status unset, no error.type",
        "GET /users/7 HTTP/1.1",
        &[
            ("http.response.status_code", "#200"),
            ("(status)", "unset"),
            ("error.type", ABSENT),
        ],
    ),
    (
        "3xx: status unset, no error.type",
        "GET /status/302 HTTP/1.1",
        &[
            ("http.response.status_code", "#302"),
            ("(status)", "unset"),
            ("error.type", ABSENT),
        ],
    ),
    (
        "4xx is no error of a server",
        "GET /status/404 HTTP/1.1",
        &[
            ("http.response.status_code", "#404"),
            ("(status)", "unset"),
            ("error.type", ABSENT),
        ],
    ),
    (
        "5xx: Error, error.type is the code as text, no description",
        "GET /status/503 HTTP/1.1",
        &[
            ("http.response.status_code", "#503"),
            ("(status)", "error"),
            ("(description)", ""),
            ("error.type", "503"),
        ],
    ),
    (
        "an error while the body is sent: Error and error.type beside a 201",
        "GET /breaks HTTP/1.1",
        &[
            ("http.response.status_code", "#201"),
            ("(status)", "error"),
            ("error.type", "axum_core::error::Error"),
        ],
    ),
    (
        "a panic: Error and error.type",
        "GET /panics HTTP/1.1",
        &[
            ("http.response.status_code", "#500"),
            ("(status)", "error"),
            ("error.type", "panic"),
        ],
    ),
    (
        "url.query without its mark; the path has none of it",
        "GET /users/7?a=1&b HTTP/1.1",
        &[("url.path", "/users/7"), ("url.query", "a=1&b")],
    ),
    (
        "no url.query without one",
        "GET /users/7 HTTP/1.1",
        &[("url.query", ABSENT)],
    ),
    (
        "the values of signatures are REDACTED, their keys kept",
        "GET /users/7?X-Amz-Signature=s&X-Amz-Credential=s&X-Amz-Security-Token=s HTTP/1.1",
        &[(
            "url.query",
            "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED",
        )],
    ),
    (
        "… and those of the other four",
        "GET /users/7?AWSAccessKeyId=s&Signature=s&sig=s&X-Goog-Signature=s&a=1 HTTP/1.1",
        &[(
            "url.query",
            "AWSAccessKeyId=REDACTED&Signature=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED&a=1",
        )],
    ),
    (
        "beyond the conventions: other secrets, and keys in any case and encoding",
        "GET /users/7?password=s3cret&access_token=s3cret&SIG=s3cret&%73ig=s3cret&a=1 HTTP/1.1",
        &[
            (
                "url.query",
                "password=REDACTED&access_token=REDACTED&SIG=REDACTED&%73ig=REDACTED&a=1",
            ),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "… and a value that is a URL with a secret",
        "GET /users/7?a=1&next=%2Fcb%3Ftoken%3Ds3cret&to=https://u:s3cret@h/ HTTP/1.1",
        &[
            ("url.query", "a=1&next=REDACTED&to=REDACTED"),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "network.protocol.version 1.1; http needs no network.protocol.name",
        "GET /users/7 HTTP/1.1",
        &[
            ("network.protocol.version", "1.1"),
            ("network.protocol.name", ABSENT),
        ],
    ),
    (
        "network.protocol.version 1.0",
        "GET /users/7 HTTP/1.0",
        &[("network.protocol.version", "1.0")],
    ),
    (
        "server.address and server.port come from Host",
        "GET /users/7 HTTP/1.1\nhost: shop.example:8443",
        &[("server.address", "shop.example"), ("server.port", "#8443")],
    ),
    (
        "… also with an IPv6 address",
        "GET /users/7 HTTP/1.1\nhost: [2001:db8::1]:8443",
        &[("server.address", "2001:db8::1"), ("server.port", "#8443")],
    ),
    (
        "user-info of a target in absolute form appears nowhere",
        "GET http://user:s3cret@shop.example:81/users/7 HTTP/1.1\nhost: other",
        &[("server.address", "shop.example"), ("(anywhere)", "s3cret")],
    ),
    (
        "client.address and network.peer.* are the connection's, headers are not believed",
        "GET /users/7 HTTP/1.1\nx-forwarded-for: 203.0.113.7\nforwarded: for=203.0.113.8;proto=https",
        &[
            ("client.address", "127.0.0.1"),
            ("network.peer.address", "127.0.0.1"),
            ("url.scheme", "http"),
        ],
    ),
    (
        "client.port is opt-in",
        "GET /users/7 HTTP/1.1",
        &[("client.port", ABSENT)],
    ),
    (
        "user_agent.original",
        "GET /users/7 HTTP/1.1\nuser-agent: probe/1 (x)",
        &[("user_agent.original", "probe/1 (x)")],
    ),
    (
        "headers are opt-in",
        "GET /users/7 HTTP/1.1\nx-team: pay",
        &[("http.request.header.x-team", ABSENT)],
    ),
    (
        "what is opt-in or conditional is not there",
        "GET /users/7 HTTP/1.1",
        &[(
            "(attributes)",
            "client.address http.request.method http.response.status_code http.route \
             network.peer.address network.peer.port network.protocol.version server.address \
             server.port url.path url.scheme",
        )],
    ),
    (
        "exceptions are no span events: nothing is added to a failed request but its outcome",
        "GET /status/500 HTTP/1.1",
        &[("(events)", "")],
    ),
];

const BEHIND_A_PROXY: &[Row] = &[
    (
        "Forwarded goes before Host",
        "GET /users/7 HTTP/1.1\nforwarded: for=203.0.113.8;host=f.example:1;proto=https",
        &[
            ("server.address", "f.example"),
            ("server.port", "#1"),
            ("url.scheme", "https"),
            ("client.address", "203.0.113.8"),
            ("network.peer.address", "127.0.0.1"),
        ],
    ),
    (
        "X-Forwarded-* go before Host, and before Forwarded, which may be the client's",
        "GET /users/7 HTTP/1.1\nx-forwarded-host: x.example\nx-forwarded-proto: https\n\
         x-forwarded-for: 203.0.113.9\nforwarded: for=203.0.113.8;host=f.example:1;proto=http",
        &[
            ("server.address", "x.example"),
            ("url.scheme", "https"),
            ("client.address", "203.0.113.9"),
        ],
    ),
    (
        "Host without either",
        "GET /users/7 HTTP/1.1",
        &[
            ("server.address", "shop.example"),
            ("client.address", "127.0.0.1"),
        ],
    ),
];

const CAPTURED: &[Row] = &[
    (
        "headers by allow-list, as lists of strings, with all their values",
        "GET /users/7 HTTP/1.1\nx-team: pay\nx-team: ship\nx-other: no",
        &[
            ("http.request.header.x-team", "[\"pay\", \"ship\"]"),
            ("http.request.header.x-other", ABSENT),
            (
                "http.response.header.content-type",
                "[\"text/plain; charset=utf-8\"]",
            ),
        ],
    ),
    (
        "credentials are hidden even on the list",
        "GET /users/7 HTTP/1.1\nauthorization: Bearer s3cret\ncookie: a=s3cret",
        &[
            ("http.request.header.authorization", "[\"REDACTED\"]"),
            ("(anywhere)", "s3cret"),
        ],
    ),
    (
        "beyond the conventions: user-info and query of a URL are shown as those of url.full",
        "GET /users/7 HTTP/1.1\nreferer: https://u:s3cret@shop.example/a?b=1&token=s3cret#c",
        &[
            (
                "http.request.header.referer",
                "[\"https://REDACTED:REDACTED@shop.example/a?b=1&token=REDACTED#c\"]",
            ),
            ("(anywhere)", "s3cret"),
        ],
    ),
];

const OTHER_METHODS: &[Row] = &[
    (
        "the variable replaces the list: what it names is known",
        "PURGE /users/7 HTTP/1.1",
        &[
            ("http.request.method", "PURGE"),
            ("(name)", "PURGE /users/{id}"),
        ],
    ),
    (
        "… and what it does not name is not",
        "POST /users/7 HTTP/1.1",
        &[
            ("http.request.method", "_OTHER"),
            ("http.request.method_original", "POST"),
        ],
    ),
];

async fn check(service: &Service, rows: &[Row]) {
    for (rule, request, expected) in rows {
        service.send(request).await;
        read::check(rule, &service.span().await, expected);
    }
}

#[tokio::test]
async fn a_span_says_what_the_conventions_say() {
    check(&Service::start().await, PLAIN).await;
}

#[tokio::test]
async fn http_2_is_told_by_its_version_and_its_authority() {
    let service = Service::start().await;
    service.send_http2("/users/7").await;
    let span = service.span().await;
    let expected = [
        ("(name)", "GET /users/{id}"),
        ("network.protocol.version", "2"),
        ("server.address", "shop.example"),
        ("server.port", "#8080"),
        ("url.scheme", "http"),
        ("url.path", "/users/7"),
        ("http.response.status_code", "#200"),
    ];
    read::check("HTTP/2", &span, &expected);
}

/// All that are known; CONNECT has a target of another form.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

#[tokio::test]
async fn the_known_methods_are_ten() {
    let service = Service::start().await;
    let targets = METHODS.map(|method| (method, "/users/7"));
    for (method, target) in targets.into_iter().chain([("CONNECT", "shop.example:80")]) {
        service.send(&format!("{method} {target} HTTP/1.1")).await;
        let expected = [
            ("http.request.method", method),
            ("http.request.method_original", ABSENT),
        ];
        read::check(method, &service.span().await, &expected);
    }
}

#[tokio::test]
async fn the_peer_is_the_other_end_of_the_connection() {
    let service = Service::start().await;
    let open = service.open("GET /users/7 HTTP/1.1").await;
    let port = format!("#{}", open.local_addr().unwrap().port());
    let expected = [
        ("network.peer.address", "127.0.0.1"),
        ("network.peer.port", &port),
    ];
    read::check("peer", &service.span().await, &expected);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let trusting = |config: Config| config.trusted_proxies(["127.0.0.0/8".parse().unwrap()]);
    check(&Service::with(&[], trusting).await, BEHIND_A_PROXY).await;
}

#[tokio::test]
async fn headers_are_captured_by_name() {
    let names = ["x-team", "authorization", "cookie", "referer"].map(http::HeaderName::from_static);
    let capturing = |config: Config| {
        config
            .request_headers(names)
            .response_headers([http::header::CONTENT_TYPE])
    };
    check(&Service::with(&[], capturing).await, CAPTURED).await;
}

#[tokio::test]
async fn the_known_methods_can_be_replaced() {
    let known = [("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PURGE")];
    check(&Service::with(&known, |config| config).await, OTHER_METHODS).await;
}
