//! What templates may call beside minijinja's own filters.

use std::time::Duration;

use alert_engine::Timestamp;
use minijinja::value::Value;
use minijinja::{Environment, State};

use super::view::Zone;
use super::words::{self, INSTANT};
use super::{Language, clean, cut, links};

/// Adds the filters:
///
/// - `local`: milliseconds since the epoch → an instant in the reader's zone, in the given
///   `strftime` format (default `%Y-%m-%d %H:%M %:z`);
/// - `in_words`: seconds → `2 h 5 min` in the reader's language;
/// - `one_line`: any text → one line without control characters, fit for a header;
/// - `cut`: text → at most so many characters;
/// - `link`: text → the link if it is http or https and harmless, else none.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("local", local);
    environment.add_filter("in_words", in_words);
    environment.add_filter("one_line", |text: &str| clean(text));
    environment.add_filter("cut", |text: &str, longest: usize| cut(text, longest));
    environment.add_filter("link", |text: &str| links::safe(text));
}

fn local(state: &State, millis: i64, format: Option<&str>) -> Option<String> {
    let zone = state.lookup("zone");
    let zone = zone
        .as_ref()
        .and_then(|zone| zone.downcast_object_ref::<Zone>());
    let zone = zone.map_or(jiff::tz::TimeZone::UTC, |zone| zone.0.clone());
    words::instant(
        Timestamp::from_millis(millis),
        &zone,
        format.unwrap_or(INSTANT),
    )
}

fn in_words(state: &State, seconds: u64) -> String {
    let chinese = state
        .lookup("lang")
        .is_some_and(|lang| lang == Value::from("zh-CN"));
    let language = if chinese {
        Language::Chinese
    } else {
        Language::English
    };
    words::duration(Duration::from_secs(seconds), language)
}
