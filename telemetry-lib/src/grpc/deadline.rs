//! How long a caller waits: the header `grpc-timeout`.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The caller's clock began before ours by the time that the request took, and its giving up comes
/// as a reset like any other. So the last part of the time counts as its end, at most this long.
const SLACK: Duration = Duration::from_millis(100);

/// The time that a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// At most eight digits and a unit; anything else is no deadline, as for tonic.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 8 || !all_digits {
            return None;
        }
        let amount: u64 = digits.parse().ok()?;
        let span = match unit {
            "H" => Duration::from_secs(amount * 3_600),
            "M" => Duration::from_secs(amount * 60),
            "S" => Duration::from_secs(amount),
            "m" => Duration::from_millis(amount),
            "u" => Duration::from_micros(amount),
            "n" => Duration::from_nanos(amount),
            _ => return None,
        };
        Some(Self(span))
    }

    /// Whether a call that was given up after `elapsed` was given up because its time was over.
    pub(super) fn is_over(self, elapsed: Duration) -> bool {
        let slack = (self.0 / 10).min(SLACK);
        elapsed >= self.0 - slack
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
        headers.insert("grpc-timeout", value);
        Deadline::of(&headers).map(|deadline| deadline.0)
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(parse("5u"), Some(Duration::from_micros(5)));
        assert_eq!(parse("6n"), Some(Duration::from_nanos(6)));
        for text in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            "1 S",
            "1x",
            "1\u{e9}",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(Deadline::of(&HeaderMap::new()), None);
    }

    #[test]
    fn giving_up_in_the_last_tenth_is_the_deadline() {
        let over = |limit: u64, elapsed: u64| {
            Deadline(Duration::from_millis(limit)).is_over(Duration::from_millis(elapsed))
        };
        assert!(!over(100, 89));
        assert!(over(100, 90));
        assert!(over(100, 500));
        assert!(!over(10_000, 9_899));
        assert!(over(10_000, 9_900));
        assert!(over(0, 0));
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,12}") {
            let parsed = parse(&text);
            if let Some(limit) = parsed {
                proptest::prop_assert!(Deadline(limit).is_over(limit));
            }
        }
    }
}
