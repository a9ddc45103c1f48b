//! What our layers see: spans down to a level, and nothing of the export thread.

use tracing::span::{Attributes, Id};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;

use super::{Engine, span};
use crate::export::on_export_thread;
use crate::gate::{Gate, Shown};

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
    pub(super) level: Level,
}

/// Lets the same spans through, so that an event finds its span, and events of WARN and above.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpansAndWarnings(pub(super) Spans);

impl Gate for Spans {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= self.level && !is_below_http(metadata.target())
    }

    fn max_level(&self) -> LevelFilter {
        LevelFilter::from_level(self.level)
    }

    fn shows(&self, _: &Attributes<'_>) -> Shown {
        let own = span::is_opening();
        if on_export_thread() {
            Shown::Nothing
        } else if own {
            Shown::Bare
        } else {
            Shown::Whole
        }
    }

    /// A span of our own has its context attached by whoever enters it, and is ended before it closes.
    fn follows(&self, id: &Id) -> bool {
        !span::is_passing(id)
    }
}

impl Gate for SpansAndWarnings {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let warning = metadata.is_event() && *metadata.level() <= Engine::EVENTS;
        warning || self.0.wants(metadata)
    }

    fn max_level(&self) -> LevelFilter {
        self.0.max_level().max(Engine::EVENTS)
    }
}

fn is_below_http(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    BELOW_HTTP.contains(&root)
}
