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
    #[error(
        "not a log filter: write a level, targets and target=level pairs, as in `info,my_crate=debug`"
    )]
    Invalid(#[source] Box<dyn Error + Send + Sync>),
    /// There are no lines of ours: another subscriber was first, or the format is `None`.
    #[error(
        "the log lines are not ours: change the filter of the subscriber that writes them, or \
         let `init` install one"
    )]
    NotOurs,
}

const NO_TARGET: &str = "a target is not empty and has neither blanks nor brackets and braces: \
                         spans and fields cannot be filtered by here";

const NO_LEVEL: &str = "a level stands after `=`: target=trace is all of the target";

/// Of a word that looks like a level.
const MAX_LETTERS: usize = 12;

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) lines: Arc<Lock<Targets>>,
    pub(super) spans: Level,
}

/// As everywhere: a lone word that is no level is a target, all of whose lines are written.
pub(crate) fn parse(directives: &str) -> Result<Targets, LogFilterError> {
    // An empty one would be ERROR for all.
    let words = directives.split(',').map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(LogFilterError::Invalid("there is no directive".into()));
    }
    if words.iter().any(|word| !may_be_directive(word)) {
        return Err(LogFilterError::Invalid(NO_TARGET.into()));
    }
    // `Targets` would take that as ERROR, and others take it as all of the target.
    if words.iter().any(|word| word.ends_with('=')) {
        return Err(LogFilterError::Invalid(NO_LEVEL.into()));
    }
    let filter: Result<Targets, _> = words.join(",").parse();
    filter.map_err(|error| LogFilterError::Invalid(error.into()))
}

/// `Targets` takes all that is no level as a target. What no target looks like silences lines that were
/// meant to be written, and nobody hears of it: it is the syntax of `EnvFilter`, or a slip.
fn may_be_directive(word: &str) -> bool {
    let target = word.split_once('=').map_or(word, |(target, _)| target);
    let is_odd = |it: char| it.is_whitespace() || matches!(it, '[' | ']' | '{' | '}');
    !target.is_empty() && !target.contains(is_odd)
}

/// What to say of directives in `setting` that silence all but some targets, one of which may be a
/// mistyped level: it has letters only, at most [`MAX_LETTERS`].
pub(crate) fn doubt(setting: &str, directives: &str) -> Option<String> {
    let words = directives.split(',').map(str::trim);
    // An empty one would be a level.
    let lone = words.filter(|word| !word.is_empty() && !word.contains('='));
    let lone: Vec<&str> = lone.collect();
    if lone.iter().any(|word| word.parse::<LevelFilter>().is_ok()) {
        return None;
    }
    let is_like_a_level = |word: &&&str| {
        let letters = word.bytes().all(|byte| byte.is_ascii_alphabetic());
        letters && word.len() <= MAX_LETTERS
    };
    let word = lone.iter().find(is_like_a_level)?;
    Some(format!(
        "{setting}: \"{word}\" is no level, so it was taken as a target, and other targets write no \
         lines: the levels are off, error, warn, info, debug and trace; if it is a target, write \
         {word}=trace"
    ))
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
