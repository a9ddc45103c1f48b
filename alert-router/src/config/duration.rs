//! Durations as Prometheus writes them: `5s`, `1h30m`, `0`.

use std::time::Duration;

use super::problem::Complaint;

/// Units from the largest, as they must follow each other, with their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration.
pub(super) fn parse(text: &str) -> Result<Duration, Complaint> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let millis = sum(text).ok_or_else(|| {
        Complaint::new(
            format!("{text:?} is no duration"),
            "write numbers with units, the largest first, such as 30s, 5m or 1h30m",
        )
    })?;
    Ok(Duration::from_millis(millis))
}

/// As Prometheus writes it: the shortest form that [`parse`] reads back.
pub(crate) fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks and years only where nothing remains: 10d says more than 1w3d.
    for (unit, size) in UNITS {
        let exact = unit != "y" && unit != "w" || rest % size == 0;
        if rest >= size && exact {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn sum(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut next_unit = 0;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS
            .iter()
            .position(|(name, _)| *name == &rest[..letters])?;
        if unit < next_unit {
            return None;
        }
        next_unit = unit + 1;
        rest = &rest[letters..];
        total = total.checked_add(number.checked_mul(UNITS[unit].1)?)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prometheus_syntax_is_read_and_nothing_else() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("5s", Some(5)),
            ("1h30m", Some(5_400)),
            ("1d", Some(86_400)),
            ("1w", Some(604_800)),
            ("1y", Some(31_536_000)),
            ("1000ms", Some(1)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("-5s", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1m1m", None),
            ("5min", None),
            ("99999999999999y", None),
        ] {
            let read = parse(text).ok().map(|d| d.as_secs());
            assert_eq!(read, seconds, "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_people_write_them() {
        for text in ["0s", "5s", "5m", "1h30m", "130h", "4h", "250ms", "2d"] {
            let shown = show(parse(text).unwrap());
            let expected = if text == "130h" { "5d10h" } else { text };
            assert_eq!(shown, expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..1 << 45) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)).unwrap(), duration);
        }
    }
}
