//! What telemetry-lib's doctor says of a real Collector: of its four kinds of ports, each spoken to
//! rightly and wrongly. How a Go program answers what it does not expect is its own affair, and no
//! stand-in knows it.

use std::path::Path;

use serde_json::Value;
use stack_tests::parts::folder;
use telemetry_lib::Diagnosis;
use telemetry_lib::testing::TestTelemetry;

use super::collector::Collector;

fn doctor(endpoint: &str, folder: &Path) -> Diagnosis {
    let authority = folder.join("cert.pem");
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            authority.to_str().unwrap(),
        ),
    ];
    TestTelemetry::configured(&variables, |config| config)
        .handle()
        .doctor()
}

/// An endpoint, a step, and what the doctor says of it.
type Row = (String, &'static str, &'static str);

fn rows(collector: &Collector) -> [Row; 10] {
    let Collector {
        http,
        grpc,
        https,
        grpcs,
        ..
    } = *collector;
    [
        (
            format!("http://127.0.0.1:{http}/v1/traces"),
            "request",
            "the Collector takes traces",
        ),
        (
            format!("https://localhost:{https}/v1/traces"),
            "request",
            "the Collector takes traces",
        ),
        (
            format!("http://127.0.0.1:{http}/v1/spans"),
            "request",
            "404 Not Found: nothing takes traces at /v1/spans",
        ),
        (
            format!("http://127.0.0.1:{grpc}/v1/traces"),
            "request",
            "looks like a gRPC port",
        ),
        (
            format!("https://localhost:{grpcs}/v1/traces"),
            "request",
            "looks like a gRPC port",
        ),
        (
            format!("http://127.0.0.1:{https}/v1/traces"),
            "request",
            "speaks TLS",
        ),
        (
            format!("http://127.0.0.1:{grpcs}/v1/traces"),
            "request",
            "speaks TLS",
        ),
        (
            format!("https://localhost:{http}/v1/traces"),
            "tls",
            "does not speak TLS",
        ),
        (
            format!("https://localhost:{grpc}/v1/traces"),
            "tls",
            "does not speak TLS",
        ),
        (
            format!("https://127.0.0.1:{https}/v1/traces"),
            "tls",
            "the certificate is for other names",
        ),
    ]
}

#[test]
fn the_doctor_knows_the_ports_of_a_collector() {
    let folder = folder();
    let test = "the_doctor_knows_the_ports_of_a_collector";
    let Some(collector) = Collector::start(test, folder.path()) else {
        return;
    };
    for (endpoint, step, expected) in rows(&collector) {
        let diagnosis = doctor(&endpoint, folder.path());
        let found = diagnosis.findings().iter().rfind(|it| it.step == step);
        let what = found.map_or(Value::Null, |it| Value::from(it.what.as_str()));
        assert!(
            what.to_string().contains(expected),
            "{endpoint}:\n{diagnosis}"
        );
        let good = expected == "the Collector takes traces";
        assert_eq!(diagnosis.is_healthy(), good, "{diagnosis}");
    }
}
