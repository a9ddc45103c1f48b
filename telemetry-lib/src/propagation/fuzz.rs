//! The parsers against arbitrary bytes and against headers that are almost right (F13, F16).

use std::cell::Cell;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use proptest::prelude::*;

use super::carrier::{Carrier, Header, HeaderCarrierMut};
use super::set::{Extraction, Malformed};
use super::{Propagators, baggage};

const ALL: Propagators = Propagators {
    tracecontext: true,
    baggage: true,
    b3: true,
    b3multi: true,
};
const HEADERS: [Header; 8] = [
    Header::Traceparent,
    Header::Tracestate,
    Header::Baggage,
    Header::B3,
    Header::B3TraceId,
    Header::B3SpanId,
    Header::B3Sampled,
    Header::B3Flags,
];

/// Good values, so that a few changed bytes reach deep into a parser.
const GOOD: [&str; 8] = [
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,ot=th:fd70a4;rv:0123456789abcd",
    "userId=alice%20b;prop=1,serverNode=DF%2028,isProduction=false",
    "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
    "64fe8b2a57d3eff7-e457b5a2e4d86bd1-d",
    "e457b5a2e4d86bd1",
    "1",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let almost = (
        prop::sample::select(&GOOD[..]),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    );
    let almost = almost.prop_map(|(good, changes)| {
        let mut bytes = good.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![
        2 => almost,
        1 => prop::collection::vec(any::<u8>(), 0..100),
        1 => "[-0-9a-fx,;=% \t]{0,60}".prop_map(String::into_bytes),
    ]
}

/// What hyper could hand on: names of ours, any value that HTTP allows, repeated lines too.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let line = (prop::sample::select(&HEADERS[..]), value());
    prop::collection::vec(line, 0..5).prop_map(|lines| {
        let mut map = HeaderMap::new();
        for (header, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(HeaderName::from_static(header.as_str()), value);
            }
        }
        map
    })
}

fn caller(context: &Context) -> SpanContext {
    context.span().span_context().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// No input panics, what comes out is within its limits, and what we write of it we read
    /// back as the same.
    #[test]
    fn f13_any_headers_give_a_context_that_survives_the_next_hop(headers in headers()) {
        let first = ALL.extract(&headers);
        prop_assert!(first.context.baggage().len() <= baggage::MAX_MEMBERS);
        let mut sent = HeaderMap::new();
        ALL.inject(&first.context, &mut HeaderCarrierMut(&mut sent));
        if let Some(line) = sent.get("baggage") {
            prop_assert!(line.len() <= baggage::MAX_BYTES);
        }
        let second = ALL.extract(&sent);
        prop_assert_eq!(second.malformed, Malformed::default());
        prop_assert_eq!(caller(&first.context), caller(&second.context));
        prop_assert_eq!(first.context.baggage().len(), second.context.baggage().len());
        // B3 alone gives the same caller as all headers do.
        let single = Propagators { b3: true, ..Propagators::NONE };
        let (through_b3, first) = (caller(&single.extract(&sent).context), caller(&first.context));
        prop_assert_eq!(through_b3.span_id(), first.span_id());
        prop_assert_eq!(through_b3.is_sampled(), first.is_sampled());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A carrier of the API's gives what a header map gives.
    #[test]
    fn f13_all_carriers_are_read_alike(lines in prop::collection::vec(
        (prop::sample::select(&HEADERS[..]), value()), 0..6)) {
        let mut map = HeaderMap::new();
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for (header, bytes) in lines {
            // Beyond ASCII a header map and a list of texts differ in what they can hold.
            let Some(value) = HeaderValue::from_bytes(&bytes).ok().filter(|it| it.to_str().is_ok())
            else { continue };
            map.append(HeaderName::from_static(header.as_str()), value);
            pairs.push((header.as_str().to_owned(), bytes));
        }
        let pairs = super::Pairs(&pairs);
        let listed: &dyn opentelemetry::propagation::Extractor = &pairs;
        let (from_map, from_list) = (ALL.extract(&map), ALL.extract(&listed));
        prop_assert_eq!(from_map.malformed, from_list.malformed);
        prop_assert_eq!(caller(&from_map.context), caller(&from_list.context));
    }
}

/// Headers that count the lines that are asked of them.
struct Watched<'h> {
    all: &'h HeaderMap,
    lines: Cell<usize>,
}

impl Carrier for Watched<'_> {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        let lines = Carrier::values(self.all, header);
        lines.inspect(|_| self.lines.set(self.lines.get() + 1))
    }
}

/// What it takes to read some headers. None of it is time, so that no machine changes it.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    allocations: u64,
    bytes: u64,
    lines: usize,
}

