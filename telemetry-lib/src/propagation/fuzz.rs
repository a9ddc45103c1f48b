//! The parsers against arbitrary bytes and against headers that are almost right (F13, F16).

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use proptest::prelude::*;

use super::carrier::{Header, HeaderCarrierMut};
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
        prop_assert_eq!(second.malformed, super::set::Malformed::default());
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

#[test]
fn f16_what_a_flood_costs_is_bounded_by_our_limits_and_not_by_its_size() {
    let cost = |headers: &HeaderMap| {
        let mut extraction = None;
        let info = allocation_counter::measure(|| extraction = Some(ALL.extract(headers)));
        (info, extraction.expect("it was extracted"))
    };
    let value = |text: String| HeaderValue::try_from(text).unwrap();

    let mut flood = HeaderMap::new();
    flood.insert("baggage", value("k=v,".repeat(262_144))); // 1 MiB in one line
    let (info, found) = cost(&flood);
    assert!(found.malformed.baggage && found.context.baggage().is_empty());
    assert!(info.bytes_total < 1_000, "{} bytes", info.bytes_total);

    let members: Vec<String> = (0..10_000).map(|i| format!("k{i}=v")).collect();
    let mut many = HeaderMap::new();
    for line in members.chunks(50) {
        many.append("baggage", value(line.join(",")));
    }
    let (info, found) = cost(&many);
    assert_eq!(found.context.baggage().len(), baggage::MAX_MEMBERS);
    assert!(info.bytes_total < 64 * 1_024, "{} bytes", info.bytes_total);

    let mut lines = HeaderMap::new();
    for _ in 0..200 {
        lines.append("tracestate", value(format!("a={}", "x".repeat(8_000))));
    }
    lines.insert("traceparent", value(GOOD[0].to_owned()));
    let (info, found) = cost(&lines);
    assert!(found.malformed.tracestate);
    assert!(
        found.context.span().span_context().is_valid(),
        "the trace goes on without it"
    );
    assert!(info.bytes_total < 16 * 1_024, "{} bytes", info.bytes_total);
}
