//! A Prometheus that looks every second.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::http::get_json;
use super::place::free_port;
use super::process::{Process, Ready};
use super::programs::Program;

/// A running Prometheus.
pub struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    /// Starts it: it watches `target` by `rules` (the text of a rule file) and tells
    /// `alertmanagers`.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(
        folder: &Path,
        target: SocketAddr,
        rules: &str,
        alertmanagers: &[SocketAddr],
    ) -> Self {
        let folder = folder.join("prometheus");
        std::fs::create_dir(&folder).expect("the folder is ours");
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::write(&file, text).expect("the folder is ours");
            file
        };
        let rules = write("rules.yml", rules);
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "disks",
                "static_configs": [{ "targets": [target] }],
            }],
            "alerting": { "alertmanagers": [{
                "static_configs": [{ "targets": alertmanagers }],
            }]},
        });
        // JSON is YAML.
        let config = write("prometheus.yml", &config.to_string());
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(Program::Prometheus.path());
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ));
        command.arg(format!(
            "--web.listen-address={}",
            url.trim_start_matches("http://")
        ));
        // After an outage it says again what fires, after 5 s and not after a minute.
        command.arg("--rules.alert.resend-delay=5s");
        let ready = Ready::Page(format!("{url}/-/ready"));
        Self {
            _process: Process::start("prometheus", command, &folder, ready).await,
            url,
        }
    }

    /// The `host` labels of what it says is firing, or why it does not say.
    pub async fn firing_hosts(&self) -> Result<Vec<String>, String> {
        let answer = get_json(&format!("{}/api/v1/alerts", self.url)).await?;
        let alerts = answer["data"]["alerts"].as_array().into_iter().flatten();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        let host = |alert: &Value| alert["labels"]["host"].as_str().map(str::to_owned);
        let mut hosts: Vec<_> = firing.filter_map(host).collect();
        hosts.sort();
        Ok(hosts)
    }
}
