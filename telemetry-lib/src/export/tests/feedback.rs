//! Telemetry about telemetry over each way to the collector (F36). Each test starts this program again
//! as a service that logs everything on its stdout and makes spans of everything, because only a
//! process of its own has a stdout that can be read; plain HTTP has `tests/no_feedback.rs`.

use std::process::Command;

use tracing::Level;

use super::*;
use crate::Config;
use crate::testing::authority::{Authority, Clients, Validity};

/// More than one, so that what each export leaves behind would be told from what the first one does.
const EXPORTS: usize = 20;

/// What a service said that exported to `endpoint`, with more variables.
struct Said {
    /// The targets of its log lines.
    lines: Vec<String>,
    /// What stands on its stderr for the operator.
    notices: Vec<String>,
}

fn service(endpoint: String, ca: &Authority, variables: &[(&str, &str)]) -> Said {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "export::tests::feedback::the_service"])
        .args(["--nocapture", "--ignored"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.file("ca.pem").unwrap())
        .env("RUST_LOG", "trace")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let stdout = String::from_utf8(child.stdout).unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{stdout}{stderr}");
    let lines = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| line["target"].as_str().unwrap().to_owned());
    let notices = stderr.lines().filter(|it| it.contains("telemetry-lib: "));
    Said {
        lines: lines.collect(),
        notices: notices.map(str::to_owned).collect(),
    }
}

/// Nothing but the service's own lines, one for each of its spans.
#[track_caller]
fn check(said: &Said) {
    assert_eq!(said.lines, [module_path!()].repeat(EXPORTS));
    assert!(said.notices.is_empty(), "{:#?}", said.notices);
}

#[test]
fn f36_an_export_over_tls_leaves_neither_lines_nor_spans() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", Validity::Years, Clients::Any);
    check(&service(collector.endpoint(), &authority, &[]));
    let spans = collector.spans();
    assert!(spans.iter().all(|it| it.name() == "work"), "{spans:#?}");
    assert_eq!(spans.len(), EXPORTS);
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn f36_an_export_over_grpc_leaves_neither_lines_nor_spans() {
    use super::grpc_collector::GrpcCollector;

    let authority = Authority::new();
    let tls = authority.server("localhost", Validity::Years, Clients::Any);
    for (collector, scheme) in [
        (GrpcCollector::start(), "http"),
        (GrpcCollector::start_tls(tls), "https"),
    ] {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        check(&service(collector.endpoint(scheme), &authority, &[grpc]));
        let received = collector.received();
        let spans: Vec<String> = received.into_iter().flat_map(|it| it.spans).collect();
        assert_eq!(spans, ["work"].repeat(EXPORTS));
    }
}

#[test]
fn f36_an_export_that_tls_refuses_leaves_one_notice() {
    let (authority, other) = (Authority::new(), Authority::new());
    let collector = authority.collector("localhost", Validity::Years, Clients::Any);
    let said = service(collector.endpoint(), &other, &[("LOST", "1")]);
    assert_eq!(said.lines, [module_path!()].repeat(EXPORTS));
    let [notice] = &said.notices[..] else {
        panic!("{:#?}", said.notices);
    };
    assert!(notice.contains("trusted authority"), "{notice}");
}

#[test]
#[ignore = "the service that the others start"]
fn the_service() {
    let config = Config::from_env("feedback").span_level(Level::TRACE);
    let telemetry = crate::init(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    for _ in 0..EXPORTS {
        tracing::info_span!("work").in_scope(|| tracing::trace!("worked"));
        let _ = runtime.block_on(telemetry.flush(PATIENCE));
    }
    let report = telemetry.shutdown_blocking(PATIENCE).traces;
    let lost = if std::env::var_os("LOST").is_some() {
        EXPORTS as u64
    } else {
        0
    };
    assert_eq!(report.dropped.export_failed, lost, "{report:?}");
}
