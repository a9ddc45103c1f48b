//! Lines as they are written, both forms.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

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
    let logs = Logs::new(&config.logs, Notices::to(|_| {}));
    let layer = logs.layer(Level::INFO, Box::new(output.clone()));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, emit);
    output.lines()
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

fn said() {
    let request =
        tracing::info_span!(target: "orders", "load", user = 7, password = "hunter2", rows = Empty);
    let _request = request.enter();
    request.record("rows", 3);
    let part = tracing::info_span!(target: "orders", "part", otel.name = "second part", ok = true);
    part.in_scope(|| {
        tracing::warn!(
            cost = 1.5,
            api_key = "s3cret",
            spans = "mine",
            "slow {}",
            "disk"
        );
    });
}

/// All but what differs between runs.
pub(super) fn steady(line: &str) -> String {
    let at = line.find('T').unwrap();
    let (date, end) = (at - 10, at + line[at..].find('Z').unwrap() + 1);
    format!("{}TIME{}", &line[..date], &line[end..])
}

#[test]
fn a_line_of_each_form_shows_its_spans_and_no_secret() {
    let json = lines(&[], LogFormat::Json, said);
    insta::assert_snapshot!(steady(&json[0]), @r#"{"timestamp":"TIME","level":"WARN","target":"telemetry_lib::log::tests","message":"slow disk","cost":1.5,"api_key":"REDACTED","field.spans":"mine","spans":[{"name":"load","user":7,"password":"REDACTED","rows":3},{"name":"second part","ok":true}]}"#);
    let human = lines(&[], LogFormat::Human, said);
    insta::assert_snapshot!(steady(&human[0]), @r#"TIME  WARN load{user=7 password="REDACTED" rows=3}: second part{ok=true}: telemetry_lib::log::tests: slow disk cost=1.5 api_key="REDACTED" spans="mine""#);
    for line in [&json[0], &human[0]] {
        assert!(
            !line.contains("hunter2") && !line.contains("s3cret"),
            "{line}"
        );
    }
    assert!(serde_json::from_str::<serde_json::Value>(&json[0]).is_ok());
}

#[test]
fn a_strangers_text_neither_forges_a_line_nor_controls_the_terminal() {
    const TEXT: &str = "a\nERROR forged\r\u{1b}[2J\u{9b}1m\u{7f}é\tb";
    let said = || {
        let span = tracing::info_span!(target: "orders", "part", otel.name = TEXT);
        span.in_scope(|| tracing::warn!(field = TEXT, "{TEXT}"));
    };
    let json = lines(&[], LogFormat::Json, said);
    let read: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!((json.len(), read["message"].as_str()), (1, Some(TEXT)));
    let human = lines(&[], LogFormat::Human, said);
    let set_in = |line: &String| line.starts_with("    ");
    assert!(human[1..].iter().all(set_in), "{human:?}");
    for line in json.iter().chain(&human) {
        let control = |it: char| it.is_control() && it != '\t';
        assert!(!line.contains(control), "{line:?}");
    }
    insta::assert_snapshot!(steady(&human.join("\n")), @r#"
    TIME  WARN a
        ERROR forged\r\u{1b}[2J\u{9b}1m\u{7f}é	b: telemetry_lib::log::tests: a
        ERROR forged\r\u{1b}[2J\u{9b}1m\u{7f}é	b field="a\nERROR forged\r\u{1b}[2J\u{9b}1m\u{7f}é\tb"
    "#);
}

#[test]
fn what_turns_or_hides_text_is_shown_to_people_and_letters_of_any_language_are_left() {
    const TURNING: &str = "a\u{ad}\u{61c}\u{180e}\u{200b}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2066}\
                           \u{206f}\u{feff}\u{fff9}\u{e0001}\u{e007f}b";
    const LETTERS: &str =
        "e\u{301} \u{5e9}\u{5dc} \u{915}\u{93f} \u{4f60} \u{2764}\u{fe0f} \"\\\u{2026}";
    let human = lines(&[], LogFormat::Human, || {
        let span = tracing::info_span!(target: "orders", "part", otel.name = TURNING);
        span.in_scope(|| tracing::warn!("{TURNING} {LETTERS}"));
    });
    assert!(human[0].contains(LETTERS), "{human:?}");
    let shown = TURNING.escape_default().to_string();
    let times = human[0].matches(&shown).count();
    assert_eq!((human.len(), times), (1, 2), "{human:?}");
}

#[test]
fn the_fields_of_a_span_are_formatted_once_for_all_its_lines() {
    static FORMATTED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl std::fmt::Debug for Counted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            FORMATTED.fetch_add(1, Relaxed);
            f.write_str("counted")
        }
    }
    let written = lines(&[], LogFormat::Json, || {
        let span = tracing::info_span!(target: "orders", "load", value = ?Counted);
        span.in_scope(|| (0..5).for_each(|_| tracing::info!("again")));
    });
    assert_eq!((written.len(), FORMATTED.load(Relaxed)), (5, 1));
    assert!(
        written[4].contains(r#""value":"counted""#),
        "{}",
        written[4]
    );
}

#[test]
fn a_flood_from_one_place_is_folded_and_told_and_other_places_are_not_touched() {
    let output = Captured::default();
    let config = crate::Config::from_vars("orders", []).log_lines_per_second(3);
    let logs = Logs::new(&config.logs, Notices::to(|_| {}));
    let layer = logs.layer(Level::INFO, Box::new(output.clone()));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        // Within a second or two: however slow the machine is, most of them are beyond.
        (0..10_000).for_each(|_| tracing::error!("flood"));
        tracing::error!("alone");
    });
    let before = output.lines();
    let floods = before.iter().filter(|line| line.contains("flood")).count();
    assert!(before.iter().any(|line| line.contains("alone")));
    assert_eq!(floods as u64 + logs.folded(), 10_000);
    assert!(logs.folded() > 0);

    logs.settle().wait(Duration::from_secs(60));
    let lines = output.lines();
    let told: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(lines.len(), before.len() + 1);
    assert_eq!(told["repeated"], logs.folded());
    assert_eq!(told["level"], "ERROR");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("log/tests.rs:"), "{message}");
    assert!(message.contains("repeated"), "{message}");
}

#[test]
fn a_filter_is_checked_before_it_is_used() {
    for wrong in ["a=loud", "my_crate=debug=x", "", " , "] {
        let error = filter::parse(wrong).unwrap_err();
        assert!(matches!(error, LogFilterError::Invalid(_)), "{wrong}");
    }
    for right in ["info", "off", "info,my_crate=debug", "my_crate::deep=trace"] {
        assert!(filter::parse(right).is_ok(), "{right}");
    }
    let bare = filter::parse("my_crate,other=info").unwrap();
    assert_eq!(bare, filter::parse("my_crate=trace,other=info").unwrap());
    let padded = filter::parse(" info , my_crate=debug ,,").unwrap();
    assert_eq!(padded, filter::parse("info,my_crate=debug").unwrap());
    let logs = Logs::new(
        &crate::Config::from_vars("orders", []).logs,
        Notices::to(|_| {}),
    );
    assert!(matches!(
        logs.set_filter("info"),
        Err(LogFilterError::NotOurs)
    ));
}

#[test]
fn a_word_that_may_be_a_mistyped_level_is_told_where_it_silences_the_rest() {
    for (directives, word) in [
        ("inof", "inof"),
        (" Warning ,", "Warning"),
        ("my_crate,inof", "inof"),
        ("inof,my_crate=debug", "inof"),
    ] {
        let told = doubt("RUST_LOG", directives).unwrap();
        let begin = format!("RUST_LOG: \"{word}\" is no level, so it was taken as a target");
        assert!(told.starts_with(&begin), "{told}");
    }
    for clear in [
        "my_crate",
        "my_crate::deep,sqlx2",
        "inof=debug",
        "info,inof",
        "inof,OFF",
        "neveraslongasthis",
        "info,",
    ] {
        assert_eq!(doubt("RUST_LOG", clear), None, "{clear}");
    }
}

#[test]
fn a_long_value_of_a_span_is_cut_in_its_lines() {
    let written = lines(&[], LogFormat::Json, || {
        let span = tracing::info_span!(target: "orders", "load", text = "\u{e9}".repeat(100_000));
        span.in_scope(|| tracing::info!("said"));
    });
    let cut = format!("{}\u{2026}\"", "\u{e9}".repeat(512));
    assert!(written[0].contains(&cut) && written[0].len() < 2_000);
}
