//! The real Collector and the real Jaeger run with the files of this repository: no warning, and a
//! trace goes through.

use std::process::Command;

use serde_json::Value;
use stack_tests::{Part, Tool, free_port, get, post_json, root};
use tempfile::TempDir;

/// Id of the trace that goes through.
const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// Jaeger and a Collector that sends to it, on ports of their own.
struct Chain {
    jaeger: Part,
    collector: Part,
    query: String,
    otlp: String,
    metrics: String,
    own_metrics: String,
    _data: TempDir,
}

impl Chain {
    fn start(test: &str) -> Option<Self> {
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
        let query = field(&jaeger.wait_for(&["Query server started"]), "http_addr");
        let otlp_of_jaeger = field(
            &jaeger.wait_for(&["Starting GRPC server", "receiver"]),
            "endpoint",
        );
        jaeger.wait_for(&["Everything is ready"]);

        let (metrics, own_metrics) = (free_port(), free_port());
        let mut collector = Command::new(collector);
        collector
            .args(["--config", "otel-collector-config.yaml"])
            .current_dir(root())
            .env("OTELCOL_QUEUE_DIR", data.path().join("queue"))
            .env("OTELCOL_METRICS_ENDPOINT", format!("127.0.0.1:{metrics}"))
            .env("OTELCOL_SELF_PORT", own_metrics.to_string())
            .env("JAEGER_OTLP_ENDPOINT", otlp_of_jaeger)
            .env("SPAN_METRICS_FLUSH_INTERVAL", "1s")
            .env("TRACE_DECISION_WAIT_AFTER_ROOT", "1s");
        for endpoint in ["HEALTH", "OTLP_GRPC", "OTLP_HTTP"] {
            collector.env(format!("OTELCOL_{endpoint}_ENDPOINT"), "127.0.0.1:0");
        }
        let mut collector = Part::start(&mut collector);
        let otlp = field(&collector.wait_for(&["Starting HTTP server"]), "endpoint");
        collector.wait_for(&["Everything is ready"]);
        Some(Self {
            jaeger,
            collector,
            query,
            otlp,
            metrics: format!("127.0.0.1:{metrics}"),
            own_metrics: format!("127.0.0.1:{own_metrics}"),
            _data: data,
        })
    }

    /// Sends one trace and waits until Jaeger shows it.
    fn send_a_trace(&mut self) -> String {
        let span = include_str!("../testdata/trace.json").replace("TRACE", TRACE);
        let (status, body) = post_json(&self.otlp, "/v1/traces", &span).expect("it listens");
        assert_eq!(status, 200, "{body}");
        let (query, path) = (self.query.clone(), format!("/api/traces/{TRACE}"));
        self.collector.ask("trace in Jaeger", || {
            get(&query, &path, "*/*")
                .filter(|(status, _)| *status == 200)
                .map(|(_, body)| body)
        })
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
    let log = chain.collector.stop();
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
            true => &chain.own_metrics,
            false => &chain.metrics,
        };
        chain.collector.ask(name, || {
            let (_, page) = get(address, "/metrics", "text/plain")?;
            let exposed = |line: &str| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            page.lines().any(exposed).then_some(())
        });
    }
}

#[test]
fn exemplars_of_the_kept_traces_lead_to_them() {
    let Some(mut chain) = Chain::start("exemplars_of_the_kept_traces_lead_to_them") else {
        return;
    };
    let span = include_str!("../testdata/trace.json").replace("TRACE", TRACE);
    post_json(&chain.otlp, "/v1/traces", &span).expect("it listens");
    let accept = "application/openmetrics-text;version=1.0.0";
    let line = chain.collector.ask("exemplar", || {
        let (_, page) = get(&chain.metrics, "/metrics", accept)?;
        page.lines()
            .find(|line| line.contains("# {"))
            .map(str::to_owned)
    });
    assert!(line.starts_with("traces_kept_"), "{line}");
    assert!(line.contains(TRACE), "{line}");
}
