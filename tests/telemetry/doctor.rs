//! What telemetry-lib's doctor says of a real Collector: of its four kinds of ports, each spoken to
//! rightly and wrongly. How a Go program answers what it does not expect is its own affair, and no
//! stand-in knows it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use stack_tests::parts::folder;
use stack_tests::{Part, Tool, free_port};
use telemetry_lib::Diagnosis;
use telemetry_lib::testing::TestTelemetry;

/// A Collector with OTLP over HTTP and gRPC, in plain text and over TLS.
struct Collector {
    http: u16,
    grpc: u16,
    https: u16,
    grpcs: u16,
    _part: Part,
}

impl Collector {
    fn start(test: &str, folder: &Path) -> Option<Self> {
        let program = Tool::Collector.find(test)?;
        let [http, grpc, https, grpcs] = [(); 4].map(|()| free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let tls = json!({
            "cert_file": file("cert.pem", &own.cert.pem()),
            "key_file": file("key.pem", &own.signing_key.serialize_pem()),
        });
        let config = json!({
            "receivers": {
                "otlp": { "protocols": {
                    "http": { "endpoint": at(http) },
                    "grpc": { "endpoint": at(grpc) },
                }},
                "otlp/tls": { "protocols": {
                    "http": { "endpoint": at(https), "tls": &tls },
                    "grpc": { "endpoint": at(grpcs), "tls": &tls },
                }},
            },
            "exporters": { "debug": {} },
            "service": {
                "pipelines": { "traces": {
                    "receivers": ["otlp", "otlp/tls"], "exporters": ["debug"],
                }},
                "telemetry": { "metrics": { "level": "none" } },
            },
        });
        // JSON is YAML.
        let config = file("collector.yaml", &config.to_string());
        let mut part = Part::start(Command::new(program).arg("--config").arg(config));
        part.wait_for(&["Everything is ready"]);
        Some(Self {
            http,
            grpc,
            https,
            grpcs,
            _part: part,
        })
    }
}

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
