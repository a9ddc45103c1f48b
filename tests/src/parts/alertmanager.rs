//! Alertmanagers that post to a webhook, alone or as a cluster.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::http::{get_json, get_text, samples};
use super::place::free_port;
use super::process::{Process, Ready};
use super::programs::Program;
use super::router::Webhook;

/// A running Alertmanager.
pub struct Alertmanager {
    address: SocketAddr,
    process: Process,
}

/// With which others an Alertmanager works together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// With nobody.
    Alone,
    /// With whoever comes to this gossip port.
    First(u16),
    /// With the one at this gossip port.
    Join(u16),
}

impl Alertmanager {
    /// Starts one that posts everything to `webhook`, grouped by `alertname` and `cluster`, and
    /// posts it again every two seconds although nothing changed, as patient upstreams do hourly.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(folder: &Path, name: &str, webhook: &Webhook, cluster: Cluster) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).expect("the folder is ours");
        let receiver = json!({
            "name": "router",
            "webhook_configs": [{
                "url": webhook.url,
                "send_resolved": true,
                "http_config": { "authorization": { "credentials": webhook.token } },
            }],
        });
        // A repeat_interval of next to nothing: what a member hears of another's post does not keep
        // it from its own, so that the twins of a cluster all post.
        let route = json!({
            "receiver": "router", "group_by": ["alertname", "cluster"],
            "group_wait": "1s", "group_interval": "2s", "repeat_interval": "1ms",
        });
        let config = folder.join("alertmanager.yml");
        let text = json!({ "route": route, "receivers": [receiver] }).to_string();
        std::fs::write(&config, text).expect("the folder is ours");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new(Program::Alertmanager.path());
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(cluster.flags());
        let ready = Ready::Page(format!("http://{address}/-/ready"));
        Self {
            process: Process::start(name, command, &folder, ready).await,
            address,
        }
    }

    /// Where Prometheus and people find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it with SIGKILL: what it knows in memory is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same address.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start_again(&mut self) {
        self.process.start_again().await;
    }

    /// How many webhooks it has posted since it started.
    pub async fn posted(&self) -> Result<f64, String> {
        let text = get_text(&format!("http://{}/metrics", self.address)).await?;
        let labels = ["integration=\"webhook\""];
        let sum = |metric| samples(&text, metric, &labels);
        let failed = sum("alertmanager_notifications_failed_total");
        Ok(sum("alertmanager_notifications_total") - failed)
    }

    /// How many members it sees in its cluster, itself among them.
    pub async fn members(&self) -> Result<usize, String> {
        let status = get_json(&format!("http://{}/api/v2/status", self.address)).await?;
        Ok(status["cluster"]["peers"].as_array().map_or(0, Vec::len))
    }
}

impl Cluster {
    fn flags(self) -> Vec<String> {
        let listen = |port| format!("--cluster.listen-address=127.0.0.1:{port}");
        // No member waits for the others, so that all of them post.
        let eager = "--cluster.peer-timeout=0s".to_owned();
        match self {
            Self::Alone => vec!["--cluster.listen-address=".to_owned()],
            Self::First(port) => vec![listen(port), eager],
            Self::Join(port) => {
                let peer = format!("--cluster.peer=127.0.0.1:{port}");
                vec![listen(free_port()), eager, peer]
            }
        }
    }
}
