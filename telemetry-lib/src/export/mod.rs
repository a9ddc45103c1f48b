//! The export path of spans: a bounded queue, one thread with a runtime of its own, the field's
//! OTLP exporter on it and our HTTP client below that. It is apart so that no feature of another
//! crate, no runtime of the caller and no collector can stop it silently: every span that is lost
//! is counted with its reason.

mod backoff;
mod client;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod health;
mod payload;
mod processor;
mod queue;
mod report;
mod retry;
mod run;
mod size;
mod timer;
pub(crate) mod tls;
mod transport;
mod worker;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::Resource;

pub(crate) use self::client::empty_request;
pub(crate) use self::health::{DropReason, ExportHealth};
pub(crate) use self::processor::{ExportHandle, QueueProcessor};
use self::queue::Limits;
pub(crate) use self::report::Left;
pub use self::report::{Dropped, SignalReport};
pub(crate) use self::retry::{Answer, Failure, Verdict, judge};
use self::run::{Parts, Runs};
use self::timer::RuntimeTimer;
use self::tls::TlsError;
pub(crate) use self::tls::TlsFiles;
use self::transport::Network;
pub(crate) use self::transport::{AttemptError, Transport, explain};
pub(crate) use self::worker::{mute_thread, on_export_thread, runtime};
use crate::config::{Exporter, Protocol};

/// Where spans go and how much of them may wait.
#[derive(Clone)]
pub(crate) struct ExportConfig {
    pub(crate) protocol: Protocol,
    /// The full URL for traces; for gRPC its path is not used.
    pub(crate) endpoint: String,
    /// Sent with every request; never printed.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// For one attempt.
    pub(crate) timeout: Duration,
    /// For all attempts of a batch.
    pub(crate) total: Duration,
    pub(crate) gzip: bool,
    pub(crate) tls: TlsFiles,
    /// Spans that may wait.
    pub(crate) queue_items: usize,
    /// About how many bytes they may hold.
    pub(crate) queue_bytes: usize,
    /// Spans in one request at most.
    pub(crate) batch: usize,
    /// How long the first span of a batch waits for others.
    pub(crate) delay: Duration,
}

/// Why the export path cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL")]
    Endpoint,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the OTLP exporter cannot be built")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    #[error("the export thread cannot be started")]
    Thread(#[source] io::Error),
}

impl ExportConfig {
    /// 10 s for an attempt, no compression, the system's authorities, 2,048 spans or 16 MiB,
    /// batches of 512 after at most 1 s: the specification's values but the last, which is shorter
    /// because a Collector that samples by traces decides 2 to 3 s after a root span.
    pub(crate) fn new(endpoint: impl Into<String>) -> Self {
        Self {
            protocol: Protocol::Http,
            endpoint: endpoint.into(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            total: Duration::from_secs(60),
            gzip: false,
            tls: TlsFiles::default(),
            queue_items: 2_048,
            queue_bytes: 16 * 1024 * 1024,
            batch: 512,
            delay: Duration::from_secs(1),
        }
    }

    /// What was configured.
    pub(crate) fn of(exporter: &Exporter) -> Self {
        Self {
            protocol: exporter.protocol,
            headers: exporter.headers.clone(),
            timeout: exporter.timeout,
            total: exporter.total,
            gzip: exporter.gzip,
            tls: TlsFiles {
                ca: exporter.certificate.clone(),
                cert: exporter.client_certificate.clone(),
                key: exporter.client_key.clone(),
            },
            queue_items: exporter.queue,
            batch: exporter.batch,
            delay: exporter.delay,
            ..Self::new(exporter.endpoint.to_string())
        }
    }

    fn limits(&self) -> Limits {
        let items = self.queue_items.max(1);
        Limits {
            items,
            bytes: self.queue_bytes,
            batch: self.batch.clamp(1, items),
        }
    }
}

/// The names of the headers, not their values.
impl fmt::Debug for ExportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ExportConfig")
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("total", &self.total)
            .field("gzip", &self.gzip)
            .field("tls", &self.tls)
            .field("queue_items", &self.queue_items)
            .field("queue_bytes", &self.queue_bytes)
            .field("batch", &self.batch)
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}

/// Starts the export thread. The processor goes into a tracer provider, the handle stays with who
/// ends the process. Fails on a wrong configuration, never because the collector is away.
///
/// In a process that is forked later its first span starts a thread again; `resource` is asked anew
/// there.
pub(crate) fn start(
    config: ExportConfig,
    resource: impl Fn() -> Resource + Send + Sync + 'static,
    health: Arc<ExportHealth>,
) -> Result<(QueueProcessor, ExportHandle), ExportError> {
    start_with(parts(config, resource, health)?)
}

/// The same for the processors of `former`, whose run is closed. If it fails, nothing has changed.
pub(crate) fn start_after(
    former: &ExportHandle,
    config: ExportConfig,
    resource: impl Fn() -> Resource + Send + Sync + 'static,
    health: Arc<ExportHealth>,
) -> Result<ExportHandle, ExportError> {
    former.follow(parts(config, resource, health)?)
}

fn parts(
    config: ExportConfig,
    resource: impl Fn() -> Resource + Send + Sync + 'static,
    health: Arc<ExportHealth>,
) -> Result<Parts, ExportError> {
    let endpoint: Uri = config.endpoint.parse().map_err(|_| ExportError::Endpoint)?;
    if !matches!(endpoint.scheme_str(), Some("http" | "https")) || endpoint.host().is_none() {
        return Err(ExportError::Endpoint);
    }
    let settings = config.clone();
    Ok(Parts {
        config,
        resource: Box::new(resource),
        health,
        timer: Arc::new(RuntimeTimer::new()),
        connect: Box::new(move || Ok(transport(&settings, &endpoint)?)),
    })
}

/// The way to the collector that `config` asks for; needs no runtime until it sends.
pub(crate) fn transport(
    config: &ExportConfig,
    endpoint: &Uri,
) -> Result<Arc<dyn Transport>, TlsError> {
    Ok(match config.protocol {
        #[cfg(feature = "otlp-grpc")]
        Protocol::Grpc => Arc::new(grpc::GrpcNetwork::new(endpoint, config)?),
        // Without the feature nobody can ask for gRPC.
        #[cfg(not(feature = "otlp-grpc"))]
        Protocol::Grpc => Arc::new(Network::new(endpoint, &config.tls)?),
        Protocol::Http => Arc::new(Network::new(endpoint, &config.tls)?),
    })
}

/// [`start`] with the clock and the network given.
fn start_with(parts: Parts) -> Result<(QueueProcessor, ExportHandle), ExportError> {
    let health = Arc::clone(&parts.health);
    let (runs, run) = Runs::start(parts)?;
    Ok((
        QueueProcessor::new(Arc::clone(&runs)),
        ExportHandle::new(runs, run, health),
    ))
}
