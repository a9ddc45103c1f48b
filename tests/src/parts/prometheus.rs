//! A Prometheus that looks every second.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::http::get_json;
use super::place::free_port;
use super::process::{Process, Ready};
use super::programs::Program;

/// A point of a histogram that names a trace.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// The labels of the series.
    pub series: Value,
    /// Its own labels.
    pub labels: Value,
    /// Seconds since 1970.
    pub at: f64,
}

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
        let files = Files::create(folder);
        let rules = files.write("rules.yml", rules);
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
        Self::run(&files, &config).await
    }

    /// Starts one that only looks at `targets`, exemplars included.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn watching(folder: &Path, targets: &[SocketAddr]) -> Self {
        let config = json!({
            "global": { "scrape_interval": "1s" },
            "scrape_configs": [{
                "job_name": "services",
                "static_configs": [{ "targets": targets }],
            }],
        });
        Self::run(&Files::create(folder), &config).await
    }

    async fn run(files: &Files, config: &Value) -> Self {
        // JSON is YAML.
        let config = files.write("prometheus.yml", &config.to_string());
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(Program::Prometheus.path());
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            files.0.join("data").display()
        ));
        command.arg(format!(
            "--web.listen-address={}",
            url.trim_start_matches("http://")
        ));
        command.arg("--enable-feature=exemplar-storage");
        // After an outage it says again what fires, after 5 s and not after a minute.
        command.arg("--rules.alert.resend-delay=5s");
        let ready = Ready::Page(format!("{url}/-/ready"));
        Self {
            _process: Process::start("prometheus", command, &files.0, ready).await,
            url,
        }
    }

    /// The value of an instant query that has one sample, or why there is none.
    pub async fn value(&self, query: &str) -> Result<f64, String> {
        let answer = get_json(&format!("{}/api/v1/query?query={query}", self.url)).await?;
        let result = answer["data"]["result"].as_array();
        let one = result.filter(|result| result.len() == 1);
        let value = one.and_then(|result| result[0]["value"][1].as_str()?.parse().ok());
        value.ok_or_else(|| answer.to_string())
    }

    /// All exemplars of a series, or why there are none.
    pub async fn exemplars(&self, series: &str) -> Result<Vec<Exemplar>, String> {
        exemplars_at(&self.url, series).await
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

/// All exemplars of the series in `query` that the Prometheus at `url` has, or why it does not say.
pub async fn exemplars_at(url: &str, query: &str) -> Result<Vec<Exemplar>, String> {
    // From 1970 to 2100: all that it has.
    let range = "start=0&end=4102444800";
    let query = query.replace('+', "%2B");
    let answer = get_json(&format!(
        "{url}/api/v1/query_exemplars?query={query}&{range}"
    ))
    .await?;
    let of = |found: &Value| -> Vec<Exemplar> {
        let exemplars = found["exemplars"].as_array().into_iter().flatten();
        let read = |exemplar: &Value| Exemplar {
            series: found["seriesLabels"].clone(),
            labels: exemplar["labels"].clone(),
            at: exemplar["timestamp"].as_f64().unwrap_or_default(),
        };
        exemplars.map(read).collect()
    };
    let found = answer["data"].as_array().into_iter().flatten();
    Ok(found.flat_map(of).collect())
}

/// Its folder.
struct Files(PathBuf);

impl Files {
    fn create(folder: &Path) -> Self {
        let folder = folder.join("prometheus");
        std::fs::create_dir(&folder).expect("the folder is ours");
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).expect("the folder is ours");
        file
    }
}
