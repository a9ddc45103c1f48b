//! Which lines are written: `RUST_LOG` decides about events and never about spans.

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter};

use crate::engine::interest;
use crate::export::on_export_thread;

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) lines: Targets,
    pub(super) spans: Level,
}

impl Wanted {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            *metadata.level() <= self.spans
        } else {
            self.lines.would_enable(metadata.target(), metadata.level())
        }
    }
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata) && !on_export_thread()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        interest(self.wants(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let lines = Filter::<S>::max_level_hint(&self.lines)?;
        Some(lines.max(LevelFilter::from_level(self.spans)))
    }
}
