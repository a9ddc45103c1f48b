//! Spans of deliveries, as a Collector gets them.

use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry};

use super::*;

/// Posts in the span of a request.
async fn request(telemetry: &TestTelemetry, bench: &mut Bench, alert: &str) {
    let post = async {
        bench.post(alert).await;
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(()) = telemetry.handle().job("request", post).await;
}

async fn named(telemetry: &TestTelemetry, name: &str) -> Vec<ReceivedSpan> {
    let mut spans = telemetry.spans().await;
    spans.retain(|span| span.name() == name);
    spans.sort_by_key(|span| span.as_otlp().start_time_unix_nano);
    spans
}

/// Trace and span.
fn ids(span: &ReceivedSpan) -> (Vec<u8>, Vec<u8>) {
    let span = span.as_otlp();
    (span.trace_id.clone(), span.span_id.clone())
}

fn links(span: &ReceivedSpan) -> Vec<(Vec<u8>, Vec<u8>)> {
    let links = span.as_otlp().links.iter();
    let links = links.map(|link| (link.trace_id.clone(), link.span_id.clone()));
    links.collect()
}

fn text(span: &ReceivedSpan, key: &str) -> String {
    span.attribute(key)
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn outcomes(spans: &[ReceivedSpan]) -> Vec<(String, String, bool)> {
    let outcome = |span: &ReceivedSpan| {
        let [outcome, error] = ["alert_router.outcome", "error.type"].map(|key| text(span, key));
        (outcome, error, span.is_error())
    };
    spans.iter().map(outcome).collect()
}

fn told(outcome: &str, error: &str, is_error: bool) -> (String, String, bool) {
    (outcome.to_owned(), error.to_owned(), is_error)
}

#[tokio::test]
async fn a_delivery_has_a_trace_of_its_own_that_links_to_the_request_of_its_news() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    request(&telemetry, &mut bench, "A").await;
    let (requests, sent) = (
        named(&telemetry, "request").await,
        named(&telemetry, "send hook").await,
    );
    let [span] = &sent[..] else {
        panic!("{sent:#?}");
    };
    assert_eq!(links(span), [ids(&requests[0])]);
    assert_ne!(span.trace_id(), requests[0].trace_id());
    assert_eq!(
        (span.kind(), span.parent_span_id()),
        ("client", String::new())
    );
    let label = server.url("/").host_str().unwrap().to_owned();
    assert!(text(span, "messaging.destination.name").contains(&label));
    for (key, value) in [
        ("messaging.system", AttributeValue::from("webhook")),
        ("messaging.operation.name", "send".into()),
        ("messaging.operation.type", "send".into()),
        ("alert_router.receiver", "hook".into()),
        ("alert_router.reason", "first".into()),
        ("alert_router.attempt", 1.into()),
        ("alert_router.groups", 1.into()),
        ("alert_router.alerts.firing", 1.into()),
        ("alert_router.alerts.resolved", 0.into()),
        ("alert_router.outcome", "delivered".into()),
    ] {
        span.assert_attribute(key, Some(value));
    }
    span.assert_attribute("error.type", None);
    assert!(!span.is_error());
    let head = server.seen()[0].head.to_lowercase();
    let context = format!("traceparent: 00-{}-{}-", span.trace_id(), span.span_id());
    assert!(head.contains(&context), "no {context} in {head}");
}

#[tokio::test]
async fn each_attempt_has_a_span_that_says_how_it_ended() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("503 Service Unavailable", String::new()),
        1 => Reply::Ok(String::new()),
        _ => Reply::Http("422 Unprocessable Entity", String::new()),
    })
    .await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    request(&telemetry, &mut bench, "A").await;
    bench.pass(Duration::from_secs(60)).await;
    let sent = named(&telemetry, "send hook").await;
    let delivered = [
        told("failed", "http_status", true),
        told("delivered", "", false),
    ];
    assert_eq!(outcomes(&sent), delivered);
    let attempts = sent.iter().map(|span| text(span, "alert_router.attempt"));
    assert_eq!(attempts.collect::<Vec<_>>(), ["1", "2"]);
    let message = |span| text(span, "messaging.message.id");
    assert_eq!(message(&sent[0]), message(&sent[1]));
    assert_eq!(links(&sent[0]), links(&sent[1]), "the news is the same");
    request(&telemetry, &mut bench, "B").await;
    let sent = named(&telemetry, "send hook").await;
    assert_eq!(
        outcomes(&sent[2..3]),
        [told("refused", "http_status", true)]
    );
}

