//! F13 and F16: what a server makes of the headers of a caller who means no good, or knows no
//! better.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http::HeaderValue;
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::{SPAN, TRACE};

async fn span_of(telemetry: &TestTelemetry, lines: &[(&'static str, &[u8])]) -> ReceivedSpan {
    let app = Router::new().route("/", get(|| async { "" }));
    let app = telemetry.handle().instrument(app);
    let mut request = Request::get("/").body(Body::empty()).unwrap();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(*name, value);
    }
    app.oneshot(request).await.unwrap();
    let spans = telemetry.spans().await;
    spans.last().unwrap().clone()
}

fn malformed(telemetry: &TestTelemetry, header: &str) -> f64 {
    let page = telemetry.scrape();
    let labels = [("header", header)];
    page.value("telemetry_malformed_headers_total", &labels)
        .unwrap()
}

#[tokio::test]
async fn f13_a_traceparent_continues_or_a_new_trace_begins_and_is_counted() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    let ids = format!("{TRACE}-{SPAN}");
    let continues = [
        good.clone(),
        format!("00-{ids}-00"), // asked for by hand: not sampled, see below
        format!("00-{ids}-ff"),
        format!("01-{ids}-01"),
        format!("01-{ids}-01-an-extra-field"),
        format!("fe-{ids}-01-x"),
    ];
    for header in continues {
        let telemetry = TestTelemetry::configured(&[("OTEL_TRACES_SAMPLER", "always_on")], |it| it);
        let span = span_of(&telemetry, &[("traceparent", header.as_bytes())]).await;
        assert_eq!(span.trace_id(), TRACE, "{header}");
        assert_eq!(span.parent_span_id(), SPAN, "{header}");
        assert_eq!(malformed(&telemetry, "traceparent"), 0.0, "{header}");
    }
    let begins: [&[u8]; 15] = [
        b"".as_slice(),
        b"00",
        &good.as_bytes()[..54],
        format!("{good}0").as_bytes(),
        format!("00-{ids}-01-extra").as_bytes(),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()).as_bytes(),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()).as_bytes(),
        format!("ff-{ids}-01").as_bytes(),
        format!("00-{}-{SPAN}-01", "0".repeat(32)).as_bytes(),
        format!("00-{TRACE}-{}-01", "0".repeat(16)).as_bytes(),
        format!("00-{TRACE}{SPAN}-01").as_bytes(), // three parts
        format!("00-{}-{SPAN}-01", &TRACE[2..]).as_bytes(),
        format!("00-{}\u{e9}-{SPAN}-01", &TRACE[2..]).as_bytes(),
        b"00-\xff\xfe92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        format!("00-{ids}-zz").as_bytes(),
    ]
    .map(|bytes| &*bytes.to_vec().leak());
    for header in begins {
        let telemetry = TestTelemetry::start();
        let span = span_of(&telemetry, &[("traceparent", header)]).await;
        let shown = String::from_utf8_lossy(header);
        assert_ne!(span.trace_id(), TRACE, "{shown}");
        assert_eq!(span.parent_span_id(), "", "{shown}");
        assert_eq!(malformed(&telemetry, "traceparent"), 1.0, "{shown}");
    }
}

#[tokio::test]
async fn f13_two_lines_name_two_callers_and_neither_is_believed() {
    let telemetry = TestTelemetry::start();
    let good = format!("00-{TRACE}-{SPAN}-01");
    let line = ("traceparent", good.as_bytes());
    let span = span_of(&telemetry, &[line, line]).await;
    assert_eq!(span.parent_span_id(), "");
    assert_eq!(malformed(&telemetry, "traceparent"), 1.0);
}

#[tokio::test]
async fn f13_a_broken_state_or_baggage_costs_itself_and_not_the_trace() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    let rows: [(&'static str, &[u8]); 4] = [
        ("tracestate", b"Upper=1"),
        ("tracestate", b"a=\xff"),
        ("baggage", b"no-value,a=%zz"),
        ("baggage", b"\xff"),
    ];
    for row in rows {
        let telemetry = TestTelemetry::start();
        let span = span_of(&telemetry, &[("traceparent", good.as_bytes()), row]).await;
        assert_eq!(span.parent_span_id(), SPAN, "{row:?}");
        assert_eq!(span.as_otlp().trace_state, "", "{row:?}");
        assert_eq!(malformed(&telemetry, row.0), 1.0, "{row:?}");
    }
}

#[tokio::test]
async fn f13_a_broken_b3_is_counted_whatever_its_form() {
    let rows: [&[(&'static str, &[u8])]; 4] = [
        &[("b3", b"80f198ee56343ba864fe8b2a57d3eff7")],
        &[("b3", b"\xff-\xff-1")],
        &[("x-b3-traceid", b"80f198ee56343ba864fe8b2a57d3eff7")],
        &[
            ("x-b3-traceid", b"80f198ee56343ba864fe8b2a57d3eff7"),
            ("x-b3-spanid", b"E457B5A2E4D86BD1"),
        ],
    ];
    for row in rows {
        let telemetry = TestTelemetry::configured(&[("OTEL_PROPAGATORS", "b3multi")], |it| it);
        let span = span_of(&telemetry, row).await;
        assert_eq!(span.parent_span_id(), "", "{row:?}");
        assert_eq!(malformed(&telemetry, "b3"), 1.0, "{row:?}");
    }
}

#[tokio::test]
async fn f16_a_flood_of_headers_on_a_socket_is_answered_and_bounded() {
    let telemetry = TestTelemetry::configured(&[], |it| {
        it.baggage_attributes((0..200).map(|i| format!("k{i}")))
    });
    let app = Router::new().route("/", get(|| async { "" }));
    let app = telemetry.handle().instrument(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let members = |from: usize, to: usize| {
        let members: Vec<String> = (from..to).map(|i| format!("k{i}=v")).collect();
        members.join(",")
    };
    // As much as hyper lets in: about 100 headers, 400 KB in all.
    let mut flood = format!("GET / HTTP/1.1\r\nhost: a\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n");
    for from in (0..200).step_by(20) {
        flood.push_str(&format!("baggage: {}\r\n", members(from, from + 20)));
    }
    for line in 0..40 {
        flood.push_str(&format!("tracestate: a{line}={}\r\n", "x".repeat(8_000)));
    }
    flood.push_str("connection: close\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(flood.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let spans = telemetry.spans().await;
    let span = &spans[0];
    assert_eq!(span.parent_span_id(), SPAN);
    assert_eq!(span.as_otlp().trace_state, "");
    let copied = span.attributes().keys().filter(|key| key.starts_with('k'));
    assert_eq!(copied.count(), 64, "the 65th member is not read");
    for header in ["baggage", "tracestate"] {
        assert_eq!(malformed(&telemetry, header), 1.0, "{header}");
    }
    server.abort();
}
