//! The real Collector with the repository's file.

use std::path::Path;
use std::process::Command;

use super::http::{get_text, samples};
use super::place::free_port;
use super::process::{Process, Ready};
use crate::{Tool, root};

/// A running Collector.
pub struct Collector {
    otlp: u16,
    own_metrics: u16,
    process: Process,
}

impl Collector {
    /// Starts one that keeps `baseline` percent of the plain traces, and all of those that its file
    /// wants, in the Jaeger at `jaeger`.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(folder: &Path, jaeger: &str, baseline: &str) -> Self {
        let folder = folder.join("collector");
        std::fs::create_dir(&folder).expect("the folder is ours");
        let (otlp, own_metrics) = (free_port(), free_port());
        let address = |port: u16| format!("127.0.0.1:{port}");
        let health = address(free_port());
        let mut command = Command::new(Tool::Collector.found());
        command
            .args(["--config", "otel-collector-config.yaml"])
            .current_dir(root())
            .env("OTELCOL_QUEUE_DIR", folder.join("queue"))
            .env("OTELCOL_METRICS_ENDPOINT", address(free_port()))
            .env("OTELCOL_SELF_PORT", own_metrics.to_string())
            .env("OTELCOL_HEALTH_ENDPOINT", &health)
            .env("OTELCOL_OTLP_GRPC_ENDPOINT", address(free_port()))
            .env("OTELCOL_OTLP_HTTP_ENDPOINT", address(otlp))
            .env("JAEGER_OTLP_ENDPOINT", jaeger)
            .env("TRACE_BASELINE_PERCENT", baseline);
        let ready = Ready::Page(format!("http://{health}/healthz"));
        Self {
            otlp,
            own_metrics,
            process: Process::start("collector", command, &folder, ready).await,
        }
    }

    /// Where services send to, over HTTP.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp)
    }

    /// The sum of one of its own metrics, or why there is none.
    pub async fn metric(&self, name: &str) -> Result<f64, String> {
        let page = get_text(&format!("http://127.0.0.1:{}/metrics", self.own_metrics)).await?;
        Ok(samples(&page, name, &[]))
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

    /// Starts it again at the same address, with the queue that it had.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start_again(&mut self) {
        self.process.start_again().await;
    }
}
