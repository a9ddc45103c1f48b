//! The `traceparent` header, W3C Trace Context Level 2, sections 3.2 and 4.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

/// Least 56 bits of the trace id are random (Level 2).
pub(super) const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// Length of version 00, and the part of every later version that we may read.
const LEN: usize = 55;

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
        let (known, rest) = header.split_first_chunk::<LEN>().ok_or(Malformed)?;
        let version = two_digits(known[0], known[1])?;
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
        let flags = two_digits(known[53], known[54])?;
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

/// Lower-case digits only, as the grammar says; `N` is a multiple of four.
pub(super) fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], Malformed> {
    const { assert!(N.is_multiple_of(4)) };
    let mut bytes = [0; N];
    let mut wrong = 0;
    let (words, rest) = digits.as_chunks();
    if words.len() != N / 4 || !rest.is_empty() {
        return Err(Malformed);
    }
    for (four, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *four = eight_digits(*word, &mut wrong);
    }
    if wrong == 0 {
        Ok(bytes)
    } else {
        Err(Malformed)
    }
}

/// The byte that two digits stand for.
fn two_digits(high: u8, low: u8) -> Result<u8, Malformed> {
    let mut wrong = 0;
    let digits = [b'0', b'0', b'0', b'0', b'0', b'0', high, low];
    let [_, _, _, byte] = eight_digits(digits, &mut wrong);
    if wrong == 0 { Ok(byte) } else { Err(Malformed) }
}

/// The four bytes that eight digits stand for, all digits at once in one word. Sets bits of `wrong`
/// where there is no digit, for one question after all of them.
fn eight_digits(digits: [u8; 8], wrong: &mut u64) -> [u8; 4] {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_le_bytes(digits);
    // Letters have the bit 0x40 and begin at 0x61, so that they are nine short of their value.
    let values = (word & (ONES * 0x0f)) + (word >> 6 & ONES) * 9;
    // What is written for these values; a value of 16 or more belongs to a later letter.
    let letters = (values + ONES * 6) >> 4 & ONES;
    let written = values + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    *wrong |= (written ^ word) | (values & (ONES * 0xf0));
    // Two values become a byte, then the bytes move together.
    let bytes = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let bytes = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    ((bytes | bytes >> 16) as u32).to_le_bytes()
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

    #[test]
    fn every_byte_is_a_digit_or_none_at_every_place() {
        for byte in 0..=u8::MAX {
            let value = match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'a'..=b'f' => Some(byte - b'a' + 10),
                _ => None,
            };
            for place in 0..8 {
                let mut digits = *b"0f0f0f0f";
                digits[place] = byte;
                let mut expected = [0x0f_u8; 4];
                let kept = if place % 2 == 0 { 0x0f } else { 0xf0 };
                let shift = if place % 2 == 0 { 4 } else { 0 };
                let at = &mut expected[place / 2];
                *at = *at & kept | value.unwrap_or(0) << shift;
                let expected = value.map(|_| expected);
                assert_eq!(hex::<4>(&digits).ok(), expected, "{byte:#x} at {place}");
            }
        }
        for wrong in [
            &b"0f0f0f"[..],
            b"0f0f0f0",
            b"0f0f0f0f0f",
            b"0f0f0f0f0f0f0f0f",
        ] {
            assert_eq!(hex::<4>(wrong), Err(Malformed), "{wrong:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(header: Vec<u8>) {
            let _ = Traceparent::parse(&header);
        }

        #[test]
        fn digits_are_read_as_the_library_reads_them(digits in "[0-9a-fA-Fg/:`@o+ \\x80]{8}") {
            let lower = digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
            let expected = u32::from_str_radix(&digits, 16).ok().filter(|_| lower);
            let read = hex(digits.as_bytes()).map(u32::from_be_bytes);
            proptest::prop_assert_eq!(read.ok(), expected);
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
