//! Log lines on stdout, JSON or for people, each with the ids of the trace it belongs to and the
//! spans around it. Secrets are told by the names of fields; a flood from one place is folded.

mod filter;
mod flood;
mod human;
mod json;
mod line;
mod output;
mod pairs;
mod records;
mod settling;
mod source;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Identity};
use tracing_subscriber::registry::LookupSpan;

pub use self::filter::LogFilterError;
use self::filter::Wanted;
pub(crate) use self::filter::{doubt, parse as parse_filter};
use self::flood::{Flood, Folded};
use self::line::{Fields, Line, Scalar, SpanText, TraceIds};
use self::output::Output;
use self::pairs::Pairs;
pub(crate) use self::records::take as take_records;
pub(crate) use self::settling::Settling;
use self::source::is_record;
pub(crate) use self::source::{Source, visit};
use crate::clock::{self, Moment};
use crate::config::{LogConfig, LogFormat};
use crate::export::on_export_thread;
use crate::fork::Lock;
use crate::gate::Gated;
use crate::notice::Notices;
use crate::redact::Redaction;

/// What the lines of a process share, and what can be changed while it runs.
pub(crate) struct Logs {
    format: LogFormat,
    redaction: Redaction,
    filter: Arc<Lock<Targets>>,
    /// Nothing of the user's runs under this lock.
    flood: Lock<Flood>,
    output: Output,
    folded: AtomicU64,
    in_use: AtomicBool,
    /// Set if records of the crate `log` come to us: down to this level they are events of spans.
    records: OnceLock<LevelFilter>,
}

/// Writes one line per event.
struct Lines {
    logs: Arc<Logs>,
    dispatch: OnceLock<WeakDispatch>,
}

impl Logs {
    pub(crate) fn new(config: &LogConfig, notices: Notices) -> Arc<Self> {
        let (first, limit) = (config.filter.clone(), config.lines_per_second);
        let in_child = move |filter: Option<&Targets>| filter.unwrap_or(&first).clone();
        Arc::new(Self {
            format: config.format,
            redaction: config.redaction.clone(),
            filter: Arc::new(Lock::new(config.filter.clone(), in_child)),
            flood: Lock::new(Flood::new(limit), move |_| Flood::new(limit)),
            output: Output::new(notices),
            folded: AtomicU64::new(0),
            in_use: AtomicBool::new(false),
            records: OnceLock::new(),
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
        self.output.set(output);
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
        let mut current = self.filter.lock();
        *current = filter;
        self.limit_records(&current);
        drop(current);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// From now on records of the crate `log` come to us.
    fn take_records(&self, in_spans: LevelFilter) -> bool {
        let first = self.records.set(in_spans).is_ok();
        self.limit_records(&self.filter.lock());
        first
    }

    /// What nobody wants costs nothing.
    fn limit_records(&self, filter: &Targets) {
        if let Some(in_spans) = self.records.get() {
            records::set_max_level(filter::max_level(filter).max(*in_spans));
        }
    }

    fn wants_record(&self, target: &str, level: Level) -> bool {
        let in_spans = self.records.get().is_some_and(|most| level <= *most);
        in_spans || self.filter.lock().would_enable(target, &level)
    }

    /// Lines that were counted and not written.
    pub(crate) fn folded(&self) -> u64 {
        self.folded.load(Relaxed)
    }

    /// Lines that could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.output.lost()
    }

    /// Tells what floods have hidden until now, on a thread of its own: its writes may not end.
    pub(crate) fn settle(self: &Arc<Self>) -> Settling {
        let began = Moment::now();
        let told = self.flood.lock().all(clock::monotonic());
        let lines = told.len() as u64;
        if lines == 0 {
            return Settling::over();
        }
        let (done, is_done) = sync_channel(1);
        let this = Arc::clone(self);
        let work = move || {
            this.tell(told);
            // Whoever waited may be gone.
            let _ = done.send(());
        };
        let thread = thread::Builder::new().name("telemetry-lines".to_owned());
        if thread.spawn(work).is_err() {
            self.output.lose(lines);
        }
        Settling::new(began, is_done)
    }

    fn admits(&self, source: &Source, now: Duration) -> bool {
        let mut flood = self.flood.lock();
        let told = flood.due(now);
        let admits = flood.admits(source, now);
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
            let source = folded.source;
            fields.message = format!(
                "{}:{} \u{2026} repeated {} times in {} s",
                source.file.as_ref().unwrap_or(&source.target),
                source.line.unwrap_or(0),
                folded.count,
                folded.over.as_secs().max(1)
            );
            let count = Scalar::Bare(folded.count.to_string());
            fields.list.push(("repeated", count));
            self.write(&Line {
                timestamp: line::timestamp(),
                source,
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
        self.output.write(&text);
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
    /// The gate has answered for all but records, whose target it did not know.
    fn wants(&self, event: &Event<'_>, source: &Source) -> bool {
        let filter = &self.logs.filter;
        !is_record(event.metadata()) || filter.lock().would_enable(&source.target, &source.level)
    }

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
        if on_export_thread() {
            return;
        }
        let source = Source::of(event);
        if !self.wants(event, &source) || !self.logs.admits(&source, clock::monotonic()) {
            return;
        }
        let mut fields = Fields::new(&self.logs.redaction);
        visit(event, &mut fields);
        fields.pairs = Pairs::behind(event);
        let scope = context.event_scope(event).into_iter();
        let spans = scope
            .flat_map(|scope| scope.from_root())
            .filter_map(|span| {
                let mut extensions = span.extensions_mut();
                Some(self.logs.text_of(extensions.get_mut()?))
            });
        self.logs.write(&Line {
            timestamp: line::timestamp(),
            source,
            fields,
            ids: self.ids(event, &context),
            spans: spans.collect(),
        });
    }
}
