//! What our layers see: spans down to a level, and nothing of the export thread.

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::export::on_export_thread;

/// Libraries below HTTP and the exporter: their spans describe frames, not work.
const BELOW_HTTP: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "tower",
];

/// Lets spans through, no events. A static rule: `RUST_LOG` filters logs, never spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    level: Level,
}

/// Lets the same spans through, so that an event finds its span, and events of WARN and above.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpansAndWarnings(pub(super) Spans);

impl Spans {
    pub(super) fn new(level: Level) -> Self {
        Self { level }
    }

    fn wants(self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= self.level && !is_below_http(metadata.target())
    }
}

impl<S> Filter<S> for Spans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata) && !on_export_thread()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        interest(self.wants(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level))
    }
}

impl SpansAndWarnings {
    fn wants(self, metadata: &Metadata<'_>) -> bool {
        let warning = metadata.is_event() && *metadata.level() <= Level::WARN;
        warning || self.0.wants(metadata)
    }
}

impl<S> Filter<S> for SpansAndWarnings {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata) && !on_export_thread()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        interest(self.wants(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.0.level.max(Level::WARN)))
    }
}

/// What is wanted still depends on the thread.
pub(crate) fn interest(wanted: bool) -> Interest {
    if wanted {
        Interest::sometimes()
    } else {
        Interest::never()
    }
}

fn is_below_http(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    BELOW_HTTP.contains(&root)
}
