//! Notices that a filter of the subscriber hides the spans of this crate: then nothing is exported, and
//! nothing else would say so.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::{Level, dispatcher};

use super::events::SpanEvents;
use crate::export::on_export_thread;
use crate::notice::Notices;

/// What is wrong, before what is hidden.
pub(crate) const HIDDEN: &str = "a filter of the subscriber hides the";
/// What to do about it.
pub(crate) const UNHIDE: &str = "filter the layer that writes lines, as in \
     fmt::layer().with_filter(EnvFilter::from_default_env()), and not the whole subscriber";

/// Tells of hidden spans, once.
#[derive(Debug)]
pub(super) struct HiddenWatch {
    /// Told, or nothing to be told: our own level is below that of our spans.
    is_done: AtomicBool,
    notices: Notices,
}

impl HiddenWatch {
    /// `level`: down to which spans are recorded.
    pub(super) fn new(level: Level, notices: Notices) -> Self {
        Self {
            is_done: AtomicBool::new(level < Level::INFO),
            notices,
        }
    }

    fn saw(&self) {
        if self.is_done.swap(true, Relaxed) {
            return;
        }
        self.notices.once("hidden spans", || {
            format!(
                "{HIDDEN} spans of requests, jobs and messages (targets telemetry_lib::*, INFO), so \
                 they are not exported: {UNHIDE}"
            )
        });
    }
}

/// A span of ours has no engine. Where our layer is part of the subscriber, it should have one; where
/// it is not, or the thread is muted, there is nothing to be told.
#[cold]
pub(super) fn look() {
    if on_export_thread() {
        return;
    }
    dispatcher::get_default(|dispatch| {
        if let Some(layer) = dispatch.downcast_ref::<SpanEvents>() {
            layer.hidden().saw();
        }
    });
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::OpenSpan;
    use super::*;
    use crate::export::mute_thread;
    use crate::testing::TestTelemetry;

    #[test]
    fn a_muted_thread_tells_nothing_of_hidden_spans() {
        let telemetry = TestTelemetry::start();
        let subscriber = tracing_subscriber::registry()
            .with(telemetry.handle().tracing_layer())
            .with(LevelFilter::WARN);
        let subscriber = tracing::Dispatch::new(subscriber);
        let open = || dispatcher::with_default(&subscriber, || drop(OpenSpan::job("sweep")));
        let muted = || {
            mute_thread();
            open();
        };
        std::thread::scope(|scope| scope.spawn(muted).join().unwrap());
        assert_eq!(telemetry.notices(), [""; 0]);
        open();
        assert_eq!(telemetry.notices().len(), 1);
    }
}
