//! The headers of Zipkin, B3: one line (`b3`) or several (`x-b3-*`). Both are read; which of them
//! is written, `OTEL_PROPAGATORS` says.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::carrier::{Carrier, Header};
use super::traceparent::{MAX_BYTES, hex};

/// A caller as B3 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct B3 {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) sampling: Sampling,
}

/// The caller's decision. One that leaves it open counts as `Deny`, as in other SDKs: the
/// sampler of OpenTelemetry knows no third state of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    Deny,
    Accept,
    /// Sampled, and told to everybody below.
    Debug,
}

/// The headers break the grammar; the trace starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl B3 {
    /// `None` without a caller: no header, or only a decision (`b3: 0`), which names no span.
    /// The single header goes before the others.
    pub(super) fn read(carrier: &impl Carrier) -> Result<Option<Self>, Malformed> {
        match only(carrier, Header::B3)? {
            Some(line) => Self::parse(line),
            None => Self::read_several(carrier),
        }
    }

    /// `{trace}-{span}`, `{trace}-{span}-{sampling}`, `{trace}-{span}-{sampling}-{parent}`, or
    /// `{sampling}` alone.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Self>, Malformed> {
        let line = line.trim_ascii();
        let mut fields = line.split(|&byte| byte == b'-');
        let trace = fields.next().unwrap_or_default();
        let Some(span) = fields.next() else {
            return sampling(trace).map(|_| None);
        };
        let sampling = fields.next().map(sampling).transpose()?;
        if let Some(parent) = fields.next() {
            let _parent: [u8; 8] = hex16(parent)?;
        }
        if fields.next().is_some() {
            return Err(Malformed);
        }
        Self::new(trace, span, sampling).map(Some)
    }

    fn read_several(carrier: &impl Carrier) -> Result<Option<Self>, Malformed> {
        let trace = only(carrier, Header::B3TraceId)?;
        let span = only(carrier, Header::B3SpanId)?;
        let (trace, span) = match (trace, span) {
            (Some(trace), Some(span)) => (trace, span),
            (None, None) => return Ok(None),
            (Some(_), None) | (None, Some(_)) => return Err(Malformed),
        };
        let decision = match only(carrier, Header::B3Sampled)? {
            // Old senders spell it out.
            Some(b"true") => Some(Sampling::Accept),
            Some(b"false") => Some(Sampling::Deny),
            Some(b"1") => Some(Sampling::Accept),
            Some(b"0") => Some(Sampling::Deny),
            Some(_) => return Err(Malformed),
            None => None,
        };
        let debug = only(carrier, Header::B3Flags)?.is_some_and(|flags| flags == b"1");
        let decision = debug.then_some(Sampling::Debug).or(decision);
        Self::new(trace, span, decision).map(Some)
    }

    fn new(trace: &[u8], span: &[u8], sampling: Option<Sampling>) -> Result<Self, Malformed> {
        let trace_id = match trace.len() {
            32 => TraceId::from_bytes(hex(trace).map_err(|_| Malformed)?),
            // The short form is the low half.
            16 => TraceId::from(u128::from(u64::from_be_bytes(hex16(trace)?))),
            _ => return Err(Malformed),
        };
        let span_id = SpanId::from_bytes(hex16(span)?);
        if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
            return Err(Malformed);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampling: sampling.unwrap_or(Sampling::Deny),
        })
    }

    pub(super) fn of(context: &SpanContext, debug: bool) -> Self {
        Self {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            sampling: match (debug, context.is_sampled()) {
                (true, _) => Sampling::Debug,
                (false, true) => Sampling::Accept,
                (false, false) => Sampling::Deny,
            },
        }
    }

    pub(super) fn flags(self) -> TraceFlags {
        match self.sampling {
            Sampling::Deny => TraceFlags::NOT_SAMPLED,
            Sampling::Accept | Sampling::Debug => TraceFlags::SAMPLED,
        }
    }

    /// The single header.
    pub(super) fn render(self) -> String {
        let sampling = match self.sampling {
            Sampling::Deny => '0',
            Sampling::Accept => '1',
            Sampling::Debug => 'd',
        };
        format!("{}-{}-{sampling}", self.trace_id, self.span_id)
    }

    /// The several headers.
    pub(super) fn lines(self) -> [(Header, String); 3] {
        let sampling = match self.sampling {
            Sampling::Deny => (Header::B3Sampled, "0"),
            Sampling::Accept => (Header::B3Sampled, "1"),
            Sampling::Debug => (Header::B3Flags, "1"),
        };
        [
            (Header::B3TraceId, self.trace_id.to_string()),
            (Header::B3SpanId, self.span_id.to_string()),
            (sampling.0, sampling.1.to_owned()),
        ]
    }
}

