//! The real Collector and the real Jaeger run with the files of this repository: no warning, and a
//! trace goes through.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use stack_tests::{Part, Tool, free_port, get, post_json, root};
use tempfile::TempDir;

/// Id of the trace that goes through.
const TRACE: &str = "5b8efff798038103d269b633813fc60c";

const CONFIG: &str = "otel-collector-config.yaml";

/// A Collector on ports of its own.
struct Collector {
    part: Part,
    otlp: String,
    metrics: String,
    own_metrics: String,
}

impl Collector {
    fn start(program: &Path, config: &Path, data: &Path, jaeger: &str, percent: u8) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        let (metrics, own_metrics) = (address(), free_port());
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(config)
            .current_dir(root())
            .env("OTELCOL_QUEUE_DIR", data.join("queue"))
            .env("OTELCOL_METRICS_ENDPOINT", &metrics)
            .env("OTELCOL_SELF_PORT", own_metrics.to_string())
            .env("JAEGER_OTLP_ENDPOINT", jaeger)
            .env("SPAN_METRICS_FLUSH_INTERVAL", "1s")
            .env("TRACE_BASELINE_PERCENT", percent.to_string())
            .env("TRACE_DECISION_WAIT_AFTER_ROOT", "1s");
        for endpoint in ["HEALTH", "OTLP_GRPC", "OTLP_HTTP"] {
            command.env(format!("OTELCOL_{endpoint}_ENDPOINT"), "127.0.0.1:0");
        }
        let mut part = Part::start(&mut command);
        let otlp = field(&part.wait_for(&["Starting HTTP server"]), "endpoint");
        part.wait_for(&["Everything is ready"]);
        Self {
            part,
            otlp,
            metrics,
            own_metrics: format!("127.0.0.1:{own_metrics}"),
        }
    }

    /// Sends a trace of so many times three spans, which it takes.
    fn post(&self, trace: &str, times: usize) {
        let text = include_str!("../testdata/trace.json").replace("TRACE", trace);
        let mut body: Value = serde_json::from_str(&text).expect("JSON");
        let spans = body["resourceSpans"].as_array_mut().expect("a list");
        let one = spans.clone();
        (1..times).for_each(|_| spans.extend_from_slice(&one));
        self.send(&body.to_string());
    }

    fn send(&self, spans: &str) {
        let (status, answer) = post_json(&self.otlp, "/v1/traces", spans).expect("it listens");
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until one of its own metrics is shown with more than zero.
    fn until_counted(&mut self, name: &str) {
        let address = self.own_metrics.clone();
        self.part.ask(name, || {
            own_metric(&address, name).filter(|value| *value > 0.0)
        });
    }
}

/// The first sample of a metric on the page of a Collector's own.
fn own_metric(address: &str, name: &str) -> Option<f64> {
    let (_, page) = get(address, "/metrics", "text/plain")?;
    let sample = page.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    })?;
    sample.rsplit(' ').next()?.parse().ok()
}

/// Jaeger and a Collector that sends to it, on ports of their own.
struct Chain {
    jaeger: Part,
    collector: Collector,
    query: String,
    _data: TempDir,
}

/// Where the Collector sends to at Jaeger.
enum Door {
    Spans,
    /// Where it answers questions, and takes nothing.
    Query,
}

impl Chain {
    fn start(test: &str) -> Option<Self> {
        Self::start_at(test, Door::Spans, 100)
    }

