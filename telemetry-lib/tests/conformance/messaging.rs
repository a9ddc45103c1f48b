//! The spans of messages: semantic conventions 1.44, `messaging/messaging-spans.md` (development),
//! their parents and their links.

use futures_util::FutureExt;
use telemetry_lib::opentelemetry::{Context, KeyValue, baggage::BaggageExt};
use telemetry_lib::propagation::{Pairs, PairsMut, extract};
use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry};
use telemetry_lib::{Operation, Origin};

use super::read::named;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

type Headers = Vec<(String, Vec<u8>)>;
type Done = Result<(), std::fmt::Error>;

fn text(value: &str) -> Option<AttributeValue> {
    Some(AttributeValue::Text(value.to_owned()))
}

/// Sends a message and gives its headers.
fn send(telemetry: &TestTelemetry) -> Headers {
    let mut headers = Headers::new();
    let sending = telemetry
        .handle()
        .message(Operation::Send, "kafka", "orders", Origin::Current);
    sending.inject(&mut PairsMut(&mut headers));
    sending.in_scope(|| Done::Ok(())).unwrap();
    headers
}

fn links(span: &ReceivedSpan) -> Vec<String> {
    let links = span.as_otlp().links.iter();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect::<String>()
    };
    links.map(|link| hex(&link.span_id)).collect()
}

#[tokio::test]
async fn each_operation_has_its_kind_its_name_and_its_attributes() {
    let rows = [
        (Operation::Create, "create", "producer"),
        (Operation::Send, "send", "producer"),
        (Operation::Receive, "receive", "client"),
        (Operation::Process, "process", "consumer"),
        (Operation::Settle, "settle", "client"),
    ];
    let telemetry = TestTelemetry::start();
    for (operation, _, _) in rows {
        let message = telemetry
            .handle()
            .message(operation, "kafka", "orders", Origin::Current);
        message.run(async { Done::Ok(()) }).await.unwrap();
    }
    let spans = telemetry.spans().await;
    for (_, name, kind) in rows {
        let span = named(&spans, &format!("{name} orders"));
        assert_eq!(span.kind(), kind, "{name}");
        span.assert_attribute("messaging.operation.name", text(name))
            .assert_attribute("messaging.operation.type", text(name))
            .assert_attribute("messaging.system", text("kafka"))
            .assert_attribute("messaging.destination.name", text("orders"))
            .assert_attribute("messaging.batch.message_count", None)
            .assert_attribute("error.type", None);
        assert!(!span.is_error());
    }
}

#[tokio::test]
async fn one_message_is_processed_in_the_senders_trace() {
    let telemetry = TestTelemetry::start();
    let headers = tracing::info_span!("order").in_scope(|| send(&telemetry));
    // The worker's own span is not the parent: the sender's is.
    let worker = tracing::info_span!("worker").entered();
    let sender = Origin::Parent(extract(&Pairs(&headers)));
    let message = telemetry
        .handle()
        .message(Operation::Process, "kafka", "orders", sender);
    let step = async {
        tracing::info_span!("pack").in_scope(|| {});
        Done::Ok(())
    };
    let done = message.run(step).now_or_never();
    drop(worker);
    done.unwrap().unwrap();

    let spans = telemetry.spans().await;
    let (order, send) = (named(&spans, "order"), named(&spans, "send orders"));
    let process = named(&spans, "process orders");
    assert_eq!(send.parent_span_id(), order.span_id());
    assert_eq!(process.trace_id(), order.trace_id());
    assert_eq!(process.parent_span_id(), send.span_id());
    assert_eq!(named(&spans, "pack").parent_span_id(), process.span_id());
    assert_eq!(links(process), [""; 0]);
}

#[tokio::test]
async fn a_batch_is_linked_to_its_senders_and_stays_where_it_is() {
    let telemetry = TestTelemetry::start();
    let batch: Vec<Headers> = (0..3).map(|_| send(&telemetry)).collect();
    let mut senders: Vec<Context> = batch.iter().map(|it| extract(&Pairs(it))).collect();
    senders.push(extract(&Pairs(&Headers::new()))); // somebody who does not trace
    let poll = tracing::info_span!("poll").entered();
    let links_to = Origin::Links(senders);
    let messages = telemetry
        .handle()
        .message(Operation::Process, "kafka", "orders", links_to);
    messages.in_scope(|| Done::Ok(())).unwrap();
    drop(poll);

    let spans = telemetry.spans().await;
    let process = named(&spans, "process orders");
    assert_eq!(process.parent_span_id(), named(&spans, "poll").span_id());
    let sent = spans.iter().filter(|it| it.name() == "send orders");
    assert_eq!(
        links(process),
        sent.map(ReceivedSpan::span_id).collect::<Vec<_>>()
    );
    let count = Some(AttributeValue::Int(4));
    process.assert_attribute("messaging.batch.message_count", count);
}

