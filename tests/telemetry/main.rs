//! The two lines of telemetry-lib's README in a fresh service, seen by the real parts around it: a
//! receiver of OTLP and a Prometheus that stores exemplars; and the doctor and the exporter before a real Collector.
//! The test below takes the global places of the process, so no other may.

#![expect(
    clippy::unwrap_used,
    reason = "a setup that fails has nothing better to say"
)]

mod collector;
mod doctor;
mod export;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use stack_tests::parts::{Exemplar, Program, Prometheus, folder, get_text, installed, until};
use telemetry_lib::testing::{AttributeValue, FakeCollector};
use telemetry_lib::{Config, Telemetry};
use tokio::net::TcpListener;

const REQUESTS: usize = 5;
const DURATION: &str = "http_server_request_duration_seconds";

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}")
}

/// The README's service, but for its endpoint and port.
async fn service(collector: &FakeCollector) -> (Telemetry, SocketAddr) {
    let config = Config::from_env("orders");
    let config = config.endpoint(&collector.traces_endpoint()).unwrap();
    let telemetry = telemetry_lib::init(config).unwrap();
    let app = telemetry.instrument(Router::new().route("/users/{id}", get(user)));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (telemetry, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_in_prometheus_are_traces_that_the_collector_holds() {
    let name = "exemplars_in_prometheus_are_traces_that_the_collector_holds";
    if !installed(name, &[Program::Prometheus]) {
        return;
    }
    let collector = FakeCollector::start();
    let (telemetry, address) = service(&collector).await;
    let folder = folder();
    let prometheus = Prometheus::watching(folder.path(), &[address]).await;
    for id in 0..REQUESTS {
        let page = get_text(&format!("http://{address}/users/{id}")).await;
        assert_eq!(page, Ok(format!("user {id}")));
    }

    let count = format!("{DURATION}_count");
    until(
        "Prometheus has counted the requests",
        async || match prometheus.value(&count).await? {
            value if value == REQUESTS as f64 => Ok(()),
            other => Err(format!("{other} requests")),
        },
    )
    .await;
    let exemplars = until("Prometheus has exemplars", async || {
        let found = prometheus.exemplars(&format!("{DURATION}_bucket")).await?;
        if found.is_empty() {
            return Err("no exemplar".to_owned());
        }
        Ok(found)
    })
    .await;

    let report = telemetry.flush(Duration::from_secs(60)).await;
    assert_eq!(report.traces.exported as usize, REQUESTS, "{report}");
    let spans = collector.spans();
    let held: BTreeSet<String> = spans.iter().map(|span| span.trace_id()).collect();
    for Exemplar {
        series,
        labels: exemplar,
        ..
    } in &exemplars
    {
        assert_eq!(series["http_route"], "/users/{id}");
        assert_eq!(series["job"], "services");
        let trace = exemplar["trace_id"].as_str().unwrap();
        assert!(held.contains(trace), "{trace} is not among {held:?}");
        let span = spans.iter().find(|span| span.trace_id() == trace).unwrap();
        assert_eq!(exemplar["span_id"], span.span_id());
        let marked = Some(AttributeValue::Text("true".to_owned()));
        span.assert_attribute("exemplar", marked);
    }
    let service = Some(AttributeValue::Text("orders".to_owned()));
    assert_eq!(
        spans[0].resource_attribute("service.name"),
        service.as_ref()
    );
}
