//! The export path against real sockets and a clock that the test moves.

mod answers;
mod batches;
mod faults;
mod feedback;
#[cfg(feature = "otlp-grpc")]
mod grpc;
#[cfg(feature = "otlp-grpc")]
mod grpc_collector;
mod runs;
mod shutdown;
mod tls;

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;

use super::timer::{Timer, Wait};
use super::transport::Transport;
use super::*;
use crate::notice::tests::recorded;

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// An export path, the provider that feeds it and all that it said.
struct Path {
    provider: SdkTracerProvider,
    processor: QueueProcessor,
    handle: ExportHandle,
    health: Arc<ExportHealth>,
    timer: Arc<TestTimer>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Path {
    /// Retries come at once; attempts last until answered; batches leave when full or flushed.
    fn to(endpoint: impl Into<String>) -> Self {
        Self::with(ExportConfig::new(endpoint))
    }

    fn with(config: ExportConfig) -> Self {
        let endpoint: Uri = config.endpoint.parse().unwrap();
        let settings = config.clone();
        Self::over(config, move || Ok(transport(&settings, &endpoint)?))
    }

    /// Another run, to `endpoint`; the handle of the one before.
    fn follow(&mut self, endpoint: impl Into<String>) -> ExportHandle {
        let config = ExportConfig::new(endpoint);
        let endpoint: Uri = config.endpoint.parse().unwrap();
        let settings = config.clone();
        let next = self.handle.follow(Parts {
            config,
            resource: Box::new(resource),
            health: Arc::clone(&self.health),
            timer: Arc::clone(&self.timer) as Arc<dyn Timer>,
            connect: Box::new(move || Ok(transport(&settings, &endpoint)?)),
        });
        std::mem::replace(&mut self.handle, next.unwrap())
    }

    fn over(
        config: ExportConfig,
        connect: impl Fn() -> Result<Arc<dyn Transport>, ExportError> + Send + Sync + 'static,
    ) -> Self {
        let (notices, lines) = recorded();
        let health = ExportHealth::new(notices);
        let timer = Arc::new(TestTimer::default());
        timer.hurry(Wait::Backoff);
        let (processor, handle) = start_with(Parts {
            config,
            resource: Box::new(resource),
            health: Arc::clone(&health),
            timer: Arc::clone(&timer) as Arc<dyn Timer>,
            connect: Box::new(connect),
        })
        .unwrap();
        Self {
            provider: SdkTracerProvider::builder()
                .with_span_processor(processor.clone())
                .build(),
            processor,
            handle,
            health,
            timer,
            notices: lines,
        }
    }

    /// Ends so many spans.
    fn spans(&self, count: usize) {
        let tracer = self.provider.tracer("test");
        for number in 0..count {
            tracer.start(format!("span {number}")).end();
        }
    }

    fn flush(&self) -> SignalReport {
        self.handle.flush_blocking(PATIENCE)
    }

    fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap().clone()
    }
}

fn resource() -> Resource {
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "orders"))
        .build()
}

impl Drop for Path {
    fn drop(&mut self) {
        // Or the provider would wait for a collector that a test has silenced.
        self.handle.shutdown_blocking(Duration::ZERO);
    }
}

/// A clock that stands still until the test, or a wait of a kind that is hurried, moves it.
#[derive(Debug, Default)]
struct TestTimer {
    state: Mutex<TimerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TimerState {
    now: Duration,
    hurried: BTreeSet<Wait>,
    sleeping: Vec<(Wait, Duration, oneshot::Sender<()>)>,
    slept: Vec<(Wait, Duration)>,
}

impl TestTimer {
    /// From now on waits of this kind take no real time.
    fn hurry(&self, why: Wait) {
        self.state.lock().unwrap().hurried.insert(why);
        self.pass(why);
    }

    /// Lets the waits of this kind that are under way end.
    fn pass(&self, why: Wait) {
        let mut state = self.state.lock().unwrap();
        let sleeping = std::mem::take(&mut state.sleeping);
        for (kind, span, wake) in sleeping {
            if kind == why {
                state.now += span;
                let _ = wake.send(());
            } else {
                state.sleeping.push((kind, span, wake));
            }
        }
    }

    /// Sets the clock and wakes what waits for that reason, whether its time is over or not.
    fn wake_at(&self, why: Wait, now: Duration) {
        let mut state = self.state.lock().unwrap();
        state.now = now;
        // Who is let go is woken.
        state.sleeping.retain(|(kind, ..)| *kind != why);
    }

    /// Returns once something waits for that reason.
    fn wait_for(&self, why: Wait) {
        let waits = |state: &mut TimerState| {
            !state
                .sleeping
                .iter()
                .any(|(kind, _, wake)| *kind == why && !wake.is_closed())
        };
        let state = self.state.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, waits)
            .unwrap();
        assert!(!waited.1.timed_out(), "nothing waits for {why:?}");
    }

    /// All waits of a kind that began until now.
    fn waits(&self, why: Wait) -> Vec<Duration> {
        let state = self.state.lock().unwrap();
        let of_kind = state.slept.iter().filter(|(kind, _)| *kind == why);
        of_kind.map(|(_, span)| *span).collect()
    }
}

impl Timer for TestTimer {
    fn now(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000) + self.now()
    }

    fn sleep(&self, why: Wait, span: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.state.lock().unwrap();
        state.slept.push((why, span));
        if state.hurried.contains(&why) {
            state.now += span;
            return std::future::ready(()).boxed();
        }
        let (wake, woken) = oneshot::channel();
        state.sleeping.push((why, span, wake));
        drop(state);
        self.changed.notify_all();
        woken.map(|_| ()).boxed()
    }
}
