//! Reload: read, check and build everything first, then swap. A bad file leaves the old config
//! running and says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::config::{Changes, Config, Flags};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::receiver::Materials;

/// Reads the config anew on request.
pub struct Reloader {
    file: Option<PathBuf>,
    flags: Flags,
    materials: Materials,
    plan: watch::Sender<Arc<Plan>>,
    metrics: Arc<Metrics>,
    one_at_a_time: Mutex<()>,
    refused: watch::Sender<Option<String>>,
}

/// Why the old config stays.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(String);

impl Reloader {
    /// Reloads `file`, and announces what follows from it through `plan`.
    #[must_use]
    pub fn new(
        file: Option<PathBuf>,
        flags: Flags,
        materials: Materials,
        plan: watch::Sender<Arc<Plan>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            file,
            flags,
            materials,
            plan,
            metrics,
            one_at_a_time: Mutex::default(),
            refused: watch::channel(None).0,
        }
    }

    /// Reads the config and, if it is good, puts it into effect. Blocks for as long as files take.
    /// Returns what changed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the new config: then nothing changed.
    pub fn reload(&self) -> Result<Changes, ReloadError> {
        // Nothing is kept under this lock, so a panic elsewhere spoils nothing.
        let one = self.one_at_a_time.lock();
        let _one = one.unwrap_or_else(PoisonError::into_inner);
        let result = self.build();
        let outcome = if result.is_ok() { "done" } else { "refused" };
        self.metrics.reloads.with_label_values(&[outcome]).inc();
        self.metrics.config_ok.set(i64::from(result.is_ok()));
        let refused = result.as_ref().err().map(ToString::to_string);
        let changes = result.map(|plan| {
            let changes = Changes::between(self.plan.borrow().config(), plan.config());
            self.plan.send_replace(Arc::new(plan));
            changes
        });
        self.refused.send_replace(refused);
        changes
    }

    /// Why the last reload was refused; `None` if it took effect, or if there was none.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.refused.borrow().clone()
    }

    /// As [`refused`](Self::refused), for whoever waits for the next reload.
    pub(crate) fn refusals(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// The file that is read; `None`: the built-in inbox.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn build(&self) -> Result<Plan, ReloadError> {
        if let Some(file) = &self.file {
            refuse_pipe(file)?;
        }
        let config = read(self.file.as_deref(), &self.flags)?;
        Plan::new(config, &self.materials).map_err(|error| ReloadError(error.to_string()))
    }
}

/// A pipe can be read once, at the start. Later it would hold up this reload and all after it.
fn refuse_pipe(file: &Path) -> Result<(), ReloadError> {
    // What cannot be looked at cannot be read either, and that is said with the reason.
    match std::fs::metadata(file) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(ReloadError(format!(
            "{}: no regular file, so it is not read again; restart, or put a file there",
            file.display()
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads the config file, or what holds without one.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read(file: Option<&Path>, flags: &Flags) -> Result<Config, ReloadError> {
    let config = match file {
        Some(file) => Config::load(file, flags),
        None => Config::default_inbox(flags),
    };
    config.map_err(|error| ReloadError(error.to_string()))
}
