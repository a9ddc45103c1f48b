//! Which headers a request takes along, and to whom: W3C, B3, baggage, and headers that are there
//! already.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use telemetry_lib::opentelemetry::baggage::BaggageExt;
use telemetry_lib::opentelemetry::{Context, KeyValue};
use telemetry_lib::propagation::{self, HeaderCarrier};
use telemetry_lib::testing::{ReceivedSpan, TestTelemetry};
use telemetry_lib::{Config, HostRule};
use tower::{Layer, ServiceExt, service_fn};
use tracing::Instrument;

use crate::{SPAN, TRACE};

/// Headers that were set by hand.
type Given<'a> = &'a [(&'static str, &'a str)];

/// The headers that arrive at `uri` when `given` were set by hand.
async fn sent(telemetry: &TestTelemetry, uri: &str, given: Given<'_>) -> HeaderMap {
    let echo = service_fn(|request: Request<()>| async move {
        let mut response = Response::new(());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let client = telemetry.handle().http_client().layer(echo);
    let mut request = Request::get(uri).body(()).unwrap();
    for (name, value) in given {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    client.oneshot(request).await.unwrap().headers().clone()
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// What is sent by a service that was called with `caller`'s headers.
async fn passed_on(
    variables: &[(&str, &str)],
    caller: &[(&'static str, &str)],
) -> (HeaderMap, Vec<ReceivedSpan>) {
    let telemetry = TestTelemetry::configured(variables, |config| config);
    let mut headers = HeaderMap::new();
    for (name, value) in caller {
        headers.append(*name, value.parse().unwrap());
    }
    let handle = telemetry.handle();
    let uri = "/".parse().unwrap();
    let request =
        handle.server_request(&http::Method::GET, &uri, &headers, &http::Extensions::new());
    let out = sent(&telemetry, "http://stock/", &[]);
    let out = out.instrument(request.span()).await;
    request.finish(http::StatusCode::OK);
    let spans = telemetry.spans().await;
    (out, spans)
}

fn of_kind<'s>(spans: &'s [ReceivedSpan], kind: &str) -> &'s ReceivedSpan {
    spans.iter().find(|it| it.kind() == kind).unwrap()
}

#[tokio::test]
async fn the_clients_span_travels_with_the_callers_flags_and_state() {
    for flags in ["01", "03"] {
        let parent = format!("00-{TRACE}-{SPAN}-{flags}");
        let caller = [("traceparent", parent.as_str()), ("tracestate", "ot=th:0")];
        let (out, spans) = passed_on(&[], &caller).await;
        let span = of_kind(&spans, "client");
        assert_eq!(of_kind(&spans, "server").parent_span_id(), SPAN);
        assert_eq!(span.trace_id(), TRACE);
        let expected = format!("00-{TRACE}-{}-{flags}", span.span_id());
        assert_eq!(value(&out, "traceparent"), Some(expected.as_str()));
        assert_eq!(value(&out, "tracestate"), Some("ot=th:0"));
        assert_eq!(value(&out, "b3"), None);
    }
    // A trace of our own has random ids and no state.
    let (out, spans) = passed_on(&[], &[]).await;
    let span = of_kind(&spans, "client");
    let expected = format!("00-{}-{}-03", span.trace_id(), span.span_id());
    assert_eq!(value(&out, "traceparent"), Some(expected.as_str()));
    assert_eq!(value(&out, "tracestate"), None);
}

#[tokio::test]
async fn b3_is_read_in_both_forms_and_written_as_asked() {
    let single = format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90");
    let callers = [
        vec![("b3", single.as_str())],
        vec![
            ("X-B3-TraceId", TRACE),
            ("X-B3-SpanId", SPAN),
            ("X-B3-Sampled", "1"),
        ],
    ];
    for caller in callers {
        let caller: Vec<(&'static str, &str)> = caller
            .into_iter()
            .map(|(name, value)| (&*name.to_ascii_lowercase().leak(), value))
            .collect();
        for format in ["b3", "b3multi"] {
            let (out, spans) = passed_on(&[("OTEL_PROPAGATORS", format)], &caller).await;
            assert_eq!(of_kind(&spans, "server").parent_span_id(), SPAN);
            let span = of_kind(&spans, "client");
            assert_eq!(span.trace_id(), TRACE);
            let line = format!("{TRACE}-{}-1", span.span_id());
            let id = span.span_id();
            let (single, several) = match format {
                "b3" => (Some(line.as_str()), [None; 3]),
                _ => (None, [Some(TRACE), Some(id.as_str()), Some("1")]),
            };
            assert_eq!(value(&out, "b3"), single);
            let names = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"];
            assert_eq!(names.map(|name| value(&out, name)), several);
            assert_eq!(value(&out, "traceparent"), None);
        }
    }
}

#[tokio::test]
async fn b3_debug_samples_and_is_told_to_everybody_below() {
    let caller = format!("{TRACE}-{SPAN}-d");
    for (format, header) in [("b3", "b3"), ("b3multi", "x-b3-flags")] {
        let variables = [
            ("OTEL_PROPAGATORS", format),
            ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ];
        let (out, spans) = passed_on(&variables, &[("b3", &caller)]).await;
        let line = format!("{TRACE}-{}-d", of_kind(&spans, "client").span_id());
        let expected = if format == "b3" { line.as_str() } else { "1" };
        assert_eq!(value(&out, header), Some(expected));
        assert_eq!(value(&out, "x-b3-sampled"), None);
    }
}

#[tokio::test]
async fn b3_that_says_no_is_not_sampled_and_says_no_further_on() {
    for sampling in ["-0", ""] {
        let caller = format!("{TRACE}-{SPAN}{sampling}");
        let variables = [("OTEL_PROPAGATORS", "b3")];
        let (out, spans) = passed_on(&variables, &[("b3", &caller)]).await;
        assert_eq!(spans, []);
        let out = value(&out, "b3").unwrap();
        assert!(out.starts_with(TRACE) && out.ends_with("-0"), "{out}");
    }
}

#[tokio::test]
async fn with_w3c_and_b3_both_are_written_and_w3c_is_believed() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let b3 = format!("{}-{SPAN}-1", "a".repeat(32));
    let variables = [("OTEL_PROPAGATORS", "b3,tracecontext")];
    let (out, spans) = passed_on(&variables, &[("traceparent", &parent), ("b3", &b3)]).await;
    assert_eq!(of_kind(&spans, "server").trace_id(), TRACE);
    assert!(value(&out, "traceparent").unwrap().contains(TRACE));
    assert!(value(&out, "b3").unwrap().contains(TRACE));
    // A broken header of one is no reason not to believe the other.
    let (_, spans) = passed_on(&variables, &[("traceparent", "x"), ("b3", &b3)]).await;
    assert_eq!(of_kind(&spans, "server").trace_id(), "a".repeat(32));
}

#[tokio::test]
async fn with_propagators_none_nothing_is_read_and_nothing_written() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let caller = [("traceparent", parent.as_str()), ("baggage", "a=1")];
    let (out, spans) = passed_on(&[("OTEL_PROPAGATORS", "none")], &caller).await;
    assert!(out.is_empty(), "{out:?}");
    assert_ne!(of_kind(&spans, "server").trace_id(), TRACE);
}

#[tokio::test]
async fn with_the_sdk_disabled_the_callers_context_passes_through() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "true")], |config| config);
    let parent = format!("00-{TRACE}-{SPAN}-03");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", parent.parse().unwrap());
    headers.insert("baggage", "tenant=7".parse().unwrap());
    let asking = {
        let _caller = propagation::extract(&HeaderCarrier(&headers)).attach();
        // Read when `call` runs, which `oneshot` does only when it is polled.
        let mut asking = Box::pin(sent(&telemetry, "http://stock/", &[]));
        futures_util::FutureExt::now_or_never(asking.as_mut()).unwrap()
    };
    assert_eq!(value(&asking, "traceparent"), Some(parent.as_str()));
    assert_eq!(value(&asking, "baggage"), Some("tenant=7"));
    assert_eq!(telemetry.spans().await, []);
}

