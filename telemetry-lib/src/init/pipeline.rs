//! What exists once per process: the engine and the export path behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Identity;
use tracing_subscriber::registry::LookupSpan;

use super::InitError;
use super::report::Report;
use crate::config::{Config, Exporter};
use crate::doctor::{self, Diagnosis};
use crate::engine::Engine;
use crate::export::{self, ExportConfig, ExportHandle, ExportHealth, QueueProcessor, TlsFiles};
use crate::log::Logs;
use crate::notice::Notices;
use crate::resource;

pub(super) struct Pipeline {
    /// What the first `init` of the process was told.
    pub(super) config: Config,
    /// `None`: `OTEL_SDK_DISABLED`.
    pub(super) engine: Option<Engine>,
    pub(super) health: Arc<ExportHealth>,
    pub(super) logs: Arc<Logs>,
    /// `None`: `OTEL_TRACES_EXPORTER=none`.
    export: Option<Export>,
}

struct Export {
    queue: QueueProcessor,
    handle: ExportHandle,
}

impl Pipeline {
    pub(super) fn start(config: &Config, notices: Notices) -> Result<Self, InitError> {
        let health = ExportHealth::new(notices);
        let logs = Logs::new(&config.logs);
        if config.disabled {
            return Ok(Self {
                config: config.clone(),
                engine: None,
                health,
                logs,
                export: None,
            });
        }
        let resource = resource::detect(&config.service);
        let export = match &config.exporter {
            None => None,
            Some(exporter) => {
                if config.service.is_production() && exporter.is_plain_text_to_another_host() {
                    return Err(InitError::PlainText {
                        endpoint: exporter.shown_endpoint(),
                    });
                }
                let (queue, handle) =
                    export::start(settings(exporter), resource.clone(), Arc::clone(&health))
                        .map_err(|error| InitError::Export(error.into()))?;
                Some(Export { queue, handle })
            }
        };
        let queue = export.as_ref().map(|export| export.queue.clone());
        Ok(Self {
            config: config.clone(),
            engine: Some(Engine::new(config, resource, queue)),
            health,
            logs,
            export,
        })
    }

    /// Boxed because an optional layer would not be told its dispatcher.
    pub(super) fn tracing_layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync + 'static>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        match &self.engine {
            Some(engine) => engine.layer().boxed(),
            None => Identity::new().with_filter(LevelFilter::OFF).boxed(),
        }
    }

    pub(super) fn queue(&self) -> Option<QueueProcessor> {
        self.export.as_ref().map(|export| export.queue.clone())
    }

    pub(super) fn doctor(&self) -> Diagnosis {
        let way = self.config.exporter.as_ref();
        let way = way.map(|exporter| (exporter, settings(exporter)));
        doctor::examine(&self.config, way, &self.health)
    }

    pub(super) async fn flush(&self, limit: Duration) -> Report {
        self.logs.settle();
        match &self.export {
            Some(export) => Report::new(export.handle.flush(limit).await),
            None => Report::default(),
        }
    }

    pub(super) async fn shutdown(&self, limit: Duration) -> Report {
        self.logs.settle();
        match &self.export {
            Some(export) => Report::new(export.handle.shutdown(limit).await),
            None => Report::default(),
        }
    }

    pub(super) fn flush_blocking(&self, limit: Duration) -> Report {
        self.logs.settle();
        match &self.export {
            Some(export) => Report::new(export.handle.flush_blocking(limit)),
            None => Report::default(),
        }
    }

    pub(super) fn shutdown_blocking(&self, limit: Duration) -> Report {
        self.logs.settle();
        match &self.export {
            Some(export) => Report::new(export.handle.shutdown_blocking(limit)),
            None => Report::default(),
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("engine", &self.engine)
            .field("exports", &self.export.is_some())
            .finish_non_exhaustive()
    }
}

fn settings(exporter: &Exporter) -> ExportConfig {
    ExportConfig {
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
        ..ExportConfig::new(exporter.endpoint.to_string())
    }
}
