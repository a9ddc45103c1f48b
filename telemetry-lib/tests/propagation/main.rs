//! Context that comes in and goes out, table by table (W3C Trace Context Level 2, W3C Baggage,
//! B3), read from OTLP bytes and from headers.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod carriers;
mod incoming;
mod outgoing;

use telemetry_lib::testing::ReceivedSpan;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The only span of this name.
#[track_caller]
fn named<'s>(spans: &'s [ReceivedSpan], name: &str) -> &'s ReceivedSpan {
    let found: Vec<_> = spans.iter().filter(|it| it.name() == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}
