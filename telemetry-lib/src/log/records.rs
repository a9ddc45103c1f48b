//! Records of the crate `log`, which libraries write that do not know `tracing`: each becomes an event,
//! so that it finds its span.
//!
//! The logger of `tracing-log` asks the subscriber whether a record is wanted, and per-layer filters take
//! that for the begin of an event: after a mere `log_enabled!` some of them would miss the next span of
//! the thread. This logger asks nobody but the filter of the lines.

use std::error::Error;
use std::sync::Arc;

use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::Logs;
use super::pairs::Pairs;
use super::source::RECORD;
use crate::export::on_export_thread;

struct Records(Arc<Logs>);

/// Takes the place of the logger, if it is free. Records down to the level `in_spans` become events of
/// their spans, written or not.
pub(crate) fn take(logs: &Arc<Logs>, in_spans: LevelFilter) -> bool {
    let free = ::log::set_boxed_logger(Box::new(Records(Arc::clone(logs)))).is_ok();
    free && logs.take_records(in_spans)
}

/// Makes the macros of `log` drop what is more verbose, before anything of it is formatted.
pub(super) fn set_max_level(level: LevelFilter) {
    ::log::set_max_level(match level.into_level() {
        None => ::log::LevelFilter::Off,
        Some(Level::ERROR) => ::log::LevelFilter::Error,
        Some(Level::WARN) => ::log::LevelFilter::Warn,
        Some(Level::INFO) => ::log::LevelFilter::Info,
        Some(Level::DEBUG) => ::log::LevelFilter::Debug,
        Some(Level::TRACE) => ::log::LevelFilter::Trace,
    });
}

impl ::log::Log for Records {
    fn enabled(&self, record: &::log::Metadata<'_>) -> bool {
        // With the feature `log-always` of `tracing` our own events come back as records.
        let ours = record.target() == module_path!();
        !ours && !on_export_thread() && self.0.wants_record(record.target(), level(record.level()))
    }

    fn log(&self, record: &::log::Record<'_>) {
        if self.enabled(record.metadata()) {
            emit(record, Pairs::of(record, &self.0.redaction).as_ref());
        }
    }

    fn flush(&self) {}
}

fn emit(record: &::log::Record<'_>, pairs: Option<&Pairs>) {
    let pairs = pairs.map(|pairs| pairs as &(dyn Error + 'static));
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                name: RECORD,
                Level::$level,
                log.target = record.target(),
                log.file = record.file(),
                log.line = record.line(),
                log.pairs = pairs,
                "{}",
                record.args()
            )
        };
    }
    match record.level() {
        ::log::Level::Error => event!(ERROR),
        ::log::Level::Warn => event!(WARN),
        ::log::Level::Info => event!(INFO),
        ::log::Level::Debug => event!(DEBUG),
        ::log::Level::Trace => event!(TRACE),
    }
}

