//! The `traceparent` header, W3C Trace Context Level 2, sections 3.2 and 4.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

/// Least 56 bits of the trace id are random (Level 2).
pub(super) const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// Length of version 00, and the part of every later version that we may read.
const LEN: usize = 55;

/// A longer line is not given to the parser, whatever a later version may bring.
pub(super) const MAX_BYTES: usize = 8_192;

/// The fields of a valid header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// Only the flags that Level 2 knows; others must not travel on.
    pub(super) flags: TraceFlags,
}

/// The header breaks the grammar; the trace starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Traceparent {
    pub(super) fn parse(header: &[u8]) -> Result<Self, Malformed> {
        let header = header.trim_ascii();
        let (known, rest) = header.split_at_checked(LEN).ok_or(Malformed)?;
        let [version] = hex(&known[..2])?;
        let extended = rest.first().is_none_or(|&next| next == b'-');
        let allowed = match version {
            0x00 => rest.is_empty(),
            0xff => false,
            0x01..=0xfe => extended,
        };
        let dashed = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        if !allowed || !dashed {
            return Err(Malformed);
        }

        let trace_id = TraceId::from_bytes(hex(&known[3..35])?);
        let span_id = SpanId::from_bytes(hex(&known[36..52])?);
        let [flags] = hex(&known[53..])?;
        if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
            return Err(Malformed);
        }
        Ok(Self {
            trace_id,
            span_id,
            flags: TraceFlags::new(flags) & (TraceFlags::SAMPLED | RANDOM),
        })
    }

    /// `random` is told apart from the context's flags because the SDK forgets the flag
    /// of a span that it does not sample.
    pub(super) fn of(context: &SpanContext, random: bool) -> Self {
        let sampled = context.trace_flags() & TraceFlags::SAMPLED;
        Self {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            flags: if random { sampled | RANDOM } else { sampled },
        }
    }

    pub(super) fn render(self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            self.flags.to_u8()
        )
    }
}

/// No digit: a bit that no value has.
const NONE: u8 = 0x80;

/// Lower-case digits only, as the grammar says. Without a branch or a table, so that the compiler
/// takes many digits at once.
pub(super) fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], Malformed> {
    let (pairs, _) = digits.as_chunks::<2>();
    let pairs: &[[u8; 2]; N] = pairs.try_into().map_err(|_| Malformed)?;
    let mut seen = 0;
    let bytes = pairs.map(|pair| {
        let [high, low] = pair.map(digit);
        seen |= high | low;
        high << 4 | low
    });
    if seen < NONE {
        Ok(bytes)
    } else {
        Err(Malformed)
    }
}

/// The value of a digit, or [`NONE`].
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn check(header: &str, expected: Option<u8>) {
        let parsed = Traceparent::parse(header.as_bytes());
        assert_eq!(
            parsed.map(|it| it.flags.to_u8()).ok(),
            expected,
            "{header:?}"
        );
    }

    #[test]
    fn the_grammar_of_level_2_row_by_row() {
        let ids = format!("{TRACE}-{SPAN}");
        check(&format!("00-{ids}-00"), Some(0));
        check(&format!("00-{ids}-01"), Some(1));
        check(&format!("00-{ids}-02"), Some(2));
        check(&format!("00-{ids}-03"), Some(3));
        check(&format!("00-{ids}-ff"), Some(3)); // unknown flags do not travel on
        check(&format!("01-{ids}-01"), Some(1)); // a later version, same length
        check(&format!("cc-{ids}-01-what-comes"), Some(1));
        check(&format!("cc-{ids}-01.what-comes"), None);
        check(&format!(" \t00-{ids}-01 "), Some(1)); // optional white space
        check(&format!("ff-{ids}-01"), None);
        check(&format!("00-{ids}-01-extra"), None);
        check(&format!("00-{ids}-01-"), None);
        check(&format!("00-{ids}-0"), None);
        check(&format!("00-{ids}"), None);
        check(&format!("0-{ids}-01"), None);
        check(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None);
        check(&format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), None);
        check(&format!("00-{}-{SPAN}-01", "0".repeat(32)), None);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{}-{SPAN}-01", &TRACE[1..]), None);
        check(&format!("00_{TRACE}_{SPAN}_01"), None);
        check(&format!("0x-{ids}-01"), None);
        check(&format!("00-{}ü-{SPAN}-01", &TRACE[2..]), None);
        check("", None);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(header: Vec<u8>) {
            let _ = Traceparent::parse(&header);
        }

        #[test]
        fn what_we_render_we_read(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
            let sent = Traceparent {
                trace_id: TraceId::from_bytes(trace.to_be_bytes()),
                span_id: SpanId::from_bytes(span.to_be_bytes()),
                flags: TraceFlags::new(flags),
            };
            proptest::prop_assert_eq!(Traceparent::parse(sent.render().as_bytes()), Ok(sent));
        }
    }
}
