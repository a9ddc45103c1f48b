//! The headers that are read of every request, found in one pass: most are not there, and a look-up
//! costs as much as passing several headers, because it hashes the name.

use http::{HeaderMap, HeaderValue};

use crate::propagation::{Carrier, Header};

/// The headers of a request. Of a header that has one value the first line counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'r> {
    pub(crate) all: &'r HeaderMap,
    pub(super) host: Option<&'r HeaderValue>,
    pub(super) user_agent: Option<&'r HeaderValue>,
    pub(super) content_length: Option<&'r HeaderValue>,
    /// The body has `transfer-encoding` instead of a length.
    pub(super) is_chunked: bool,
    /// A bit for each of the headers that carry a context.
    carriers: u8,
    /// The line of `traceparent`, unless there are several.
    traceparent: Option<&'r HeaderValue>,
}

impl<'r> Headers<'r> {
    pub(crate) fn of(all: &'r HeaderMap) -> Self {
        let mut found = Self {
            all,
            host: None,
            user_agent: None,
            content_length: None,
            is_chunked: false,
            carriers: 0,
            traceparent: None,
        };
        for (name, value) in all {
            let place = match name.as_str() {
                "host" => &mut found.host,
                "user-agent" => &mut found.user_agent,
                "content-length" => &mut found.content_length,
                "traceparent" => {
                    let first = found.carriers & bit(Header::Traceparent) == 0;
                    found.traceparent = first.then_some(value);
                    found.carriers |= bit(Header::Traceparent);
                    continue;
                }
                "transfer-encoding" => {
                    found.is_chunked = true;
                    continue;
                }
                other => {
                    found.carriers |= Header::named(other).map_or(0, bit);
                    continue;
                }
            };
            place.get_or_insert(value);
        }
        found
    }
}

impl Carrier for Headers<'_> {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        let is_parent = matches!(header, Header::Traceparent);
        let only = self.traceparent.filter(|_| is_parent);
        let is_there = self.carriers & bit(header) != 0;
        // A chain of both would cost as much as the look-up that is saved.
        if only.is_none() && is_there {
            Lines::All(Carrier::values(self.all, header))
        } else {
            Lines::One(only.map(HeaderValue::as_bytes))
        }
    }
}

/// The lines of a header: none, one that is known, or all that are looked up.
enum Lines<'l, A> {
    One(Option<&'l [u8]>),
    All(A),
}

impl<'l, A: Iterator<Item = &'l [u8]>> Iterator for Lines<'l, A> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(line) => line.take(),
            Self::All(lines) => lines.next(),
        }
    }
}

fn bit(header: Header) -> u8 {
    1 << header as u8
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn the_first_line_of_a_header_counts_and_all_lines_carry() {
        let lines = [
            ("host", "a.example"),
            ("accept", "*/*"),
            ("traceparent", "1"),
            ("host", "b.example"),
            ("x-b3-flags", "0"),
            ("traceparent", "2"),
        ];
        let mut all = HeaderMap::new();
        for (name, value) in lines {
            all.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let found = Headers::of(&all);
        assert_eq!(found.host.unwrap(), "a.example");
        assert_eq!((found.user_agent, found.content_length), (None, None));
        let carried = |header| found.values(header).collect::<Vec<_>>();
        assert_eq!(carried(Header::Traceparent), [b"1", b"2"]);
        assert_eq!(carried(Header::B3Flags), [b"0"]);
        assert!(carried(Header::Tracestate).is_empty());
    }
}
