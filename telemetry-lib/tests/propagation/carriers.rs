//! Carriers that are not HTTP: what one process writes, another reads.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use telemetry_lib::opentelemetry::propagation::{Extractor, Injector};
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::opentelemetry::{Context, KeyValue, baggage::BaggageExt};
use telemetry_lib::propagation::{CommandMut, Environment, Pairs, PairsMut, extract, inject};
use telemetry_lib::testing::{FakeCollector, TestTelemetry};
use telemetry_lib::{Config, Operation, Origin, init};

use crate::{SPAN, TRACE, named};

/// As a client of AMQP has it: values of many types.
struct Table(BTreeMap<String, Value>);

enum Value {
    Text(Vec<u8>),
    Number(i64),
}

impl Injector for Table {
    fn set(&mut self, key: &str, value: String) {
        self.0
            .insert(key.to_owned(), Value::Text(value.into_bytes()));
    }
}

impl Extractor for Table {
    fn get(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Number(_) => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// A context with a caller and baggage.
fn caller() -> Context {
    let headers = [("traceparent", format!("00-{TRACE}-{SPAN}-03"))];
    extract(&Pairs(&headers)).with_baggage([KeyValue::new("tenant", "7 & 8")])
}

fn check(read: &Context) {
    let span = read.span().span_context().clone();
    assert_eq!(span.trace_id().to_string(), TRACE);
    assert_eq!(span.span_id().to_string(), SPAN);
    assert_eq!(span.trace_flags().to_u8(), 3);
    assert!(span.is_remote());
    let tenant = read.baggage().get("tenant").map(ToString::to_string);
    assert_eq!(tenant.as_deref(), Some("7 & 8"));
}

#[test]
fn what_kafka_redis_and_amqp_carry_comes_out_as_it_went_in() {
    let mut kafka: Vec<(String, Vec<u8>)> = vec![("schema".to_owned(), vec![0, 159, 146])];
    inject(&caller(), &mut PairsMut(&mut kafka));
    check(&extract(&Pairs(&kafka)));
    assert_eq!(kafka[0].1, [0, 159, 146], "what is not ours stays");
    // rdkafka's borrowed headers give such pairs.
    let borrowed: Vec<(&str, &[u8])> = kafka.iter().map(|(k, v)| (&**k, &**v)).collect();
    check(&extract(&Pairs(&borrowed)));

    let mut redis = vec![("item".to_owned(), "7".to_owned())];
    inject(&caller(), &mut PairsMut(&mut redis));
    check(&extract(&Pairs(&redis)));

    let mut amqp = Table(BTreeMap::from([("x-delay".to_owned(), Value::Number(5))]));
    inject(&caller(), &mut amqp);
    check(&extract(&amqp));
    assert!(matches!(amqp.0["x-delay"], Value::Number(5)));
}

#[test]
#[expect(
    clippy::disallowed_types,
    reason = "it is the map that the OpenTelemetry API knows"
)]
fn a_map_of_the_api_is_a_carrier() {
    let mut map = std::collections::HashMap::<String, String>::new();
    inject(&caller(), &mut map);
    check(&extract(&map));
}

#[test]
fn a_list_with_two_callers_has_none() {
    let twice = vec![("traceparent", format!("00-{TRACE}-{SPAN}-01")); 2];
    assert!(!extract(&Pairs(&twice)).span().span_context().is_valid());
}

/// Runs itself again as the child: the test's name is the program's argument.
#[test]
fn f38_a_child_process_continues_the_trace_of_its_environment() {
    const ENDPOINT: &str = "F38_COLLECTOR";
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        let config = Config::from_vars("child", []).endpoint(&endpoint).unwrap();
        let telemetry = init(config).unwrap();
        let parent = extract(&Environment::read()).attach();
        let run = telemetry.job("import", async { Ok::<_, std::fmt::Error>(()) });
        runtime.block_on(run).unwrap();
        drop(parent);
        let report = telemetry.shutdown_blocking(Duration::from_secs(10));
        assert_eq!(report.traces.exported, 1, "{report}");
        return;
    }

    let telemetry = TestTelemetry::start();
    let collector = FakeCollector::start();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "carriers::f38_a_child_process_continues_the_trace_of_its_environment",
        ])
        .env(ENDPOINT, collector.traces_endpoint());
    let step = tracing::info_span!("step");
    let output = step.in_scope(|| {
        inject(&Context::current(), &mut CommandMut(&mut child));
        child.output().unwrap()
    });
    drop(step);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let near = runtime.block_on(telemetry.spans());
    let far = collector.spans();
    let (near, far) = (named(&near, "step"), named(&far, "import"));
    assert_eq!(far.trace_id(), near.trace_id());
    assert_eq!(far.parent_span_id(), near.span_id());
}

#[tokio::test]
async fn a_message_carries_the_configured_headers() {
    for (format, names) in [
        ("b3", &["b3"][..]),
        ("b3multi", &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]),
        ("tracecontext", &["traceparent"]),
        ("none", &[]),
    ] {
        let telemetry = TestTelemetry::configured(&[("OTEL_PROPAGATORS", format)], |it| it);
        let mut fields: Vec<(String, String)> = Vec::new();
        let sending =
            telemetry
                .handle()
                .message(Operation::Send, "redis", "orders", Origin::Current);
        sending.inject(&mut PairsMut(&mut fields));
        let written: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(written, names, "{format}");
    }
}