#[tokio::test]
async fn a_fallbacks_span_names_whom_it_stands_in_for_and_links_to_the_news() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(|_, seen| match seen.head.contains("/hook") {
        true => Reply::Http("503 Service Unavailable", String::new()),
        false => Reply::Ok(String::new()),
    })
    .await;
    let (hook, other) = (server.url("/hook"), server.url("/other"));
    let mut bench = Bench::new(&format!(
        "receivers:\n  - {{name: hook, fallback: other, fallback_after: 1m, webhook_configs: [{{url: '{hook}'}}]}}\n  \
         - {{name: other, webhook_configs: [{{url: '{other}'}}]}}\n\
         route: {{receiver: hook, group_by: [alertname], group_wait: 0s}}\n"
    ))
    .await;
    request(&telemetry, &mut bench, "A").await;
    bench.pass(Duration::from_secs(61)).await;
    let sent = named(&telemetry, "send other").await;
    assert_eq!(outcomes(&sent), [told("delivered", "", false)]);
    assert_eq!(text(&sent[0], "alert_router.failed_over_from"), "hook");
    let request = &named(&telemetry, "request").await[0];
    assert_eq!(links(&sent[0]), [ids(request)]);
}

#[tokio::test]
async fn a_digest_links_to_the_requests_of_all_its_groups() {
    let telemetry = TestTelemetry::start();
    let sim = Server::start(|_, _| Reply::Ok(r#"{"errcode":0,"errmsg":"ok"}"#.to_owned())).await;
    let url = sim.url("/cgi-bin/webhook/send?key=sim-bot-key");
    let mut bench = Bench::new(&format!(
        "receivers: [{{name: room, wecom_configs: [{{bot: {{webhook_url: '{url}'}}}}]}}]\n\
         route: {{receiver: room, group_by: [alertname], group_wait: 10s}}\n"
    ))
    .await;
    for number in 0..12 {
        request(&telemetry, &mut bench, &format!("A{number}")).await;
    }
    bench.pass(Duration::from_secs(10)).await;
    let sent = named(&telemetry, "send room").await;
    let digest = sent
        .iter()
        .find(|span| text(span, "alert_router.reason") == "digest")
        .expect("a burst of twelve is more than nine messages");
    let groups = text(digest, "alert_router.groups");
    assert_eq!(links(digest).len().to_string(), groups, "{digest:#?}");
    assert_eq!(text(digest, "alert_router.alerts.firing"), groups);
    let shown = format!("{sent:?}");
    assert!(!shown.contains("sim-bot-key"), "the key is a secret");
}

#[tokio::test]
async fn a_link_survives_a_restart_between_intake_and_delivery() {
    let telemetry = TestTelemetry::start();
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let config = one_hook(&server).replace("group_wait: 0s", "group_wait: 30s");
    let mut bench = Bench::new(&config).await;
    request(&telemetry, &mut bench, "A").await;
    let mut bench = bench.restart().await;
    bench.pass(Duration::from_secs(31)).await;
    let sent = named(&telemetry, "send hook").await;
    assert_eq!(outcomes(&sent), [told("delivered", "", false)]);
    let request = &named(&telemetry, "request").await[0];
    assert_eq!(links(&sent[0]), [ids(request)]);
}

#[tokio::test]
async fn what_is_not_sampled_is_neither_linked_nor_stored() {
    let off = [("OTEL_TRACES_SAMPLER", "always_off")];
    let telemetry = TestTelemetry::configured(&off, |config| config);
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let config = one_hook(&server).replace("group_wait: 0s", "group_wait: 30s");
    let mut bench = Bench::new(&config).await;
    request(&telemetry, &mut bench, "A").await;
    let docs = bench.step.store.due(10).await.unwrap().docs;
    assert!(docs.is_empty(), "it waits");
    bench.clock.advance(Duration::from_secs(31));
    let docs = bench.step.store.due(10).await.unwrap().docs;
    let versions: Vec<u8> = docs.iter().map(|doc| doc.bytes[0]).collect();
    assert_eq!(versions, [1], "as without any trace");
}
