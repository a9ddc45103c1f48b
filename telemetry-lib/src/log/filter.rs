//! Which lines are written: `RUST_LOG` decides about events and never about spans.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::Registry;

use crate::gate::Gate;

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) lines: Targets,
    pub(super) spans: Level,
}

impl Gate for Wanted {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            *metadata.level() <= self.spans
        } else {
            self.lines.would_enable(metadata.target(), metadata.level())
        }
    }

    fn max_level(&self) -> LevelFilter {
        let lines = Filter::<Registry>::max_level_hint(&self.lines).unwrap_or(LevelFilter::TRACE);
        lines.max(LevelFilter::from_level(self.spans))
    }
}
