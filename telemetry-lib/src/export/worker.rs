//! The export thread: it owns a runtime and the exporter, takes batches from the queue and brings
//! both back after a panic. Nothing that runs on it produces telemetry.

use std::cell::Cell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::futures::Notified;

use super::ExportError;
use super::client::{CollectorClient, Tally};
use super::queue::{Next, RunQueue};
use super::run::Parts;
use super::timer::Wait;
use super::transport::Transport;

/// The exporter's own limit stays out of the way: our client keeps the time.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

thread_local! {
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread exports: what happens on it must not become spans, metrics or logs.
pub(crate) fn on_export_thread() -> bool {
    EXPORTS.try_with(Cell::get).unwrap_or(false)
}

/// From now on this thread is one that exports.
pub(crate) fn mute_thread() {
    EXPORTS.with(|exports| exports.set(true));
}

/// Makes the way to the collector; called again after a panic.
pub(super) type Connect = dyn Fn() -> Result<Arc<dyn Transport>, ExportError> + Send + Sync;

/// All that the thread needs to begin, and to begin anew.
pub(super) struct Worker {
    queue: RunQueue,
    parts: Arc<Parts>,
    resource: Resource,
}

/// An exporter and the client that knows what became of its batches.
struct Exporter {
    otlp: opentelemetry_otlp::SpanExporter,
    client: CollectorClient,
}

/// Tells a worker that its run has begun.
#[must_use = "the worker leaves without it"]
pub(super) struct Go(mpsc::SyncSender<()>);

impl Go {
    pub(super) fn tell(self) {
        // It waits for nothing else, and there is room.
        let _ = self.0.try_send(());
    }
}

impl Worker {
    /// Of this process.
    pub(super) fn new(queue: RunQueue, parts: Arc<Parts>) -> Self {
        let resource = (parts.resource)();
        Self {
            queue,
            parts,
            resource,
        }
    }

    /// Makes the exporter and its thread, so that a wrong configuration is an error here and not a silence
    /// later. It begins when it is told to, and leaves if that is dropped.
    pub(super) fn spawn(self) -> Result<Go, ExportError> {
        let (made, is_made) = mpsc::sync_channel(1);
        let go = self.begin(move |result| {
            // Who asked waits for it.
            let _ = made.send(result);
        })?;
        let made = is_made.recv();
        let made = made.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        made.map_err(ExportError::Thread)?;
        Ok(go)
    }

    /// The same in a process that was forked, where a request of the service may be what needs it, and
    /// waits for nothing: if another thread was just starting at the fork, the standard library's lock
    /// stays locked in the child, and no thread ever runs there.
    pub(super) fn spawn_in_child(self) -> Result<(), ExportError> {
        let (queue, parts) = (self.queue.clone(), Arc::clone(&self.parts));
        let go = self.begin(move |made| {
            if let Err(error) = made {
                parts.tell(&ExportError::Thread(error));
                queue.stopped();
            }
        })?;
        go.tell();
        Ok(())
    }

    /// `made` hears on the thread whether it has a runtime.
    fn begin(self, made: impl FnOnce(io::Result<()>) + Send + 'static) -> Result<Go, ExportError> {
        let exporter = self.exporter()?;
        let (go, told) = mpsc::sync_channel(1);
        // The runtime is made and dropped on its thread: `init` may be called inside another, where neither
        // may happen to it.
        let work = move || match runtime() {
            Ok(runtime) => {
                made(Ok(()));
                if told.recv().is_ok() {
                    self.supervise(runtime, exporter);
                }
            }
            Err(error) => made(Err(error)),
        };
        let thread = thread::Builder::new().name("telemetry-export".to_owned());
        thread.spawn(work).map_err(ExportError::Thread)?;
        Ok(Go(go))
    }

    /// Runs until the shutdown; a panic costs the batch in hand, never the thread.
    fn supervise(self, runtime: Runtime, exporter: Exporter) {
        mute_thread();
        let mut exporter = Some(exporter);
        let work = async {
            while AssertUnwindSafe(self.work(&mut exporter))
                .catch_unwind()
                .await
                .is_err()
            {
                self.parts.health.count_panic();
                self.queue.settle_lost();
                self.parts.tell(&"the exporter panicked and was built anew");
                exporter = None;
            }
        };
        runtime.block_on(work);
        // A name lookup may still block one of its threads; the process need not wait for it.
        runtime.shutdown_background();
        self.queue.stopped();
    }

    async fn work(&self, exporter: &mut Option<Exporter>) {
        let mut gather_until = None;
        loop {
            let woken = self.queue.woken();
            match self.queue.next() {
                Next::Stop => return,
                Next::Idle => woken.await,
                Next::Gather => {
                    let now = self.parts.timer.now();
                    let until = *gather_until.get_or_insert(now + self.parts.config.delay);
                    if now < until {
                        self.gather(woken, until - now).await;
                        continue;
                    }
                    gather_until = None;
                    self.export(exporter).await;
                }
                Next::Export => {
                    gather_until = None;
                    self.export(exporter).await;
                }
            }
        }
    }

    /// Waits for more spans, no longer than `span`.
    async fn gather(&self, woken: Notified<'_>, span: Duration) {
        let woken = std::pin::pin!(woken);
        select(woken, self.parts.timer.sleep(Wait::Gather, span)).await;
    }

    /// Exports one batch, unless the shutdown gives it up.
    async fn export(&self, slot: &mut Option<Exporter>) {
        let batch = self.queue.take_batch();
        if batch.is_empty() {
            return;
        }
        let exporter = match slot {
            Some(exporter) => exporter,
            None => match self.exporter() {
                Ok(exporter) => slot.insert(exporter),
                Err(error) => {
                    self.parts.health.count_request_failed();
                    self.parts.tell(&error);
                    return self.queue.settle_lost();
                }
            },
        };
        let exported = std::pin::pin!(exporter.export(batch));
        let abandoned = std::pin::pin!(self.queue.abandoned());
        match select(exported, abandoned).await {
            Either::Left((Ok(tally), _)) => self.queue.settle(tally.failed, tally.rejected),
            Either::Left((Err(error), _)) => {
                self.parts.health.count_request_failed();
                self.parts.tell(&error);
                self.queue.settle_lost();
            }
            // Whoever abandons it has settled it.
            Either::Right(_) => {}
        }
    }

    fn exporter(&self) -> Result<Exporter, ExportError> {
        let client = CollectorClient::new(
            &self.parts.config,
            (self.parts.connect)()?,
            Arc::clone(&self.parts.timer),
            Arc::clone(&self.parts.health),
        );
        // Everything that its own environment variables could change is given or, as the headers
        // and the compression, left to our client.
        let mut otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_endpoint(&self.parts.config.endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(NEVER)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(ExportError::Exporter)?;
        otlp.set_resource(&self.resource);
        Ok(Exporter { otlp, client })
    }
}

impl Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> Result<Tally, OTelSdkError> {
        self.client.begin(batch.len() as u64);
        self.otlp.export(batch).await?;
        Ok(self.client.tally())
    }
}

/// A runtime for a muted thread; the mark also stands on the threads that look up names.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .thread_name("telemetry-export-io")
        .on_thread_start(mute_thread)
        .enable_all()
        .build()
}
