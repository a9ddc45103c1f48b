//! Reload: read, check and build everything first, then swap. A bad file leaves the old config
//! running and says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

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
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Reads the config and, if it is good, puts it into effect. Blocks for as long as files take.
    /// Returns what changed.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the new config: then nothing changed.
    pub fn reload(&self) -> Result<Changes, ReloadError> {
        let _one = self
            .one_at_a_time
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = self.build();
        let outcome = if result.is_ok() { "done" } else { "refused" };
        self.metrics.reloads.with_label_values(&[outcome]).inc();
        self.metrics.config_ok.set(i64::from(result.is_ok()));
        let plan = result?;
        let changes = Changes::between(self.plan.borrow().config(), plan.config());
        self.plan.send_replace(Arc::new(plan));
        Ok(changes)
    }

    fn build(&self) -> Result<Plan, ReloadError> {
        let config = read(self.file.as_deref(), &self.flags)?;
        Plan::new(config, &self.materials).map_err(|error| ReloadError(error.to_string()))
    }
}

/// Reads the config file, or what holds without one.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read(file: Option<&std::path::Path>, flags: &Flags) -> Result<Config, ReloadError> {
    let config = match file {
        Some(file) => Config::load(file, flags),
        None => Config::default_inbox(flags),
    };
    config.map_err(|error| ReloadError(error.to_string()))
}
