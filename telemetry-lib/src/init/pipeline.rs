//! What exists once per process: the engine and the export path behind it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
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
use crate::export::{self, ExportConfig, ExportHandle, ExportHealth, QueueProcessor};
use crate::fork::Lock;
use crate::log::Logs;
use crate::metrics::MarkTokens;
use crate::notice::Notices;
use crate::resource;

pub(super) struct Pipeline {
    /// What the `init` was told that began the export; of the first one, if nothing is exported.
    config: Mutex<Config>,
    /// `None`: `OTEL_SDK_DISABLED`.
    pub(super) engine: Option<Engine>,
    pub(super) health: Arc<ExportHealth>,
    pub(super) logs: Arc<Logs>,
    /// What a tail sampler keeps is bounded for the whole process.
    pub(super) marks: Arc<MarkTokens>,
    /// `None`: `OTEL_TRACES_EXPORTER=none`.
    export: Option<Export>,
}

struct Export {
    queue: QueueProcessor,
    users: Lock<Users>,
}

/// The handles of all `init`s that were neither shut down nor dropped, and the run that they share.
#[derive(Clone)]
struct Users {
    count: usize,
    run: ExportHandle,
}

impl Users {
    /// The first of them. Nothing that takes time is done under the lock, so that few children find it
    /// held; those take the newest run for theirs, and themselves for the only user.
    fn first(run: ExportHandle) -> Lock<Self> {
        let newest = run.of_newest();
        let alone = move || Self {
            count: 1,
            run: newest.clone(),
        };
        let in_child = move |users: Option<&Self>| users.cloned().unwrap_or_else(&alone);
        Lock::new(Self { count: 1, run }, in_child)
    }
}

impl Pipeline {
    /// The pipeline of a first `init`, which uses it.
    pub(super) fn start(config: &Config, notices: Notices) -> Result<Self, InitError> {
        let health = ExportHealth::new(notices.clone());
        let logs = Logs::new(&config.logs, notices.clone());
        let mut pipeline = Self {
            config: Mutex::new(config.clone()),
            engine: None,
            health,
            logs,
            marks: Arc::default(),
            export: None,
        };
        if config.disabled {
            return Ok(pipeline);
        }
        let resource = resource::detect(&config.service);
        if let Some(exporter) = &config.exporter {
            let (queue, run) = begin(config, exporter, &pipeline.health)?;
            let users = Users::first(run);
            pipeline.export = Some(Export { queue, users });
        }
        pipeline.engine = Some(Engine::new(config, resource, pipeline.queue(), notices));
        Ok(pipeline)
    }

    /// Another `init` uses it. If nobody else does, or its run is over, the export begins anew, as `config` says; `true`
    /// then.
    pub(super) fn join(&self, config: &Config) -> Result<bool, InitError> {
        let Some(export) = &self.export else {
            return Ok(false);
        };
        // From here on nobody else closes the run.
        let (is_free, former) = export.enter();
        let wanted = config.exporter.as_ref().filter(|_| !config.disabled);
        let Some(exporter) = wanted.filter(|_| is_free) else {
            return Ok(false);
        };
        match begin_after(&former, config, exporter, &self.health) {
            Ok(run) => export.users.lock().run = run,
            Err(error) => {
                export.users.lock().count -= 1;
                return Err(error);
            }
        }
        *self.config() = config.clone();
        Ok(true)
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
        let config = self.config().clone();
        let way = config.exporter.as_ref();
        let way = way.map(|exporter| (exporter, ExportConfig::of(exporter)));
        doctor::examine(&config, way, &self.health)
    }

    pub(super) async fn flush(&self, limit: Duration) -> Report {
        let lines = self.logs.settle();
        let report = match &self.export {
            Some(export) => Report::new(export.run().flush(limit).await),
            None => Report::default(),
        };
        lines.wait_apart(limit).await;
        report
    }

    pub(super) fn flush_blocking(&self, limit: Duration) -> Report {
        let lines = self.logs.settle();
        let report = match &self.export {
            Some(export) => Report::new(export.run().flush_blocking(limit)),
            None => Report::default(),
        };
        lines.wait(limit);
        report
    }

    /// Ends the run that this user shares, if it was the last one. `left`: it said so before.
    pub(super) async fn shutdown(&self, left: &AtomicBool, limit: Duration) -> Report {
        let lines = self.logs.settle();
        let report = match self.leave(left) {
            Some(run) if run.is_closed() => Report::new(run.shutdown(limit).await),
            Some(run) => Report::new(run.flush(limit).await),
            None => Report::default(),
        };
        lines.wait_apart(limit).await;
        report
    }

    pub(super) fn shutdown_blocking(&self, left: &AtomicBool, limit: Duration) -> Report {
        let lines = self.logs.settle();
        let report = match self.leave(left) {
            Some(run) if run.is_closed() => Report::new(run.shutdown_blocking(limit)),
            Some(run) => Report::new(run.flush_blocking(limit)),
            None => Report::default(),
        };
        lines.wait(limit);
        report
    }

    /// A user that is dropped leaves the export as it is: what it began may still be at work.
    pub(super) fn drop_user(&self, left: &AtomicBool, limit: Duration) {
        if left.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(export) = &self.export {
            export.users.lock().count -= 1;
        }
        // There is nobody left to hand the report to; `/metrics` had the counts.
        let _ = self.flush_blocking(limit);
    }

    /// The run that a user shared until now, closed if it was the last one: one that begins a moment
    /// later is somebody else's.
    fn leave(&self, left: &AtomicBool) -> Option<ExportHandle> {
        let mut users = self.export.as_ref()?.users.lock();
        if !left.swap(true, Ordering::Relaxed) {
            users.count -= 1;
        }
        if users.count == 0 {
            users.run.close();
        }
        Some(users.run.clone())
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Export {
    /// Another user. `true`: nobody else uses the run, or it is over, also if those who use it came with
    /// nothing to export.
    fn enter(&self) -> (bool, ExportHandle) {
        let mut users = self.users.lock();
        let is_free = users.count == 0 || users.run.is_closed();
        users.count += 1;
        (is_free, users.run.clone())
    }

    fn run(&self) -> ExportHandle {
        self.users.lock().run.clone()
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

/// Begins the export.
fn begin(
    config: &Config,
    exporter: &Exporter,
    health: &Arc<ExportHealth>,
) -> Result<(QueueProcessor, ExportHandle), InitError> {
    let resource = checked(config, exporter)?;
    export::start(ExportConfig::of(exporter), resource, Arc::clone(health))
        .map_err(|error| InitError::Export(error.into()))
}

/// Begins a run that takes the place of `former`, which stays if that fails.
fn begin_after(
    former: &ExportHandle,
    config: &Config,
    exporter: &Exporter,
    health: &Arc<ExportHealth>,
) -> Result<ExportHandle, InitError> {
    let resource = checked(config, exporter)?;
    export::start_after(
        former,
        ExportConfig::of(exporter),
        resource,
        Arc::clone(health),
    )
    .map_err(|error| InitError::Export(error.into()))
}

/// Who exports, if it may.
fn checked(
    config: &Config,
    exporter: &Exporter,
) -> Result<impl Fn() -> Resource + Send + Sync + 'static, InitError> {
    if config.service.is_production() && exporter.is_plain_text_to_another_host() {
        return Err(InitError::PlainText {
            endpoint: exporter.shown_endpoint(),
        });
    }
    let service = config.service.clone();
    Ok(move || resource::detect(&service))
}
