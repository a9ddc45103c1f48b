//! Log lines on stdout, JSON or for people, each with the ids of the trace it belongs to and the
//! spans around it. Secrets are told by the names of fields; a flood from one place is folded.

mod filter;
mod flood;
mod human;
mod json;
mod line;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TraceContextExt;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Identity};
use tracing_subscriber::registry::LookupSpan;

pub use self::filter::LogFilterError;
use self::filter::Wanted;
pub(crate) use self::filter::parse as parse_filter;
use self::flood::{Flood, Folded};
use self::line::{Fields, Line, Scalar, SpanText, TraceIds};
use crate::clock;
use crate::config::{LogConfig, LogFormat};
use crate::export::on_export_thread;
use crate::fork::{Lock, Standard};
use crate::gate::Gated;
use crate::redact::Redaction;

/// What the lines of a process share, and what can be changed while it runs.
pub(crate) struct Logs {
    format: LogFormat,
    redaction: Redaction,
    filter: Arc<Lock<Targets>>,
    /// Nothing of the user's runs under these two locks.
    flood: Lock<Flood>,
    output: Lock<Option<Box<dyn Write + Send>>>,
    folded: AtomicU64,
    in_use: AtomicBool,
}

/// Writes one line per event.
struct Lines {
    logs: Arc<Logs>,
    dispatch: OnceLock<WeakDispatch>,
}

impl Logs {
    pub(crate) fn new(config: &LogConfig) -> Arc<Self> {
        let (first, limit) = (config.filter.clone(), config.lines_per_second);
        let in_child = move |filter: Option<&Targets>| filter.unwrap_or(&first).clone();
        Arc::new(Self {
            format: config.format,
            redaction: config.redaction.clone(),
            filter: Arc::new(Lock::new(config.filter.clone(), in_child)),
            flood: Lock::new(Flood::new(limit), move |_| Flood::new(limit)),
            // What a forked child of a service writes, it writes where its parent did.
            output: Lock::new(None, |_| Some(Box::new(Standard::Output))),
            folded: AtomicU64::new(0),
            in_use: AtomicBool::new(false),
        })
    }

    /// The layer for log lines. Boxed because an optional layer would not be told its dispatcher.
    ///
    /// Spans down to the level `spans` are seen, so that a line finds the ids of its span.
    pub(crate) fn layer<S>(
        self: &Arc<Self>,
        spans: Level,
        output: Box<dyn Write + Send>,
    ) -> Box<dyn Layer<S> + Send + Sync + 'static>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if self.format == LogFormat::None {
            return Identity::new().with_filter(LevelFilter::OFF).boxed();
        }
        *self.output.lock() = Some(output);
        let lines = Lines {
            logs: Arc::clone(self),
            dispatch: OnceLock::new(),
        };
        let wanted = Wanted {
            lines: Arc::clone(&self.filter),
            spans,
        };
        Gated::new(lines, wanted).boxed()
    }

    /// The layer has its place in a subscriber.
    pub(crate) fn set_in_use(&self) {
        self.in_use.store(true, Relaxed);
    }

    pub(crate) fn set_filter(&self, directives: &str) -> Result<(), LogFilterError> {
        if self.format == LogFormat::None || !self.in_use.load(Relaxed) {
            return Err(LogFilterError::NotOurs);
        }
        let filter = filter::parse(directives)?;
        *self.filter.lock() = filter;
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Lines that were counted and not written.
    pub(crate) fn folded(&self) -> u64 {
        self.folded.load(Relaxed)
    }

    /// Tells what floods have hidden until now.
    pub(crate) fn settle(&self) {
        let told = self.flood.lock().all(clock::monotonic());
        self.tell(told);
    }

    fn admits(&self, metadata: &'static Metadata<'static>, now: Duration) -> bool {
        let mut flood = self.flood.lock();
        let told = flood.due(now);
        let admits = flood.admits(metadata, now);
        drop(flood);
        self.tell(told);
        if !admits {
            self.folded.fetch_add(1, Relaxed);
        }
        admits
    }

    fn tell(&self, told: Vec<Folded>) {
        for folded in told {
            let mut fields = Fields::new(&self.redaction);
            let (file, line) = (folded.metadata.file(), folded.metadata.line());
            fields.message = format!(
                "{}:{} \u{2026} repeated {} times in {} s",
                file.unwrap_or(folded.metadata.target()),
                line.unwrap_or(0),
                folded.count,
                folded.over.as_secs().max(1)
            );
            let count = Scalar::Bare(folded.count.to_string());
            fields.list.push(("repeated", count));
            self.write(&Line {
                timestamp: line::timestamp(),
                metadata: folded.metadata,
                fields,
                ids: None,
                spans: Vec::new(),
            });
        }
    }

    fn write(&self, line: &Line<'_>) {
        let text = match self.format {
            LogFormat::Json => json::render(line),
            LogFormat::Human => human::render(line),
            LogFormat::None => return,
        };
        let mut output = self.output.lock();
        if let Some(output) = &mut *output {
            // A closed stdout must not take the service down, and there is nobody left to tell.
            let _ = output.write_all(text.as_bytes());
        }
    }

    fn text_of(&self, span: &mut SpanText) -> String {
        if let Some(text) = &span.text {
            return text.clone();
        }
        let text = match self.format {
            LogFormat::Json => json::span(span),
            LogFormat::Human | LogFormat::None => human::span(span),
        };
        span.text = Some(text.clone());
        text
    }
}

impl Lines {
    /// Looks at the event's span rather than at what is current: an explicit parent counts.
    fn ids<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Option<TraceIds>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let span = context.event_span(event)?.id();
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade)?;
        let context = tracing_opentelemetry::get_otel_context(&span, &dispatch)?;
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| TraceIds {
            trace: span.trace_id(),
            span: span.span_id(),
        })
    }
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if on_export_thread() {
            return;
        }
        let text = SpanText::new(attributes, &self.logs.redaction);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(text);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new(&self.logs.redaction);
        values.record(&mut fields);
        let Some(span) = context.span(id) else { return };
        if let Some(text) = span.extensions_mut().get_mut::<SpanText>() {
            text.update(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if on_export_thread() || !self.logs.admits(event.metadata(), clock::monotonic()) {
            return;
        }
        let mut fields = Fields::new(&self.logs.redaction);
        event.record(&mut fields);
        let scope = context.event_scope(event).into_iter();
        let spans = scope
            .flat_map(|scope| scope.from_root())
            .filter_map(|span| {
                let mut extensions = span.extensions_mut();
                Some(self.logs.text_of(extensions.get_mut()?))
            });
        self.logs.write(&Line {
            timestamp: line::timestamp(),
            metadata: event.metadata(),
            fields,
            ids: self.ids(event, &context),
            spans: spans.collect(),
        });
    }
}
