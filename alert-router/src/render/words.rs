//! Instants and durations as people say them.

use std::time::Duration;

use alert_engine::Timestamp;
use jiff::tz::TimeZone;

use super::Language;

/// How an instant is written unless a template says otherwise: sortable, with its offset, because
/// readers sit in several zones and abbreviations are ambiguous.
pub(super) const INSTANT: &str = "%Y-%m-%d %H:%M %:z";

/// An instant in the reader's zone. Before 1970 or beyond the calendar it is nobody's truth, and
/// is `None`.
pub(super) fn instant(at: Timestamp, zone: &TimeZone, format: &str) -> Option<String> {
    if at.as_millis() <= 0 {
        return None;
    }
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    jiff::fmt::strtime::format(format, &at.to_zoned_datetime(zone.clone())).ok()
}

/// A duration in its two largest units: `45 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn duration(length: Duration, language: Language) -> String {
    let seconds = length.as_secs();
    let [day, hour, minute, second] = match language {
        Language::English => ["d", "h", "min", "s"],
        Language::Chinese => ["天", "小时", "分钟", "秒"],
    };
    let two = |large: u64, unit: &str, small: u64, sub: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {sub}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} {second}"),
        60..600 => two(seconds / 60, minute, seconds % 60, second),
        600..3_600 => format!("{} {minute}", seconds / 60),
        3_600..86_400 => two(seconds / 3_600, hour, seconds % 3_600 / 60, minute),
        _ => two(seconds / 86_400, day, seconds % 86_400 / 3_600, hour),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_their_two_largest_units() {
        let cases = [
            (0, "0 s", "0 秒"),
            (59, "59 s", "59 秒"),
            (60, "1 min", "1 分钟"),
            (75, "1 min 15 s", "1 分钟 15 秒"),
            (725, "12 min", "12 分钟"),
            (7_500, "2 h 5 min", "2 小时 5 分钟"),
            (86_400, "1 d", "1 天"),
            (273_600, "3 d 4 h", "3 天 4 小时"),
        ];
        for (seconds, english, chinese) in cases {
            let length = Duration::from_secs(seconds);
            assert_eq!(duration(length, Language::English), english);
            assert_eq!(duration(length, Language::Chinese), chinese);
        }
    }

    #[test]
    fn instants_are_shown_in_the_readers_zone() {
        let at = Timestamp::from_millis(1_767_323_045_000);
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(
            instant(at, &shanghai, INSTANT).unwrap(),
            "2026-01-02 11:04 +08:00"
        );
        assert_eq!(instant(at, &TimeZone::UTC, "%H:%M").unwrap(), "03:04");
    }

    /// Times of one day are told apart when clocks go back, and no hour is shown that clocks skip.
    #[test]
    fn f32_instants_around_a_change_of_the_clocks_say_their_offset() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let shown = |utc: &str| {
            let at: jiff::Timestamp = utc.parse().unwrap();
            instant(
                Timestamp::from_millis(at.as_millisecond()),
                &berlin,
                INSTANT,
            )
            .unwrap()
        };
        let cases = [
            ("2026-03-29T00:59:59Z", "2026-03-29 01:59 +01:00"),
            ("2026-03-29T01:00:00Z", "2026-03-29 03:00 +02:00"),
            ("2026-10-25T00:30:00Z", "2026-10-25 02:30 +02:00"),
            ("2026-10-25T01:30:00Z", "2026-10-25 02:30 +01:00"),
        ];
        for (utc, local) in cases {
            assert_eq!(shown(utc), local, "{utc}");
        }
    }

    #[test]
    fn impossible_instants_are_not_shown() {
        for millis in [i64::MIN, -62_135_596_800_000, 0, i64::MAX] {
            assert_eq!(
                instant(Timestamp::from_millis(millis), &TimeZone::UTC, INSTANT),
                None
            );
        }
    }
}
