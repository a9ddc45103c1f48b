//! F36: telemetry about telemetry. The test runs itself as a service that logs everything on
//! stdout, because only a process of its own has a stdout that can be read.

use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use telemetry_lib::Config;
use telemetry_lib::testing::FakeCollector;
use tower::ServiceExt;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[test]
fn f36_the_exporters_own_traffic_leaves_neither_lines_nor_spans() {
    let collector = FakeCollector::start();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "service", "--nocapture", "--ignored"])
        .env(ENDPOINT, collector.endpoint())
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let stdout = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{stdout}");
    let lines: Vec<serde_json::Value> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let targets: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["target"].as_str())
        .collect();
    assert!(
        targets.contains(&"no_feedback"),
        "the service's own line is there: {stdout}"
    );
    for target in targets {
        let root = target.split("::").next().unwrap();
        let exporter = [
            "hyper",
            "hyper_util",
            "h2",
            "reqwest",
            "rustls",
            "opentelemetry_sdk",
        ];
        assert!(!exporter.contains(&root), "{stdout}");
    }
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(spans[0].name(), "GET /");
}

#[tokio::test]
#[ignore = "the service that the other test starts"]
async fn service() {
    let telemetry = telemetry_lib::init(Config::from_env("feedback")).unwrap();
    let routes = Router::new().route("/", get(|| async { tracing::trace!("served") }));
    let app = telemetry.instrument(routes);
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    let report = telemetry.shutdown(Duration::from_secs(60)).await;
    assert_eq!(report.traces.exported, 1, "{report}");
}
