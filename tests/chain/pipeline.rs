//! The services of the demo with a Collector and a Jaeger of their own, each of which a test can break.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use stack_tests::parts::{
    Collector, Jaeger, Process, Ready, binary, folder, free_port, get_text, samples, until,
};
use tempfile::TempDir;

/// Everything on the way of a span. Fields end in their order.
pub(crate) struct Pipeline {
    pub(crate) shop: Service,
    pub(crate) stock: Service,
    pub(crate) collector: Collector,
    pub(crate) jaeger: Jaeger,
    pub(crate) folder: TempDir,
}

/// What differs between tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// Percent of the plain traces that are kept.
    pub(crate) baseline: &'static str,
    /// Further settings of both services, and of the stock alone.
    pub(crate) both: &'static [(&'static str, &'static str)],
    pub(crate) stock: &'static [(&'static str, &'static str)],
    /// Where the stock writes; without it, it queues in its own process.
    pub(crate) redis: Option<SocketAddr>,
}

/// A service of the demo.
pub(crate) struct Service {
    pub(crate) url: String,
    process: Process,
}

/// What a service says of its spans.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) exported: f64,
    pub(crate) waiting: f64,
    /// By reason.
    pub(crate) dropped: Vec<(&'static str, f64)>,
}

const REASONS: [&str; 4] = ["queue_full", "export_failed", "rejected", "after_shutdown"];

impl Default for Wishes {
    fn default() -> Self {
        Self {
            baseline: "100",
            both: &[],
            stock: &[],
            redis: None,
        }
    }
}

impl Pipeline {
    pub(crate) async fn start(wishes: Wishes) -> Self {
        let folder = folder();
        let at = folder.path();
        let jaeger = Jaeger::start(at).await;
        let collector = Collector::start(at, &jaeger.otlp, wishes.baseline).await;
        let vars = [wishes.both, wishes.stock].concat();
        let stock = Service::start(at, "stock", &collector, &vars, &to(wishes.redis)).await;
        let address = stock.url.trim_start_matches("http://").to_owned();
        let calls = ["--calls".to_owned(), address];
        let shop = Service::start(at, "shop", &collector, wishes.both, &calls).await;
        Self {
            shop,
            stock,
            collector,
            jaeger,
            folder,
        }
    }

    /// The reader of the events in `redis`.
    pub(crate) async fn cache(&self, redis: SocketAddr) -> Service {
        let at = self.folder.path();
        Service::start(at, "cache", &self.collector, &[], &to(Some(redis))).await
    }

    /// Another shop before the same stock, which gives out no exemplars and so marks no span.
    pub(crate) async fn kiosk(&self) -> Service {
        let address = self.stock.url.trim_start_matches("http://").to_owned();
        let calls = ["--calls".to_owned(), address];
        let vars = [
            ("OTEL_SERVICE_NAME", "kiosk"),
            ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
        ];
        let folder = self.folder.path().join("kiosk");
        std::fs::create_dir(&folder).expect("the folder is ours");
        Service::start(&folder, "shop", &self.collector, &vars, &calls).await
    }

    /// Returns when neither service has a span left to send.
    pub(crate) async fn flushed(&self) {
        for service in [&self.shop, &self.stock] {
            until("all spans have left the service", async || {
                match service.account().await? {
                    account if account.waiting == 0.0 => Ok(()),
                    account => Err(format!("{account:?}")),
                }
            })
            .await;
        }
    }
}

/// The flag for a Redis.
fn to(redis: Option<SocketAddr>) -> Vec<String> {
    let flag = |at: SocketAddr| vec!["--redis".to_owned(), at.to_string()];
    redis.map_or_else(Vec::new, flag)
}

impl Service {
    async fn start(
        folder: &Path,
        name: &str,
        collector: &Collector,
        vars: &[(&str, &str)],
        more: &[String],
    ) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary("demo"));
        command
            .args(["service", name, "--drain-ms", "3000", "--listen", &listen])
            .args(more)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_SERVICE_NAME", name)
            .envs(vars.iter().copied());
        let url = format!("http://{listen}");
        let ready = Ready::Page(format!("{url}/readyz"));
        Self {
            process: Process::start(name, command, folder, ready).await,
            url,
        }
    }

    /// Starts it as before, after [`Self::terminate`].
    pub(crate) async fn start_again(&mut self) {
        self.process.start_again().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.url.trim_start_matches("http://");
        address.parse().expect("we chose it")
    }

    /// What became of its spans so far.
    pub(crate) async fn account(&self) -> Result<Account, String> {
        let page = get_text(&format!("{}/metrics", self.url)).await?;
        let sum = |name, labels: &[&str]| samples(&page, name, labels);
        let dropped = REASONS.map(|reason| {
            let label = format!("reason=\"{reason}\"");
            (reason, sum("telemetry_spans_dropped_total", &[&label]))
        });
        Ok(Account {
            exported: sum("telemetry_spans_exported_total", &[]),
            waiting: sum("telemetry_span_queue_spans", &[]),
            dropped: dropped.into(),
        })
    }

    /// Ends it with SIGTERM and returns what it has logged.
    pub(crate) fn terminate(&mut self) -> String {
        self.process.terminate();
        self.process.log()
    }
}

impl Account {
    pub(crate) fn dropped(&self) -> f64 {
        self.dropped.iter().map(|(_, spans)| spans).sum()
    }
}
