//! Records of the crate `log`: what an `init` that installs the subscriber makes of them. The tests start
//! themselves as services, because the logger is one for the process.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod service;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use telemetry_lib::testing::{FakeCollector, ReceivedSpan};
use telemetry_lib::{Config, LogFormat, Telemetry};

use service::run;

const LIMIT: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn init(change: impl FnOnce(Config) -> Config) -> Telemetry {
    telemetry_lib::init(change(Config::from_env("records"))).unwrap()
}

/// A service that exports: its lines of JSON, and its spans.
fn exported(service: &str, filter: &str) -> (Vec<serde_json::Value>, Vec<ReceivedSpan>) {
    let collector = FakeCollector::start();
    let endpoint = collector.endpoint();
    let (stdout, _) = run(service, &[(ENDPOINT, &endpoint), ("RUST_LOG", filter)]);
    let lines = stdout.lines();
    let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
    (lines.collect(), collector.spans())
}

#[test]
#[ignore = "the service that another test starts"]
fn says_records() {
    let telemetry = init(|config| config);
    tracing::info_span!("load").in_scope(|| {
        log::debug!("hidden");
        log::info!(target: "sqlx::pool", "opened {}", 3);
        log::warn!("slow");
    });
    log::info!("outside");
    let report = telemetry.shutdown_blocking(LIMIT);
    assert_eq!(report.traces.exported, 1, "{report}");
}

#[test]
fn a_record_becomes_a_line_with_the_ids_of_its_span() {
    let (lines, spans) = exported("says_records", "info");
    let said: Vec<_> = lines
        .iter()
        .map(|line| (&line["target"], &line["message"]))
        .collect();
    let expected = [
        ("sqlx::pool", "opened 3"),
        ("records", "slow"),
        ("records", "outside"),
    ];
    assert_eq!(said.len(), expected.len(), "{lines:?}");
    for (said, expected) in said.into_iter().zip(expected) {
        assert_eq!(said, (&expected.0.into(), &expected.1.into()));
    }
    assert_eq!(spans.len(), 1, "{spans:?}");
    for line in &lines[..2] {
        assert_eq!(line["trace_id"], spans[0].trace_id());
        assert_eq!(line["span_id"], spans[0].span_id());
        assert_eq!(line["spans"][0]["name"], "load");
        let members = line.as_object().unwrap().len();
        assert_eq!(members, 7, "no fields of the bridge: {line}");
    }
    assert!(lines[2].get("trace_id").is_none());
}

#[test]
fn a_warning_is_an_event_of_its_span_whatever_the_filter_of_lines_says() {
    let (lines, spans) = exported("says_records", "off");
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(spans[0].event_names(), ["slow"]);
    let event = &spans[0].as_otlp().events[0];
    let keys: Vec<&str> = event.attributes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["level", "target"], "no fields of the bridge");
    let target = format!("{:?}", event.attributes[1].value);
    assert!(target.contains("\"records\""), "{target}");
}

/// A value that cannot be shown.
struct Rude;

impl fmt::Debug for Rude {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("shown")
    }
}

#[test]
#[ignore = "the service that another test starts"]
fn says_key_values() {
    let telemetry = init(|config| config);
    tracing::info_span!("load").in_scope(|| {
        log::info!(user = 7, api_key = "s3cret"; "before");
        let rude = || log::warn!(value:? = Rude; "rude");
        std::panic::catch_unwind(rude).unwrap_err();
        log::warn!(user = "eight", ok = true; "after");
    });
    let report = telemetry.shutdown_blocking(LIMIT);
    assert_eq!(report.traces.exported, 1, "{report}");
}

#[test]
fn f20_key_values_are_fields_of_the_line_and_one_that_panics_costs_its_record_alone() {
    let (lines, spans) = exported("says_key_values", "info");
    let said: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(said, ["before", "after"]);
    assert_eq!(lines[0]["user"], 7);
    assert_eq!(lines[0]["api_key"], "REDACTED");
    assert_eq!(lines[1]["user"], "eight");
    assert_eq!(lines[1]["ok"], true);
    for line in &lines {
        assert_eq!(line["span_id"], spans[0].span_id());
        let members = line.as_object().unwrap().len();
        assert_eq!(members, 9, "no fields of the bridge: {line}");
    }
    assert_eq!(spans[0].event_names(), ["after"]);
}