fn cost(all: &HeaderMap) -> (Cost, Extraction) {
    let lines = Cell::new(0);
    let watched = Watched { all, lines };
    let mut extraction = None;
    let info = allocation_counter::measure(|| extraction = Some(ALL.extract(&watched)));
    let cost = Cost {
        allocations: info.count_total,
        bytes: info.bytes_total,
        lines: watched.lines.get(),
    };
    (cost, extraction.expect("it was extracted"))
}

/// So many lines of a header beside a good `traceparent`, or a bad one instead of it.
fn flood(header: Header, line: &str, times: usize) -> HeaderMap {
    let name = HeaderName::from_static(header.as_str());
    let mut flood = HeaderMap::new();
    if !header.as_str().contains("b3") {
        flood.insert("traceparent", HeaderValue::from_static(GOOD[0]));
        flood.remove(&name);
    }
    for _ in 0..times {
        flood.append(&name, HeaderValue::from_str(line).unwrap());
    }
    flood
}

/// The longest that is read of a header, of all its lines together.
const READ: usize = 8_192;

#[test]
fn f16_what_a_flood_costs_is_bounded_by_our_limits_and_not_by_its_size() {
    let members: Vec<String> = (0..50).map(|i| format!("k{i}=v")).collect();
    let (members, long) = (members.join(","), format!("a={}", "x".repeat(1_000)));
    for (header, line) in [
        (Header::Traceparent, GOOD[0]),
        (Header::Tracestate, &long),
        (Header::Tracestate, ""),
        (Header::Tracestate, "a=1"),
        (Header::Baggage, &members),
        (Header::Baggage, &long),
        (Header::Baggage, ""),
        (Header::Baggage, "no value"),
        (Header::B3, GOOD[4]),
        (Header::B3TraceId, GOOD[6]),
        (Header::B3Flags, "1"),
    ] {
        let (few, many) = (flood(header, line, 10_000), flood(header, line, 100_000));
        let (few, many) = (cost(&few).0, cost(&many).0);
        assert_eq!(few, many, "{header:?} {line:?}");
        // Each line has at least the comma that joins it to the one before.
        assert!(many.lines < READ + 10, "{header:?} {line:?} {many:?}");
        assert!(many.bytes < 64 * 1_024, "{header:?} {line:?} {many:?}");
        assert!(many.allocations < 200, "{header:?} {line:?} {many:?}");
    }
}

#[test]
fn f16_a_header_is_read_up_to_8192_bytes_and_64_members_and_no_further() {
    for (header, good) in [
        (Header::Traceparent, GOOD[0]),
        (Header::Tracestate, "a=1,b=2,"),
        (Header::Baggage, "a=1,b=2,"),
        (Header::B3, GOOD[4]),
    ] {
        let padded = |length| format!("{good}{}", " ".repeat(length - good.len()));
        let read = |lines: &[String]| {
            let mut headers = flood(header, &lines[0], 1);
            for line in &lines[1..] {
                let name = HeaderName::from_static(header.as_str());
                headers.append(name, HeaderValue::from_str(line).unwrap());
            }
            let found = cost(&headers).1;
            found.malformed.headers().next().is_none()
        };
        assert!(read(&[padded(READ)]), "{header:?}");
        assert!(!read(&[padded(READ + 1)]), "{header:?}");
        // In two lines, which a comma joins.
        if matches!(header, Header::Tracestate | Header::Baggage) {
            let half = READ / 2;
            assert!(read(&[padded(half), padded(half - 1)]), "{header:?}");
            assert!(!read(&[padded(half), padded(half)]), "{header:?}");
        }
    }
    let members = |count: usize| (0..count).map(|i| format!("k{i}=v,")).collect::<String>();
    let again = |count: usize| format!("{}{}", "a=1,".repeat(count), "b=2");
    for (line, kept, is_whole) in [
        (members(64), 64, true),
        (members(65), 64, false),
        (members(1_000), 64, false),
        (again(63), 2, true),
        (again(64), 1, false),
    ] {
        let (_, found) = cost(&flood(Header::Baggage, &line, 1));
        assert_eq!(found.context.baggage().len(), kept, "{line}");
        assert_eq!(!found.malformed.baggage, is_whole, "{line}");
        assert!(caller(&found.context).is_valid(), "the trace goes on");
    }
    let (_, found) = cost(&flood(Header::Baggage, &members(10_000), 1));
    assert!(found.context.baggage().is_empty(), "not read at all");
    let (_, found) = cost(&flood(Header::Tracestate, &members(33), 1));
    assert!(found.malformed.tracestate && caller(&found.context).is_valid());
}