    /// Of the traces that no other policy keeps, it keeps these `percent`.
    fn start_at(test: &str, door: Door, percent: u8) -> Option<Self> {
        let (collector, jaeger) = (Tool::Collector.find(test)?, Tool::Jaeger.find(test)?);
        let data = TempDir::new().expect("a folder");
        let mut jaeger = Command::new(jaeger);
        jaeger
            .args(["--config", "dashboards/jaeger.yaml"])
            .current_dir(root())
            .env("JAEGER_DATA_DIR", data.path().join("jaeger"))
            .env("JAEGER_SELF_PORT", free_port().to_string());
        for endpoint in ["HEALTH", "QUERY_GRPC", "QUERY_HTTP", "OTLP"] {
            jaeger.env(format!("JAEGER_{endpoint}_ENDPOINT"), "127.0.0.1:0");
        }
        let mut jaeger = Part::start(&mut jaeger);
        let started = jaeger.wait_for(&["Query server started"]);
        let query = field(&started, "http_addr");
        let spans = field(
            &jaeger.wait_for(&["Starting GRPC server", "receiver"]),
            "endpoint",
        );
        jaeger.wait_for(&["Everything is ready"]);
        let door = match door {
            Door::Spans => spans,
            Door::Query => field(&started, "grpc_addr"),
        };
        Some(Self {
            collector: Collector::start(&collector, CONFIG.as_ref(), data.path(), &door, percent),
            jaeger,
            query,
            _data: data,
        })
    }

    /// Sends one trace and waits until Jaeger shows it.
    fn send_a_trace(&mut self) -> String {
        self.collector.post(TRACE, 1);
        self.shown(TRACE)
    }

    /// Waits until Jaeger shows the trace.
    fn shown(&mut self, trace: &str) -> String {
        let (query, path) = (self.query.clone(), format!("/api/traces/{trace}"));
        self.collector.part.ask("trace in Jaeger", || {
            get(&query, &path, "*/*")
                .filter(|(status, _)| *status == 200)
                .map(|(_, body)| body)
        })
    }

    /// Waits until the Collector has decided not to keep so many.
    fn dropped(&mut self, traces: usize) {
        let (own, head) = (
            self.collector.own_metrics.clone(),
            "otelcol_processor_tail_sampling_global_count_traces_sampled",
        );
        let end = format!("}} {traces}");
        self.collector.part.ask("traces dropped", || {
            let (_, page) = get(&own, "/metrics", "text/plain")?;
            let is_it = |line: &str| {
                line.starts_with(head) && line.contains("sampled=\"false\"") && line.ends_with(&end)
            };
            page.lines().any(is_it).then_some(())
        });
    }
}

