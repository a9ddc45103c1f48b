//! Where the parsers read from: an [`http::HeaderMap`] without copies, or any
//! carrier of the OpenTelemetry API.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// One of the headers we read, by both of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Traceparent,
    Tracestate,
    Baggage,
    B3,
    B3TraceId,
    B3SpanId,
    B3Sampled,
    B3Flags,
}

/// Every value of a header, in order, as it came.
pub(crate) trait Carrier {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]>;
}

/// Reads context from an [`HeaderMap`] with [`extract`](super::extract).
#[derive(Clone, Copy, Debug)]
pub struct HeaderCarrier<'a>(pub &'a HeaderMap);

/// Writes context into an [`HeaderMap`] with [`inject`](super::inject).
#[derive(Debug)]
pub struct HeaderCarrierMut<'a>(pub &'a mut HeaderMap);

impl Header {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Traceparent => "traceparent",
            Self::Tracestate => "tracestate",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3TraceId => "x-b3-traceid",
            Self::B3SpanId => "x-b3-spanid",
            Self::B3Sampled => "x-b3-sampled",
            Self::B3Flags => "x-b3-flags",
        }
    }

    /// The header of this name, which is in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "traceparent" => Self::Traceparent,
            "tracestate" => Self::Tracestate,
            "baggage" => Self::Baggage,
            "b3" => Self::B3,
            "x-b3-traceid" => Self::B3TraceId,
            "x-b3-spanid" => Self::B3SpanId,
            "x-b3-sampled" => Self::B3Sampled,
            "x-b3-flags" => Self::B3Flags,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static HeaderName {
        static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
        static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
        static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
        static B3: HeaderName = HeaderName::from_static("b3");
        static B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
        static B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
        static B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
        static B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
        match self {
            Self::Traceparent => &TRACEPARENT,
            Self::Tracestate => &TRACESTATE,
            Self::Baggage => &BAGGAGE,
            Self::B3 => &B3,
            Self::B3TraceId => &B3_TRACE_ID,
            Self::B3SpanId => &B3_SPAN_ID,
            Self::B3Sampled => &B3_SAMPLED,
            Self::B3Flags => &B3_FLAGS,
        }
    }
}

impl Carrier for HeaderMap {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.get_all(header.name())
            .iter()
            .map(HeaderValue::as_bytes)
    }
}

impl Carrier for &dyn Extractor {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.get_all(header.as_str())
            .unwrap_or_default()
            .into_iter()
            .map(str::as_bytes)
    }
}

impl Extractor for HeaderCarrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        // A value that is not ASCII must not vanish: one line of two would look like one.
        let values: Vec<&str> = self
            .0
            .get_all(key)
            .iter()
            .map(|value| value.to_str().unwrap_or("\u{fffd}"))
            .collect();
        (!values.is_empty()).then_some(values)
    }
}

impl Injector for HeaderCarrierMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
