//! Which lines are written: `RUST_LOG` decides about events and never about spans.

use std::error::Error;
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::Registry;

use super::source::is_record;
use crate::fork::Lock;
use crate::gate::Gate;

/// Why the filter of log lines stays what it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogFilterError {
    /// The text is no list of directives.
    #[error("not a log filter: write a level and target=level pairs, as in `info,my_crate=debug`")]
    Invalid(#[source] Box<dyn Error + Send + Sync>),
    /// There are no lines of ours: another subscriber was first, or the format is `None`.
    #[error(
        "the log lines are not ours: change the filter of the subscriber that writes them, or \
         let `init` install one"
    )]
    NotOurs,
}

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) lines: Arc<Lock<Targets>>,
    pub(super) spans: Level,
}

/// Stricter than elsewhere, where a lone word is a target: a mistyped level must not silence all.
pub(crate) fn parse(directives: &str) -> Result<Targets, LogFilterError> {
    // An empty one would be ERROR for all.
    let words = directives.split(',').map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(LogFilterError::Invalid("there is no directive".into()));
    }
    for word in words.iter().filter(|word| !word.contains('=')) {
        let level: Result<LevelFilter, _> = word.parse();
        level.map_err(|error| LogFilterError::Invalid(error.into()))?;
    }
    let filter: Result<Targets, _> = words.join(",").parse();
    filter.map_err(|error| LogFilterError::Invalid(error.into()))
}

/// The most verbose level of which a line may be written.
pub(super) fn max_level(filter: &Targets) -> LevelFilter {
    let hint = Filter::<Registry>::max_level_hint(filter);
    hint.unwrap_or(LevelFilter::TRACE)
}

impl Gate for Wanted {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            *metadata.level() <= self.spans
        } else if is_record(metadata) {
            // Its target is not this one's.
            true
        } else {
            let lines = self.lines.lock();
            lines.would_enable(metadata.target(), metadata.level())
        }
    }

    fn max_level(&self) -> LevelFilter {
        let lines = max_level(&self.lines.lock());
        lines.max(LevelFilter::from_level(self.spans))
    }
}
