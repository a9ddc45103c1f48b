//! Log lines on stdout, JSON or for people, each with the ids of the trace it belongs to.

mod filter;
mod json;
mod line;

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use opentelemetry::trace::TraceContextExt;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Identity};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogConfig, LogFormat};
use crate::export::on_export_thread;
use crate::gate::Gated;
use filter::Wanted;
use line::{Line, TraceIds};

/// Writes one line per event.
struct Lines {
    format: LogFormat,
    dispatch: OnceLock<WeakDispatch>,
    /// Held for one write of a finished line; nothing of the user's runs under it.
    output: Mutex<Box<dyn Write + Send>>,
}

/// The layer for log lines. Boxed because an optional layer would not be told its dispatcher.
///
/// Spans down to the level `spans` are seen, so that a line finds the ids of its span.
pub(crate) fn layer<S>(
    config: &LogConfig,
    spans: Level,
    output: Box<dyn Write + Send>,
) -> Box<dyn Layer<S> + Send + Sync + 'static>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if config.format == LogFormat::None {
        return Identity::new().with_filter(LevelFilter::OFF).boxed();
    }
    let lines = Lines {
        format: config.format,
        dispatch: OnceLock::new(),
        output: Mutex::new(output),
    };
    let wanted = Wanted {
        lines: config.filter.clone(),
        spans,
    };
    Gated::new(lines, wanted).boxed()
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

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if on_export_thread() {
            return;
        }
        let line = Line::of(event, self.ids(event, &context));
        let text = match self.format {
            LogFormat::Json => json::render(&line),
            LogFormat::Human => line.render(),
            LogFormat::None => return,
        };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed stdout must not take the service down, and there is nobody left to tell.
        let _ = output.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(variables: &[(&str, &str)], format: LogFormat, emit: impl FnOnce()) -> Vec<String> {
        let variables = variables.iter().map(|(a, b)| ((*a).into(), (*b).into()));
        let config = crate::Config::from_vars("orders", variables).log_format(format);
        let output = Captured::default();
        let layer = layer(&config.logs, Level::INFO, Box::new(output.clone()));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, emit);
        let bytes = output.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_json_line_is_one_object_with_typed_fields() {
        let lines = lines(&[], LogFormat::Json, || {
            tracing::info!(
                answer = 42,
                ok = true,
                who = "a\"b\n",
                level = "mine",
                "said {}",
                "it"
            );
        });
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "said it");
        assert_eq!(line["answer"], 42);
        assert_eq!(line["ok"], true);
        assert_eq!(line["who"], "a\"b\n");
        assert_eq!(line["field.level"], "mine");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn rust_log_filters_lines_by_target_and_level() {
        let emit = || {
            tracing::info!("quiet");
            tracing::warn!("loud");
        };
        assert_eq!(lines(&[], LogFormat::Human, emit).len(), 2);
        assert_eq!(
            lines(&[("RUST_LOG", "warn")], LogFormat::Human, emit).len(),
            1
        );
        assert_eq!(
            lines(&[("RUST_LOG", "off")], LogFormat::Human, emit).len(),
            0
        );
        assert_eq!(
            lines(
                &[("RUST_LOG", "telemetry_lib=error")],
                LogFormat::Human,
                emit
            )
            .len(),
            0
        );
    }
}
