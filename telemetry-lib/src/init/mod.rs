//! Start and stop: from a [`Config`] to a working [`Telemetry`], once per process.

mod handle;
mod install;
mod pipeline;
mod port;
mod report;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use handle::Telemetry;
pub use report::Report;

use crate::config::{Config, LogFormat};
use crate::notice::Notices;
use crate::propagation;
use install::Installed;
use pipeline::Pipeline;
use port::Port;

/// The pipeline that the first `init` made: one process, one engine.
static PROCESS: Mutex<Option<Arc<Pipeline>>> = Mutex::new(None);

/// Says once in a process what each `init` in it has to say, however many there are.
static SAID: OnceLock<Notices> = OnceLock::new();

/// Why telemetry cannot start. A Collector that is away is never among the reasons.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// In production, spans may not cross a network unencrypted.
    #[error(
        "spans would go to {endpoint} in plain text, which the environment `prod` forbids: \
         use an https endpoint, or a Collector on this host"
    )]
    PlainText {
        /// The endpoint, without credentials.
        endpoint: String,
    },
    /// The export path cannot be built from what it was told, such as a certificate file.
    #[error("the export of spans cannot start: check OTEL_EXPORTER_OTLP_*")]
    Export(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The port of OTEL_EXPORTER_PROMETHEUS_PORT cannot be served.
    #[error("{address} cannot be served: choose a free OTEL_EXPORTER_PROMETHEUS_PORT")]
    Listen {
        /// Where it should have been.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Starts traces, metrics and logs. Opens no port unless `OTEL_EXPORTER_PROMETHEUS_PORT` names one;
/// which one the system chose for 0, a notice says.
///
/// If no `tracing` subscriber is installed, one is: log lines on stdout and spans over
/// OTLP, and with it, unless the format of lines is `LogFormat::None`, a logger that makes records of the
/// crate `log` events of it. An existing one of either is kept, and so are a global tracer provider and
/// propagator of the OpenTelemetry API; a notice on stderr says what to add.
///
/// A second call gives a working handle with metrics of its own that shares the first one's traces:
/// export ends when the last handle in use is shut down. A call after that, or after all were
/// dropped, begins export anew with the endpoint and the resource that it is told; sampler, limits of
/// spans and logs stay those of the first call. A port that an earlier handle serves stays that one's,
/// with its metrics; a notice says so. A process that forks needs no call in the child: its
/// first span starts an export thread there, and what its parent had queued stays the parent's.
///
/// # Errors
///
/// See [`InitError`]. Then the process is as it was: no place is taken, no port, no thread stays.
pub fn init(config: Config) -> Result<Telemetry, InitError> {
    let notices = Notices::stderr().unless(config.silent);
    let of_process = SAID.get_or_init(Notices::stderr).clone();
    let of_process = of_process.unless(config.silent);
    report_invalid(&config, &of_process);
    let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let (pipeline, port) = match &*process {
        Some(first) => {
            let port = Port::join(&config)?;
            let anew = first.join(&config)?;
            let again = told_again(anew);
            of_process.once(again, || again.to_owned());
            (Arc::clone(first), port)
        }
        None => {
            // All that can fail, before anything that stays.
            let port = Port::take(&config)?;
            let pipeline = Arc::new(Pipeline::start(&config, notices.clone())?);
            propagation::choose(config.traces.propagators);
            install::globally(&config, &pipeline).report(&notices);
            *process = Some(Arc::clone(&pipeline));
            (pipeline, port)
        }
    };
    drop(process);
    Ok(Telemetry::new(&config, pipeline, port, notices))
}

/// A handle that shares nothing with the process, and the subscriber that feeds it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn isolated(
    config: &Config,
    notices: Notices,
    output: Box<dyn std::io::Write + Send>,
) -> Result<(Telemetry, tracing::Dispatch), InitError> {
    let notices = notices.unless(config.silent);
    report_invalid(config, &notices);
    let port = Port::take(config)?;
    let pipeline = Arc::new(Pipeline::start(config, notices.clone())?);
    let dispatch = install::dispatch(config, &pipeline, output);
    pipeline.logs.set_in_use();
    Ok((Telemetry::new(config, pipeline, port, notices), dispatch))
}

/// What the caller of another `init` must know.
fn told_again(anew: bool) -> &'static str {
    if anew {
        "init was called before, and nobody uses that telemetry any more: spans go where this call \
         says, with the first one's sampler, limits and logs"
    } else {
        "init was called before: this handle has metrics of its own and shares the first one's \
         exporter, sampler and logs"
    }
}

/// Each variable that is invalid or not what it seems, once.
fn report_invalid(config: &Config, notices: &Notices) {
    let writes = config.install_subscriber && config.logs.format != LogFormat::None;
    if let Some(doubt) = config.logs.doubt.as_ref().filter(|_| writes) {
        notices.once(doubt, || doubt.clone());
    }
    for invalid in &config.invalid {
        let text = invalid.to_string();
        notices.once(&text, || text.clone());
    }
}

impl Installed {
    fn report(self, notices: &Notices) {
        if !self.subscriber {
            notices.once("foreign subscriber", || {
                "a tracing subscriber is installed already, so spans are not exported: call \
                 init with `Config::install_subscriber(false)` first, then build the \
                 subscriber with `.with(telemetry.tracing_layer())`"
                    .to_owned()
            });
        }
        if !self.logger {
            notices.once("foreign logger", || {
                "a logger of the crate `log` is set already and kept: its records are among our \
                 lines only if it hands them to tracing"
                    .to_owned()
            });
        }
        if !self.propagator {
            notices.once("foreign propagator", || {
                "a global OpenTelemetry propagator is set already and kept; our layers use \
                 OTEL_PROPAGATORS"
                    .to_owned()
            });
        }
        if !self.provider {
            notices.once("foreign provider", || {
                "a global OpenTelemetry tracer provider is set already and kept: its spans do \
                 not pass our exporter"
                    .to_owned()
            });
        }
    }
}