#[tokio::test]
async fn a_context_of_the_same_trace_is_left_alone_and_every_other_replaced() {
    let telemetry = TestTelemetry::start();
    let span = tracing::info_span!("order");
    let ids = span.in_scope(|| {
        let mut headers = HeaderMap::new();
        let mut carrier = propagation::HeaderCarrierMut(&mut headers);
        propagation::inject(&Context::current(), &mut carrier);
        headers["traceparent"].to_str().unwrap().to_owned()
    });
    let trace = &ids[3..35];
    let own = format!("00-{trace}-{SPAN}-01");
    let foreign = format!("00-{TRACE}-{SPAN}-01");
    let rows: [(Given<'_>, Option<&str>); 5] = [
        (&[("traceparent", &own), ("tracestate", "a=1")], Some("a=1")),
        (&[("traceparent", &foreign), ("tracestate", "a=1")], None),
        (&[("traceparent", "broken")], None),
        (&[("traceparent", &own), ("traceparent", &own)], None),
        (&[("tracestate", "a=1")], None),
    ];
    for (given, state) in rows {
        let out = sent(&telemetry, "http://stock/", given);
        let out = out.instrument(span.clone()).await;
        assert_eq!(out.get_all("traceparent").iter().count(), 1);
        let parent = value(&out, "traceparent").unwrap();
        assert_eq!(parent == own, state.is_some(), "{given:?}");
        assert_eq!(&parent[3..35], trace, "{given:?}");
        assert_eq!(value(&out, "tracestate"), state, "{given:?}");
    }
}

#[tokio::test]
async fn baggage_leaves_only_to_the_own_hosts() {
    let out = |uri: &'static str, given: &'static [(&'static str, &str)], own: Option<&str>| {
        let own: Option<HostRule> = own.map(|rule| rule.parse().unwrap());
        async move {
            let configure = |config: Config| match own {
                Some(rule) => config.propagate_to([rule]),
                None => config,
            };
            let telemetry = TestTelemetry::configured(&[], configure);
            let tenant = KeyValue::new("tenant", "7");
            let context = Context::current().with_baggage([tenant]);
            let sent = sent(&telemetry, uri, given);
            let sent = {
                use telemetry_lib::opentelemetry::trace::FutureExt;
                sent.with_context(context).await
            };
            assert!(value(&sent, "traceparent").is_some(), "ids go everywhere");
            value(&sent, "baggage").map(str::to_owned)
        }
    };
    let tenant = Some("tenant=7".to_owned());
    for inside in [
        "http://10.1.2.3/",
        "http://[fd00::1]:8080/",
        "http://localhost/",
        "http://stock:8080/",
        "https://stock.shop.svc/",
        "https://stock.shop.svc.cluster.local/",
    ] {
        assert_eq!(out(inside, &[], None).await, tenant, "{inside}");
    }
    let api = "https://api.example.com/";
    for outside in [api, "http://8.8.8.8/", "http://169.254.169.254/latest/"] {
        assert_eq!(out(outside, &[], None).await, None, "{outside}");
    }
    // Not even what came in and was copied by hand.
    assert_eq!(out(api, &[("baggage", "a=1")], None).await, None);
    // The service says what is its own.
    assert_eq!(out(api, &[], Some(".example.com")).await, tenant);
    assert_eq!(out("http://stock/", &[], Some(".example.com")).await, None);
}
