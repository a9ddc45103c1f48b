//! Where events come from: a callsite of `tracing`, or a record of the crate `log`, which has only one
//! callsite for each level and says the rest in fields.

use std::borrow::Cow;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// Of the events that are made of records, here and by `tracing-log`.
pub(super) const RECORD: &str = "log event";
const TARGET: &str = "log.target";

/// The place in the code that an event comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// The address of its description, which lives as long as the process. Tells all places apart but
    /// those of records.
    callsite: usize,
    pub(super) level: Level,
    pub(crate) target: Cow<'static, str>,
    pub(super) file: Option<Cow<'static, str>>,
    pub(super) line: Option<u32>,
}

/// Whether an event is a record of the crate `log`.
pub(super) fn is_record(metadata: &Metadata<'_>) -> bool {
    metadata.name() == RECORD && metadata.fields().field(TARGET).is_some()
}

impl Source {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut source = Self::at(metadata);
        if is_record(metadata) {
            (source.file, source.line) = (None, None);
            event.record(&mut source);
        }
        source
    }

    pub(super) fn at(metadata: &'static Metadata<'static>) -> Self {
        Self {
            callsite: std::ptr::from_ref(metadata).addr(),
            level: *metadata.level(),
            target: Cow::Borrowed(metadata.target()),
            file: metadata.file().map(Cow::Borrowed),
            line: metadata.line(),
        }
    }
}

/// Finds what a record says of its place.
impl Visit for Source {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TARGET => self.target = Cow::Owned(value.to_owned()),
            "log.file" => self.file = Some(Cow::Owned(value.to_owned())),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            self.line = u32::try_from(value).ok();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Shows `visitor` what an event says; of a record that is its message.
pub(crate) fn visit(event: &Event<'_>, visitor: &mut dyn Visit) {
    if is_record(event.metadata()) {
        event.record(&mut MessageOnly(visitor));
    } else {
        event.record(visitor);
    }
}

struct MessageOnly<'v>(&'v mut dyn Visit);

impl Visit for MessageOnly<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.record_debug(field, value);
        }
    }
}
