//! The `baggage` header (W3C Baggage): bounded before it is parsed.

use opentelemetry::baggage::Baggage;

/// The specification's least limits, which are also ours.
pub(super) const MAX_BYTES: usize = 8_192;
pub(super) const MAX_MEMBERS: usize = 64;

/// What could be read, and whether something had to be left out.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) baggage: Baggage,
    pub(super) malformed: bool,
}

/// Reads at most [`MAX_BYTES`] and [`MAX_MEMBERS`]; a bad member is left out alone.
pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Parsed {
    let mut parsed = Parsed::default();
    let (mut bytes, mut members) = (0, 0);
    for line in lines {
        // A comma joins it to the next one, so that lines without a text end too.
        bytes += line.len() + 1;
        if bytes > MAX_BYTES + 1 {
            parsed.malformed = true;
            break;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            parsed.malformed = true;
            continue;
        };
        for member in text.split(',').filter(|member| !member.trim().is_empty()) {
            // Also those that are left out or come again: each of them costs.
            if members == MAX_MEMBERS {
                parsed.malformed = true;
                return parsed;
            }
            members += 1;
            match read_member(member) {
                Some((key, value, metadata)) => {
                    parsed
                        .baggage
                        .insert_with_metadata(key.to_owned(), value, metadata);
                }
                None => parsed.malformed = true,
            }
        }
    }
    parsed
}

/// Renders in the order of keys, and stops before a limit is broken.
pub(super) fn render(baggage: &Baggage) -> String {
    let mut members: Vec<_> = baggage.iter().collect();
    members.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    let mut header = String::new();
    for (key, (value, metadata)) in members.into_iter().take(MAX_MEMBERS) {
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        header.push_str(key.as_str());
        header.push('=');
        percent_encode(value.as_str(), &mut header);
        if !metadata.as_str().is_empty() {
            header.push(';');
            header.push_str(metadata.as_str());
        }
        if header.len() > MAX_BYTES {
            header.truncate(before);
            break;
        }
    }
    header
}

fn read_member(member: &str) -> Option<(&str, String, &str)> {
    let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
    let (key, value) = pair.split_once('=')?;
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(is_token) {
        return None;
    }
    Some((key, percent_decode(value.trim())?, metadata.trim()))
}

/// RFC 7230 token characters.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A broken escape or text that is not UTF-8 gives `None`: guessing would change a value.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        // `from_str_radix` would take a sign for a digit.
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|it| !it.contains('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Everything but baggage-octets, and `%` itself, becomes `%XX`.
fn percent_encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        let plain = (0x21..=0x7e).contains(&byte) && !b"\",;\\%".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &str, malformed: bool) {
        let parsed = parse(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(render(&parsed.baggage), expected, "{lines:?}");
        assert_eq!(parsed.malformed, malformed, "{lines:?}");
    }

    #[test]
    fn members_are_read_and_bad_ones_left_out_alone() {
        check(&["a=1,b=2"], "a=1,b=2", false);
        check(&["a=1", " b = 2 ;prop=x"], "a=1,b=2;prop=x", false);
        check(&["a=%E4%BD%A0%20x"], "a=%E4%BD%A0%20x", false);
        check(&["a="], "a=", false);
        check(&[""], "", false);
        check(&["a=1,,b=2,"], "a=1,b=2", false);
        check(&["a=1,novalue,b=2"], "a=1,b=2", true);
        check(&["k y=1,b=2"], "b=2", true);
        check(&["a=%zz,b=%4"], "", true);
        check(&["a=%ff"], "", true);
    }

    #[test]
    fn parsing_stops_at_64_members_and_8192_bytes() {
        let many: Vec<String> = (0..10_000).map(|i| format!("k{i}=v")).collect();
        let parsed = parse([many.join(",").as_bytes()].into_iter());
        assert!(parsed.malformed);
        assert_eq!(
            parsed.baggage.len(),
            0,
            "a line beyond the limit is not read at all"
        );

        let some = many[..100].join(",");
        let parsed = parse([some.as_bytes()].into_iter());
        assert!(parsed.malformed);
        assert_eq!(parsed.baggage.len(), MAX_MEMBERS);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(line: Vec<u8>) {
            let _ = parse([line.as_slice()].into_iter());
        }

        #[test]
        fn values_survive_the_journey(value in ".{0,100}") {
            let mut sent = Baggage::new();
            sent.insert("key", value.clone());
            let header = render(&sent);
            let received = parse([header.as_bytes()].into_iter());
            proptest::prop_assert!(!received.malformed);
            let read = received.baggage.get("key").map(|it| it.as_str().to_owned());
            proptest::prop_assert_eq!(read, Some(value));
        }
    }
}
