//! What a real Collector takes from telemetry-lib: over both protocols, in plain text and over TLS,
//! compressed or not, and a batch that is larger than it likes. What it says of the last is its own
//! affair, and no stand-in knows it.

use std::time::Duration;

use stack_tests::parts::folder;
use telemetry_lib::testing::TestTelemetry;
use tracing::info_span;

use super::collector::{Collector, MAX_REQUEST};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_real_collector_takes_spans_over_both_protocols() {
    let test = "a_real_collector_takes_spans_over_both_protocols";
    let folder = folder();
    let Some(mut collector) = Collector::start(test, folder.path()) else {
        return;
    };
    let authority = folder.path().join("cert.pem");
    let rows = [
        (
            "grpc",
            format!("http://127.0.0.1:{}", collector.grpc),
            "none",
        ),
        (
            "grpc",
            format!("http://127.0.0.1:{}", collector.grpc),
            "gzip",
        ),
        (
            "grpc",
            format!("https://localhost:{}", collector.grpcs),
            "gzip",
        ),
        (
            "http/protobuf",
            format!("http://127.0.0.1:{}", collector.http),
            "none",
        ),
        (
            "http/protobuf",
            format!("https://localhost:{}", collector.https),
            "gzip",
        ),
    ];
    for (at, (protocol, endpoint, compression)) in (0_i64..).zip(rows) {
        let endpoint = match protocol {
            "grpc" => endpoint,
            _ => format!("{endpoint}/v1/traces"),
        };
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", compression),
            (
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                authority.to_str().unwrap(),
            ),
        ];
        let telemetry = TestTelemetry::configured(&variables, |config| config);
        info_span!("sent", row = at).in_scope(|| {});
        let report = telemetry.handle().shutdown_blocking(PATIENCE);
        let row = format!("{protocol} {endpoint} {compression}");
        assert_eq!(
            report.traces.exported,
            1,
            "{row}: {report} {:?}",
            telemetry.notices()
        );
        assert_eq!(telemetry.notices(), [""; 0], "{row}");
        collector.part.wait_for(&["service.name", "Str(test)"]);
        collector.part.wait_for(&["Name", ": sent"]);
        collector.part.wait_for(&["row", &format!("Int({at})")]);
    }
}

#[test]
fn a_batch_that_a_real_collector_finds_too_large_arrives_in_halves() {
    let test = "a_batch_that_a_real_collector_finds_too_large_arrives_in_halves";
    let folder = folder();
    let Some(mut collector) = Collector::start(test, folder.path()) else {
        return;
    };
    const SPANS: u64 = 8;
    let text = "x".repeat(MAX_REQUEST / 3);
    let grpc = format!("http://127.0.0.1:{}", collector.grpc);
    let http = format!("http://127.0.0.1:{}/v1/traces", collector.http);
    for (protocol, endpoint) in [("grpc", grpc), ("http/protobuf", http)] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ];
        let telemetry = TestTelemetry::configured(&variables, |config| config);
        for _ in 0..SPANS {
            info_span!("large", text).in_scope(|| {});
        }
        let report = telemetry.handle().shutdown_blocking(PATIENCE);
        assert_eq!(
            report.traces.exported,
            SPANS,
            "{protocol}: {report} {:?}",
            telemetry.notices()
        );
        for _ in 0..SPANS {
            collector.part.wait_for(&["Name", ": large"]);
        }
    }
}
