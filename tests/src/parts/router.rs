//! The alert-router binary with a config and a data folder of its own.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::binary::binary;
use super::http::{get_json, get_text, samples};
use super::place::free_port;
use super::process::{Process, Ready};

/// Where Alertmanagers post, and what they show.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The bearer token.
    pub token: String,
}

/// A running alert-router.
pub struct Router {
    url: String,
    process: Process,
}

impl Router {
    /// The port that a router will listen on, and the webhook there: known before it starts, so
    /// that Alertmanagers can be configured in any order.
    #[must_use]
    pub fn plan(source: &str) -> (u16, Webhook) {
        let port = free_port();
        let webhook = Webhook {
            url: format!("http://127.0.0.1:{port}/webhook/{source}"),
            token: "token-of-the-alertmanagers".to_owned(),
        };
        (port, webhook)
    }

    /// Starts it with `config` (JSON is YAML) on a port of [`Self::plan`].
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(folder: &Path, port: u16, config: &Value) -> Self {
        let folder = folder.join("alert-router");
        std::fs::create_dir(&folder).expect("the folder is ours");
        let file = folder.join("alert-router.yaml");
        let text = serde_json::to_string_pretty(config).expect("JSON can be written");
        std::fs::write(&file, text).expect("the folder is ours");
        let mut command = Command::new(binary("alert-router"));
        command.arg("--config").arg(&file);
        command.arg(format!("--listen=127.0.0.1:{port}"));
        command.arg(format!(
            "--store=sqlite:{}",
            folder.join("router.db").display()
        ));
        let url = format!("http://127.0.0.1:{port}");
        let ready = Ready::Page(format!("{url}/-/ready"));
        Self {
            process: Process::start("alert-router", command, &folder, ready).await,
            url,
        }
    }

    /// Where its page is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it with SIGTERM.
    ///
    /// # Panics
    /// It does not end well.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again with the same config, data and address.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start_again(&mut self) {
        self.process.start_again().await;
    }

    /// The sum of the samples of a metric that have all of `labels` (`receiver="x"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64, String> {
        let text = get_text(&format!("{}/metrics", self.url)).await?;
        Ok(samples(&text, name, labels))
    }

    /// A list of its API, such as `inbox`.
    pub async fn list(&self, name: &str) -> Result<Vec<Value>, String> {
        let answer = get_json(&format!("{}/api/v1/{name}", self.url)).await?;
        let list = answer.get("records").unwrap_or(&answer).as_array().cloned();
        list.ok_or_else(|| format!("{name} is no list: {answer}"))
    }
}