#[tokio::test]
async fn a_huge_batch_keeps_as_many_links_as_the_limit_says() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "10")], |it| it);
    let sender = extract(&Pairs(&send(&telemetry)));
    let links_to = Origin::Links(vec![sender; 1_000]);
    let messages = telemetry
        .handle()
        .message(Operation::Process, "kafka", "orders", links_to);
    messages.in_scope(|| Done::Ok(())).unwrap();
    let spans = telemetry.spans().await;
    let process = named(&spans, "process orders");
    assert_eq!(links(process).len(), 10);
    assert_eq!(process.as_otlp().dropped_links_count, 990);
}

#[tokio::test]
async fn a_message_without_headers_begins_a_trace() {
    let telemetry = TestTelemetry::start();
    let origin = Origin::Parent(extract(&Pairs(&Headers::new())));
    let message = telemetry
        .handle()
        .message(Operation::Process, "kafka", "orders", origin);
    message.in_scope(|| Done::Ok(())).unwrap();
    let spans = telemetry.spans().await;
    assert_eq!(named(&spans, "process orders").parent_span_id(), "");
}

#[tokio::test]
async fn the_outcome_is_the_works_and_leaving_is_no_error() {
    let telemetry = TestTelemetry::start();
    let handle = telemetry.handle();
    let open = |queue| handle.message(Operation::Process, "kafka", queue, Origin::Current);
    let failed = open("failed")
        .run(async { Err::<(), _>(std::fmt::Error) })
        .await;
    assert_eq!(failed, Err(std::fmt::Error));
    let never = open("left").run(std::future::pending::<Done>());
    assert!(never.now_or_never().is_none());
    let panics =
        std::panic::AssertUnwindSafe(|| open("broken").in_scope(|| -> Done { panic!("at work") }));
    assert!(std::panic::catch_unwind(panics).is_err());
    drop(open("dropped"));

    let spans = telemetry.spans().await;
    let rows = [
        ("process failed", Some("core::fmt::Error"), true),
        ("process left", Some("cancelled"), false),
        ("process broken", Some("panic"), true),
        ("process dropped", None, false),
    ];
    for (name, error_type, is_error) in rows {
        let span = named(&spans, name);
        span.assert_attribute("error.type", error_type.and_then(text));
        assert_eq!(span.is_error(), is_error, "{name}");
    }
}

#[tokio::test]
async fn baggage_goes_with_a_message_and_with_its_processing() {
    let telemetry = TestTelemetry::configured(&[], |it| it.baggage_attributes(["tenant".into()]));
    let headers = {
        let tenant = Context::current().with_baggage([KeyValue::new("tenant", "7")]);
        let _tenant = tenant.attach();
        send(&telemetry)
    };
    let sender = Origin::Parent(extract(&Pairs(&headers)));
    let message = telemetry
        .handle()
        .message(Operation::Process, "kafka", "orders", sender);
    message.in_scope(|| Done::Ok(())).unwrap();
    let spans = telemetry.spans().await;
    named(&spans, "process orders").assert_attribute("tenant", text("7"));
}

#[tokio::test]
async fn with_the_sdk_disabled_the_senders_context_passes_through() {
    let telemetry = TestTelemetry::configured(&[("OTEL_SDK_DISABLED", "true")], |it| it);
    let came = vec![("traceparent", format!("00-{TRACE}-{SPAN}-03"))];
    let sender = Origin::Parent(extract(&Pairs(&came)));
    let handle = telemetry.handle();
    let message = handle.message(Operation::Process, "kafka", "orders", sender);
    let next = message.in_scope(|| Ok::<_, std::fmt::Error>(send(&telemetry)));
    let next = next.unwrap();
    assert_eq!(
        next,
        [("traceparent".to_owned(), came[0].1.clone().into_bytes())]
    );
    assert_eq!(telemetry.spans().await, []);
}
