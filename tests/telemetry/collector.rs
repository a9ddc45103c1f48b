//! A real Collector whose log shows every span that it took.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use stack_tests::{Part, Tool, free_port};

/// Bytes of a request that its ports in plain text take.
pub(crate) const MAX_REQUEST: usize = 1 << 20;

/// A Collector with OTLP over HTTP and gRPC, in plain text and over TLS.
pub(crate) struct Collector {
    pub(crate) http: u16,
    pub(crate) grpc: u16,
    pub(crate) https: u16,
    pub(crate) grpcs: u16,
    pub(crate) part: Part,
}

impl Collector {
    pub(crate) fn start(test: &str, folder: &Path) -> Option<Self> {
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
                    "http": { "endpoint": at(http), "max_request_body_size": MAX_REQUEST },
                    "grpc": { "endpoint": at(grpc), "max_recv_msg_size_mib": MAX_REQUEST >> 20 },
                }},
                "otlp/tls": { "protocols": {
                    "http": { "endpoint": at(https), "tls": &tls },
                    "grpc": { "endpoint": at(grpcs), "tls": &tls },
                }},
            },
            "exporters": { "debug": { "verbosity": "detailed" } },
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
            part,
        })
    }
}