/// A text field of a line of JSON log.
fn field(line: &str, name: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    line[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {line}"))
        .to_owned()
}

/// Lines of the log above info, but for the one that says that Jaeger's page was not built in.
fn warnings(log: &[String]) -> Vec<&String> {
    let level = [
        r#""level":"warn""#,
        r#""level":"error""#,
        r#""level":"fatal""#,
    ];
    let loud = |line: &&String| level.iter().any(|level| line.contains(level));
    let page = |line: &&String| line.contains("ui assets not embedded");
    log.iter()
        .filter(|line| loud(line) && !page(line))
        .collect()
}

#[test]
fn the_collector_starts_works_and_stops_without_a_warning() {
    let test = "the_collector_starts_works_and_stops_without_a_warning";
    let Some(mut chain) = Chain::start(test) else {
        return;
    };
    let trace: Value = serde_json::from_str(&chain.send_a_trace()).expect("JSON");
    let spans = trace["data"][0]["spans"].as_array().expect("spans");
    assert_eq!(spans.len(), 3, "{trace}");
    let log = chain.collector.part.stop();
    assert!(log.len() > 10, "{log:#?}");
    assert_eq!(warnings(&log), Vec::<&String>::new());
    let log = chain.jaeger.stop();
    assert_eq!(warnings(&log), Vec::<&String>::new());
}

/// Rules and dashboards may name what stands in this list; see the test `dashboards`.
#[test]
fn the_collector_emits_every_metric_that_rules_may_name() {
    let test = "the_collector_emits_every_metric_that_rules_may_name";
    let Some(mut chain) = Chain::start(test) else {
        return;
    };
    chain.send_a_trace();
    for name in include_str!("../testdata/collector-metrics.txt").lines() {
        let address = match name.starts_with("otelcol_") {
            true => chain.collector.own_metrics.clone(),
            false => chain.collector.metrics.clone(),
        };
        chain
            .collector
            .part
            .ask(name, || own_metric(&address, name));
    }
}

#[test]
fn exemplars_of_the_kept_traces_lead_to_them() {
    let Some(mut chain) = Chain::start("exemplars_of_the_kept_traces_lead_to_them") else {
        return;
    };
    chain.collector.post(TRACE, 1);
    let accept = "application/openmetrics-text;version=1.0.0";
    let metrics = chain.collector.metrics.clone();
    let line = chain.collector.part.ask("exemplar", || {
        let (_, page) = get(&metrics, "/metrics", accept)?;
        page.lines()
            .find(|line| line.contains("# {"))
            .map(str::to_owned)
    });
    assert!(line.starts_with("traces_kept_"), "{line}");
    assert!(line.contains(TRACE), "{line}");
}

/// The texts of `CollectorSpansLost` say that nobody upstream learns of it: tail sampling has answered
/// the services long before.
#[test]
fn a_full_queue_loses_spans_that_were_accepted_and_only_one_counter_tells() {
    let test = "a_full_queue_loses_spans_that_were_accepted_and_only_one_counter_tells";
    let Some(program) = Tool::Collector.find(test) else {
        return;
    };
    let data = TempDir::new().expect("a folder");
    let shipped = stack_tests::read(CONFIG);
    let small = shipped.replace("queue_size: 200000", "queue_size: 8192");
    assert_ne!(small, shipped);
    let config = data.path().join("small.yaml");
    std::fs::write(&config, small).expect("the folder is ours");
    let nobody = format!("127.0.0.1:{}", free_port());
    let mut collector = Collector::start(&program, &config, data.path(), &nobody, 100);
    for trace in 1..=12 {
        collector.post(&format!("{trace:032x}"), 400);
    }
    collector.until_counted("otelcol_exporter_enqueue_failed_spans");
    let refused = own_metric(&collector.own_metrics, "otelcol_receiver_refused_spans");
    assert_eq!(refused, Some(0.0));
}

/// What Jaeger will never take is lost too. Here it is asked at its door for queries, which knows no spans.
#[test]
fn what_jaeger_refuses_for_good_is_counted_as_failed() {
    let Some(mut chain) = Chain::start_at(
        "what_jaeger_refuses_for_good_is_counted_as_failed",
        Door::Query,
        100,
    ) else {
        return;
    };
    chain.collector.post(TRACE, 1);
    chain
        .collector
        .until_counted("otelcol_exporter_send_failed_spans");
}

/// A trace of one span of `service`.
fn one_span(service: &str, trace: &str, key: &str, value: &str) -> String {
    let attribute =
        |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = json!({
        "traceId": trace, "spanId": &trace[..16], "name": "a span", "kind": 2,
        "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000000001000000",
        "attributes": [attribute(key, value)],
    });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", service)] },
        "scopeSpans": [{ "spans": [span] }],
    }]})
    .to_string()
}

#[test]
fn what_brought_and_told_alerts_is_kept_and_who_looks_at_the_page_is_not() {
    let test = "what_brought_and_told_alerts_is_kept_and_who_looks_at_the_page_is_not";
    let Some(mut chain) = Chain::start_at(test, Door::Spans, 0) else {
        return;
    };
    let id = |number: u8| format!("{number:032x}").replace('0', "a");
    let passers = [
        ("alert-router", "http.route", "/view"),
        ("alert-router", "http.route", "/api/v1/inbox"),
        // Its webhooks are no alerts.
        ("shop", "http.route", "/webhook"),
    ];
    for (number, (service, key, value)) in (1..).zip(passers) {
        chain
            .collector
            .send(&one_span(service, &id(number), key, value));
    }
    let kept = [
        ("http.route", "/webhook"),
        ("http.route", "/webhook/{source}"),
        ("alert_router.receiver", "ops"),
    ];
    for (number, (key, value)) in (4..).zip(kept) {
        chain
            .collector
            .send(&one_span("alert-router", &id(number), key, value));
        chain.shown(&id(number));
    }
    chain.dropped(passers.len());
}
