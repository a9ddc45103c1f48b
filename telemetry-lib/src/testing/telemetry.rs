//! Telemetry that belongs to one test: its own exporter, collector, notices and log lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Dispatch;
use tracing::dispatcher::DefaultGuard;

use super::{Exposition, FakeCollector, ReceivedSpan};
use crate::notice::Notices;
use crate::{Config, InitError, Telemetry};

/// A [`Telemetry`] with a [`FakeCollector`] behind it, apart from the process's own.
///
/// While it lives it is the `tracing` subscriber of the thread that made it, so use it in
/// tests on a current-thread runtime; they run in parallel.
pub struct TestTelemetry {
    telemetry: Telemetry,
    collector: FakeCollector,
    notices: Lines,
    log: Lines,
    dispatch: Dispatch,
    _default: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl TestTelemetry {
    /// Defaults only: no variable of the environment is read.
    ///
    /// # Panics
    ///
    /// If the collector or the telemetry cannot start.
    #[must_use]
    pub fn start() -> Self {
        Self::configured(&[], |config| config)
    }

    /// With these variables, then changed by `configure`.
    ///
    /// # Panics
    ///
    /// If the collector or the telemetry cannot start.
    #[must_use]
    pub fn configured(
        variables: &[(&str, &str)],
        configure: impl FnOnce(Config) -> Config,
    ) -> Self {
        match Self::try_configured(FakeCollector::start(), variables, configure) {
            Ok(started) => started,
            Err(error) => panic!("telemetry does not start: {error}"),
        }
    }

    /// Sends to `collector` unless the variables name an endpoint.
    ///
    /// # Errors
    ///
    /// What `init` would say.
    pub fn try_configured(
        collector: FakeCollector,
        variables: &[(&str, &str)],
        configure: impl FnOnce(Config) -> Config,
    ) -> Result<Self, InitError> {
        let endpoint = collector.endpoint();
        let own = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        let all = own.iter().chain(variables);
        let owned = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = configure(Config::from_vars("test", owned));

        let (notices, log) = (Lines::default(), Lines::default());
        let sink = notices.clone();
        let said = Notices::to(move |line| sink.add(format!("{line}\n").as_bytes()));
        let (telemetry, dispatch) = crate::init::isolated(&config, said, Box::new(log.clone()))?;
        Ok(Self {
            telemetry,
            collector,
            notices,
            log,
            _default: tracing::dispatcher::set_default(&dispatch),
            dispatch,
        })
    }

    /// The handle under test.
    pub fn handle(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The receiver of its spans.
    #[must_use]
    pub fn collector(&self) -> &FakeCollector {
        &self.collector
    }

    /// Drops the handle, which sends what is queued, and keeps the collector.
    #[must_use]
    pub fn into_collector(self) -> FakeCollector {
        self.collector
    }

    /// The subscriber, for threads that the test starts itself.
    #[must_use]
    pub fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// Flushes, then returns every span that the collector has.
    pub async fn spans(&self) -> Vec<ReceivedSpan> {
        let _ = self.telemetry.flush(Duration::from_secs(60)).await;
        self.collector.spans()
    }

    /// What `/metrics` shows now, with exemplars; no request is made, so none is counted.
    ///
    /// # Panics
    ///
    /// As [`Exposition::scrape`], if there is no page or a scraper would refuse it.
    #[must_use]
    #[track_caller]
    pub fn scrape(&self) -> Exposition {
        Exposition::scrape(&self.telemetry)
    }

    /// What the operator was told.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.notices.lines()
    }

    /// The log lines so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }
}

impl Lines {
    fn add(&self, bytes: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
    }

    fn lines(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&all);
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for TestTelemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestTelemetry").finish_non_exhaustive()
    }
}