fn level(level: ::log::Level) -> Level {
    match level {
        ::log::Level::Error => Level::ERROR,
        ::log::Level::Warn => Level::WARN,
        ::log::Level::Info => Level::INFO,
        ::log::Level::Debug => Level::DEBUG,
        ::log::Level::Trace => Level::TRACE,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use ::log::Level::{Debug, Error, Info, Warn};
    use ::log::{Log, Record};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::tests::{Captured, steady};
    use super::*;
    use crate::Config;
    use crate::config::LogFormat;
    use crate::export::mute_thread;
    use crate::notice::Notices;

    /// Lines of what is said to a logger.
    pub(in super::super) fn lines(
        filter: &str,
        format: LogFormat,
        say: impl FnOnce(&dyn Log),
    ) -> Vec<String> {
        let variables = [("RUST_LOG".to_owned(), filter.to_owned())];
        let config = Config::from_vars("orders", variables).log_format(format);
        let logs = Logs::new(&config.log_lines_per_second(3).logs, Notices::to(|_| {}));
        let output = Captured::default();
        let layer = logs.layer(Level::INFO, Box::new(output.clone()));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || say(&Records(Arc::clone(&logs))));
        logs.settle().wait(Duration::from_secs(60));
        output.lines()
    }

    fn say(logger: &dyn Log, target: &str, level: ::log::Level, line: u32) {
        let mut record = Record::builder();
        record.target(target).level(level).file(Some("src/pool.rs"));
        let record = record.line(Some(line)).module_path(Some("sqlx::pool"));
        logger.log(&record.args(format_args!("took {line}")).build());
    }

    #[test]
    fn a_record_is_a_line_of_its_own_target_and_shows_no_field_of_the_bridge() {
        let said = |logger: &dyn Log| {
            let span = tracing::info_span!(target: "orders", "load");
            span.in_scope(|| say(logger, "sqlx::pool", Warn, 7));
        };
        let json = lines("info", LogFormat::Json, said);
        insta::assert_snapshot!(steady(&json[0]), @r#"{"timestamp":"TIME","level":"WARN","target":"sqlx::pool","message":"took 7","spans":[{"name":"load"}]}"#);
        let human = lines("info", LogFormat::Human, said);
        insta::assert_snapshot!(steady(&human[0]), @"TIME  WARN load: sqlx::pool: took 7");
        assert_eq!((json.len(), human.len()), (1, 1));
    }

    #[test]
    fn a_record_that_came_through_tracing_log_looks_the_same() {
        let said = |_: &dyn Log| {
            tracing::event!(
                name: "log event",
                target: "log",
                Level::INFO,
                log.target = "sqlx::pool",
                log.module_path = "sqlx",
                log.file = "src/pool.rs",
                log.line = 7,
                "took 7"
            );
        };
        let lines = lines("info", LogFormat::Human, said);
        insta::assert_snapshot!(steady(&lines[0]), @"TIME  INFO sqlx::pool: took 7");
    }

    #[test]
    fn the_filter_knows_a_record_by_its_target() {
        let said = |logger: &dyn Log| {
            for target in ["sqlx::pool", "rdkafka"] {
                say(logger, target, Debug, 1);
                say(logger, target, Error, 2);
            }
        };
        let written = |filter| lines(filter, LogFormat::Json, said).len();
        assert_eq!(written("debug"), 4);
        assert_eq!(written("off,sqlx=debug"), 2);
        assert_eq!(written("info,sqlx::pool=debug,rdkafka=off"), 2);
        assert_eq!(written("log=trace"), 0);
        assert_eq!(written("off"), 0);
    }

    #[test]
    fn a_flood_of_records_is_folded_by_their_place() {
        let lines = lines("info", LogFormat::Json, |logger| {
            // Within a second or two: however slow the machine is, most of them are beyond.
            (0..10_000).for_each(|_| say(logger, "sqlx::pool", Info, 7));
            say(logger, "sqlx::pool", Info, 8);
            say(logger, "rdkafka", Info, 7);
        });
        let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert!(with("took 7") < 5_000);
        assert_eq!((with("took 8"), with("rdkafka")), (1, 1));
        let told = lines.last().unwrap();
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        assert_eq!(told["target"], "sqlx::pool");
        let message = told["message"].as_str().unwrap();
        assert!(message.starts_with("src/pool.rs:7 "), "{message}");
    }

    #[test]
    fn f36_records_of_the_export_thread_and_our_own_make_no_lines() {
        let lines = lines("trace", LogFormat::Json, |logger| {
            say(logger, "telemetry_lib::log::records", Info, 1);
            let subscriber = tracing::dispatcher::get_default(tracing::Dispatch::clone);
            let export = || {
                mute_thread();
                let _subscriber = tracing::dispatcher::set_default(&subscriber);
                say(logger, "rustls", Info, 2);
                logger.enabled(&::log::Metadata::builder().target("rustls").build())
            };
            let asked = std::thread::scope(|scope| scope.spawn(export).join().unwrap());
            assert!(!asked);
            say(logger, "rustls", Info, 3);
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("took 3"));
    }
}