#[test]
#[ignore = "the service that another test starts"]
fn asks_whether_a_record_is_wanted() {
    let telemetry = init(|config| config);
    assert!(log::log_enabled!(Level::Info));
    assert!(!log::log_enabled!(Level::Debug));
    assert!(log::log_enabled!(target: "sqlx", Level::Debug));
    tracing::info_span!("load").in_scope(|| tracing::info!("loading"));
    let report = telemetry.shutdown_blocking(LIMIT);
    assert_eq!(report.traces.exported, 1, "{report}");
}

#[test]
fn a_question_without_a_record_hides_neither_span_nor_line() {
    let (lines, spans) = exported("asks_whether_a_record_is_wanted", "info,sqlx=debug");
    assert_eq!(lines[0]["message"], "loading");
    assert_eq!(spans[0].name(), "load");
}

/// Says nothing at a level that nobody wants: not even what it would say is made.
fn costs_nothing(level: Level) {
    let unmade = || -> &str { panic!("{level} is made") };
    log::log!(level, "{}", unmade());
}

#[test]
#[ignore = "the service that another test starts"]
fn changes_its_filter() {
    let telemetry = init(|config| config);
    assert_eq!(log::max_level(), LevelFilter::Warn);
    costs_nothing(Level::Info);
    telemetry.set_log_filter("info,sqlx=debug").unwrap();
    assert_eq!(log::max_level(), LevelFilter::Debug);
    costs_nothing(Level::Trace);
    telemetry.set_log_filter("info,sqlx=loud").unwrap_err();
    assert_eq!(log::max_level(), LevelFilter::Debug);
    // Warnings are events of spans.
    telemetry.set_log_filter("off").unwrap();
    assert_eq!(log::max_level(), LevelFilter::Warn);
}

#[test]
#[ignore = "the service that another test starts"]
fn has_no_spans() {
    let telemetry = init(|config| config);
    telemetry.set_log_filter("off").unwrap();
    assert_eq!(log::max_level(), LevelFilter::Off);
    costs_nothing(Level::Error);
}

#[test]
fn what_nobody_wants_is_not_made() {
    run("changes_its_filter", &[("RUST_LOG", "warn")]);
    run("has_no_spans", &[("OTEL_SDK_DISABLED", "true")]);
}

/// A logger of the service's own.
#[derive(Clone, Default)]
struct Own(Arc<Mutex<Vec<String>>>);

impl Log for Own {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
#[ignore = "the service that another test starts"]
fn has_a_logger_already() {
    let own = Own::default();
    log::set_boxed_logger(Box::new(own.clone())).unwrap();
    log::set_max_level(LevelFilter::Debug);
    let telemetry = init(|config| config);
    log::debug!("mine");
    telemetry.set_log_filter("error").unwrap();
    log::debug!("still mine");
    assert_eq!(*own.0.lock().unwrap(), ["mine", "still mine"]);
}

#[test]
fn a_logger_that_is_set_already_is_kept_and_a_notice_says_so() {
    let (stdout, stderr) = run("has_a_logger_already", &[("RUST_LOG", "trace")]);
    let told = stderr.matches("a logger of the crate `log` is set already and kept");
    assert_eq!(told.count(), 1, "{stderr}");
    assert!(!stdout.contains("mine\""), "{stdout}");
}

#[test]
#[ignore = "the service that another test starts"]
fn builds_its_own_subscriber() {
    let _telemetry = init(|config| config.install_subscriber(false));
    log::set_boxed_logger(Box::new(Own::default())).unwrap();
}

#[test]
#[ignore = "the service that another test starts"]
fn writes_no_lines() {
    let _telemetry = init(|config| config.log_format(LogFormat::None));
    log::set_boxed_logger(Box::new(Own::default())).unwrap();
}

#[test]
fn the_logger_is_left_to_a_service_that_has_lines_of_its_own() {
    for service in ["builds_its_own_subscriber", "writes_no_lines"] {
        let (_, stderr) = run(service, &[]);
        assert!(!stderr.contains("logger"), "{stderr}");
    }
}
