//! The `tracestate` header: opaque to us, so it is checked, bounded and passed on.

use opentelemetry::trace::TraceState;

/// More members than this, and the whole header is dropped, as Level 2 allows.
const MAX_MEMBERS: usize = 32;
/// Combined length of all lines; the specification asks for at least 512.
const MAX_BYTES: usize = 8_192;

/// The header breaks the grammar or a limit; the trace goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<TraceState, Malformed> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        // A comma joins it to the next one, so that lines without a text end too.
        bytes += line.len() + 1;
        if bytes > MAX_BYTES + 1 {
            return Err(Malformed);
        }
        let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
        for member in line
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
        {
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').ok_or(Malformed)?;
            if members.iter().any(|(known, _)| *known == key) {
                continue; // the left-most entry of a key is the most recent one
            }
            if members.len() == MAX_MEMBERS || !printable(value) {
                return Err(Malformed);
            }
            members.push((key, value));
        }
    }
    if members.is_empty() {
        return Ok(TraceState::NONE);
    }
    TraceState::from_key_value(members).map_err(|_| Malformed)
}

/// The API checks keys; of values it only refuses `,` and `=`.
fn printable(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: Option<&str>) {
        let parsed = parse(lines.iter().map(|line| line.as_bytes()));
        let header = parsed.map(|state| state.header()).ok();
        assert_eq!(header.as_deref(), expected, "{lines:?}");
    }

    #[test]
    fn the_grammar_row_by_row() {
        check(&["foo=1"], Some("foo=1"));
        check(&["foo=1,bar=2"], Some("foo=1,bar=2"));
        check(&["foo=1", "bar=2"], Some("foo=1,bar=2"));
        check(&["foo=1, \t bar=2,,"], Some("foo=1,bar=2"));
        check(&[""], Some(""));
        check(&["a/b@c=1"], Some("a/b@c=1"));
        check(&["foo=1,foo=2"], Some("foo=1"));
        check(
            &["ot=th:fd70a4;rv:0123456789abcd"],
            Some("ot=th:fd70a4;rv:0123456789abcd"),
        );
        check(&["foo"], None);
        check(&["foo="], None);
        check(&["Foo=1"], None);
        check(&["foo =1"], None);
        check(&["foo=1=2"], None);
        check(&["foo=ü"], None);
    }

    #[test]
    fn thirty_two_members_travel_and_thirty_three_do_not() {
        let list = |n: usize| {
            let members: Vec<String> = (0..n).map(|i| format!("k{i}=v")).collect();
            members.join(",")
        };
        check(&[&list(32)], Some(&list(32)));
        check(&[&list(33)], None);
    }

    #[test]
    fn a_value_of_512_characters_in_all_travels() {
        let state = format!("a={},b={}", "x".repeat(256), "y".repeat(251));
        assert_eq!(state.len(), 512);
        check(&[&state], Some(&state));
    }
}
