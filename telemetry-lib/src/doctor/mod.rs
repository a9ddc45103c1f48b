//! What is wrong with the telemetry of this process, step by step from its configuration to the
//! Collector's answer. It only looks: nothing here changes a setting, a queue or a span.

mod diagnosis;
mod process;
mod protocol;
mod reach;
mod request;
mod tls;
mod versions;

use std::thread;
use std::time::Duration;

pub use self::diagnosis::{Diagnosis, Finding, Severity};
use crate::config::{Config, Exporter};
use crate::export::{ExportConfig, ExportHealth, mute_thread, runtime};

/// No step waits longer, whatever the exporter's own limit is.
const STEP: Duration = Duration::from_secs(5);

/// The way to the Collector, as the exporter would take it.
struct Way<'a> {
    exporter: &'a Exporter,
    settings: &'a ExportConfig,
    /// For each step.
    limit: Duration,
}

/// Looks at the process on the caller's thread, whose subscriber it asks, and at the network on
/// one of its own.
pub(crate) fn examine(
    config: &Config,
    way: Option<(&Exporter, ExportConfig)>,
    health: &ExportHealth,
) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    process::look(config, health, &mut diagnosis);
    let Some((exporter, settings)) = way.filter(|_| !config.disabled) else {
        return diagnosis;
    };
    let way = Way {
        exporter,
        settings: &settings,
        limit: exporter.timeout.min(STEP),
    };
    // Apart, so that no span, log line or runtime of the caller's has a part in it.
    let walked = thread::scope(|scope| {
        let walk = || {
            mute_thread();
            walk(&way)
        };
        let thread = thread::Builder::new().name("telemetry-doctor".to_owned());
        thread.spawn_scoped(scope, walk).map(|it| it.join())
    });
    match walked {
        Ok(Ok(found)) => diagnosis.extend(found),
        Ok(Err(_)) => diagnosis.problem("doctor", "it panicked", "report this as a bug"),
        Err(error) => diagnosis.problem(
            "doctor",
            format!("no thread can be started: {error}"),
            "raise the limit of threads (ulimit -u, pids of the container)",
        ),
    }
    diagnosis
}

/// Goes on as long as the step before succeeded: what follows would only repeat its failure.
fn walk(way: &Way<'_>) -> Diagnosis {
    let mut found = Diagnosis::default();
    reach::endpoint(way, &mut found);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let what = format!("no runtime can be started: {error}");
            found.problem("doctor", what, "raise the limit of open files (ulimit -n)");
            return found;
        }
    };
    if let Some(addresses) = reach::resolve(way, &runtime, &mut found)
        && let Some(address) = reach::connect(way, &addresses, &mut found)
        && tls::check(way, address, &mut found)
    {
        request::check(way, address, &runtime, &mut found);
    }
    // A name lookup may still block one of its threads.
    runtime.shutdown_background();
    found
}

#[cfg(test)]
mod tests;
