//! The files that the parts read: those of the repository as they are, and those in which a port or
//! a timer of the demo stands, written into the data folder.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::ports::Ports;

/// The bot's key; the simulator makes it public and worthless.
pub(crate) const BOT_KEY: &str = "sim-bot-key";

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Writes all files below `folder`.
    pub(crate) fn write(folder: &Path, ports: &Ports) -> io::Result<Self> {
        let files = Self {
            folder: folder.to_owned(),
        };
        for below in ["logs", "rules", "prometheus", "alertmanager", "queue"] {
            std::fs::create_dir_all(folder.join(below))?;
        }
        let collector = include_str!("../../otel-collector-config.yaml");
        let jaeger = include_str!("../../dashboards/jaeger.yaml");
        std::fs::write(files.path("collector.yaml"), collector)?;
        std::fs::write(files.path("jaeger.yaml"), jaeger)?;
        std::fs::write(
            files.path("rules/demo.yaml"),
            include_str!("../parts/rules.yaml"),
        )?;
        std::fs::write(files.path("prometheus.yml"), prometheus(ports))?;
        std::fs::write(files.path("alertmanager.yml"), alertmanager(ports))?;
        let store = files.text("alert-router.db");
        std::fs::write(files.path("alert-router.yaml"), alert_router(ports, &store))?;
        Ok(files)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

// JSON is YAML, and nothing in it can be mistaken for something else.

fn prometheus(ports: &Ports) -> String {
    let job = |name: &str, targets: &[(&str, std::net::SocketAddr)]| {
        let targets: Vec<_> = targets
            .iter()
            .map(|(service, at)| json!({"targets": [at], "labels": {"service": service, "env": "demo"}}))
            .collect();
        json!({"job_name": name, "static_configs": targets})
    };
    let config = json!({
        "global": {
            "scrape_interval": "2s",
            "evaluation_interval": "2s",
            "external_labels": {
                "grafana_url": "http://127.0.0.1:3000",
                "runbooks_url": "https://example.com/runbooks",
                "jaeger_url": format!("http://{}", ports.jaeger),
            },
        },
        "storage": {"exemplars": {"max_exemplars": 10_000}},
        "rule_files": ["rules/*.yaml"],
        "alerting": {
            "alert_relabel_configs": [
                {"action": "labeldrop", "regex": "grafana_url|runbooks_url|jaeger_url"},
            ],
            "alertmanagers": [{"static_configs": [{"targets": [ports.alertmanager]}]}],
        },
        "scrape_configs": [
            job("services", &[("shop", ports.shop), ("stock", ports.stock)]),
            job("alert-router", &[("alert-router", ports.alert_router)]),
            job("otel-collector", &[("otel-collector", ports.collector_self)]),
            job("span-metrics", &[("span-metrics", ports.span_metrics)]),
        ],
    });
    format!("{config:#}\n")
}

fn alertmanager(ports: &Ports) -> String {
    let config = json!({
        "route": {
            "receiver": "alert-router",
            "group_by": ["alertname", "service", "env"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
        },
        "receivers": [{
            "name": "alert-router",
            "webhook_configs": [
                {"url": format!("http://{}/webhook", ports.alert_router), "send_resolved": true},
            ],
        }],
    });
    format!("{config:#}\n")
}

fn alert_router(ports: &Ports, store: &str) -> String {
    let bot = format!("http://{}/cgi-bin/webhook/send?key={BOT_KEY}", ports.wecom);
    let config = json!({
        "listen": ports.alert_router,
        "store": format!("sqlite:{store}"),
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "service"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
        },
        "receivers": [{
            "name": "people",
            "wecom_configs": [{"bot": {"webhook_url": bot}}],
            "inbox_configs": [{}],
        }],
    });
    format!("{config:#}\n")
}
