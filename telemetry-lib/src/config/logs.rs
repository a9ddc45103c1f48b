//! Which log lines are written, how, and what of them is hidden.

use tracing_subscriber::filter::Targets;

use super::vars::Vars;
use crate::log;
use crate::redact::Redaction;

/// How lines look on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line (default).
    #[default]
    Json,
    /// For people at a terminal.
    Human,
    /// No lines; the place of the logger of the crate `log` stays free.
    None,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    pub(crate) format: LogFormat,
    /// `RUST_LOG` as a level, targets and `target=level` directives; filters lines, never spans.
    pub(crate) filter: Targets,
    /// What to say of a word in it.
    pub(crate) doubt: Option<String>,
    /// Of one place in the code; 0: all of them.
    pub(crate) lines_per_second: u32,
    /// Fields that hold secrets; holds for events and attributes of spans, too.
    pub(crate) redaction: Redaction,
}

impl LogConfig {
    pub(super) fn read(vars: &mut Vars) -> Self {
        let filter = vars.read(
            &["RUST_LOG"],
            "a list of levels, targets and target=level directives (a level stands after each `=`: \
             target=trace is all of the target; spans and fields cannot be filtered by here)",
            |value| {
                Some((
                    log::parse_filter(value).ok()?,
                    log::doubt("RUST_LOG", value),
                ))
            },
        );
        let (filter, doubt) = filter.unwrap_or_else(|| {
            let usual = Targets::new();
            (usual.with_default(tracing::Level::INFO), None)
        });
        Self {
            lines_per_second: 100,
            redaction: Redaction::default(),
            format: LogFormat::Json,
            filter,
            doubt,
        }
    }
}