/// Two lines name two callers; neither can be believed. What is too long is not looked at.
fn only(carrier: &impl Carrier, header: Header) -> Result<Option<&[u8]>, Malformed> {
    let mut lines = carrier.values(header);
    let first = lines.next();
    let is_long = first.is_some_and(|line| line.len() > MAX_BYTES);
    match lines.next() {
        None if !is_long => Ok(first.map(<[u8]>::trim_ascii)),
        None | Some(_) => Err(Malformed),
    }
}

fn sampling(field: &[u8]) -> Result<Sampling, Malformed> {
    match field {
        b"0" => Ok(Sampling::Deny),
        b"1" => Ok(Sampling::Accept),
        b"d" => Ok(Sampling::Debug),
        _ => Err(Malformed),
    }
}

fn hex16(digits: &[u8]) -> Result<[u8; 8], Malformed> {
    if digits.len() != 16 {
        return Err(Malformed);
    }
    hex(digits).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SHORT: &str = "64fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";
    const PARENT: &str = "05e3ac9a4f6e3b90";

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Result<Option<&str>, Malformed>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_static(name), value);
        }
        let read = B3::read(&map).map(|found| found.map(B3::render));
        let expected = expected.map(|found| found.map(str::to_owned));
        assert_eq!(read, expected, "{headers:?}");
    }

    #[test]
    fn the_single_header_row_by_row() {
        let full = |sampling: &str| format!("{TRACE}-{SPAN}-{sampling}");
        let check = |line: &str, expected: Result<Option<&str>, Malformed>| {
            check(&[("b3", line)], expected);
        };
        check(&full("1"), Ok(Some(&full("1"))));
        check(&full("0"), Ok(Some(&full("0"))));
        check(&full("d"), Ok(Some(&full("d"))));
        check(&format!("{TRACE}-{SPAN}"), Ok(Some(&full("0")))); // left open
        check(&format!("{}-{PARENT}", full("1")), Ok(Some(&full("1"))));
        let padded = format!("{:032x}-{SPAN}-1", u64::from_str_radix(SHORT, 16).unwrap());
        check(&format!("{SHORT}-{SPAN}-1"), Ok(Some(&padded)));
        check(&format!(" {} ", full("1")), Ok(Some(&full("1"))));
        for decision in ["0", "1", "d"] {
            check(decision, Ok(None));
        }
        for broken in [
            String::new(),
            "2".to_owned(),
            TRACE.to_owned(),
            full("2"),
            full("true"),
            full(""),
            format!("{}-", full("1")),
            format!("{}-{PARENT}-x", full("1")),
            format!("{}-1-{SPAN}", TRACE),
            format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            format!("{}-{SPAN}-1", &TRACE[1..]),
            format!("{TRACE}-{}-1", &SPAN[1..]),
            format!("{}-{SPAN}-1", "0".repeat(32)),
            format!("{TRACE}-{}-1", "0".repeat(16)),
            format!("{}ü-{SPAN}-1", &TRACE[2..]),
        ] {
            check(&broken, Err(Malformed));
        }
    }

    #[test]
    fn the_several_headers_row_by_row() {
        let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        let with = |more: &[(&'static str, &'static str)]| [&ids[..], more].concat();
        let full = |sampling: &str| format!("{TRACE}-{SPAN}-{sampling}");
        check(&with(&[("x-b3-sampled", "1")]), Ok(Some(&full("1"))));
        check(&with(&[("x-b3-sampled", "0")]), Ok(Some(&full("0"))));
        check(&with(&[("x-b3-sampled", "true")]), Ok(Some(&full("1"))));
        check(&with(&[("x-b3-sampled", "false")]), Ok(Some(&full("0"))));
        check(&with(&[]), Ok(Some(&full("0"))));
        check(&with(&[("x-b3-flags", "1")]), Ok(Some(&full("d"))));
        let both = [("x-b3-sampled", "0"), ("x-b3-flags", "1")];
        check(&with(&both), Ok(Some(&full("d"))));
        check(&with(&[("x-b3-flags", "0")]), Ok(Some(&full("0"))));
        check(&[], Ok(None));
        check(&[("x-b3-sampled", "0")], Ok(None));
        check(&ids[..1], Err(Malformed));
        check(&ids[1..], Err(Malformed));
        check(&with(&[("x-b3-sampled", "yes")]), Err(Malformed));
        check(&with(&[("x-b3-spanid", SPAN)]), Err(Malformed)); // two lines
        // The single header goes first, even when it is broken.
        let single = format!("{TRACE}-{PARENT}-0");
        check(
            &with(&[("b3", &*single.leak())]),
            Ok(Some(&format!("{TRACE}-{PARENT}-0"))),
        );
        check(&with(&[("b3", "broken")]), Err(Malformed));
    }
}
