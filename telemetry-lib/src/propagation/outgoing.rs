//! What a request that leaves is given: the context, unless it carries this trace already, and
//! the baggage, if its host may have it.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use super::Propagators;
use super::carrier::{Header, HeaderCarrierMut};

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// One of `Config::propagate_to`.
    Own,
    /// Any other: it gets no baggage.
    Foreign,
}

/// Writes `context` into the headers of an outgoing request.
///
/// A valid context of the same trace that is there already is left alone: whoever put it there,
/// such as a layer of gRPC, knows better which span is the parent. One of another trace, and what
/// is no context, is replaced, its state included. A baggage header that is there already goes to
/// a foreign host as little as ours does.
pub(crate) fn stamp(
    context: &Context,
    headers: &mut HeaderMap,
    propagators: Propagators,
    host: Host,
) {
    if host == Host::Foreign && propagators.baggage {
        headers.remove(Header::Baggage.name());
    }
    if carries(headers, propagators, context) {
        return;
    }
    if context.span().span_context().is_valid() {
        for header in propagators.trace_headers() {
            headers.remove(header.name());
        }
    }
    let mut carrier = HeaderCarrierMut(headers);
    match host {
        Host::Own => propagators.inject(context, &mut carrier),
        Host::Foreign => propagators.inject_trace(context, &mut carrier),
    }
}

/// Whether the headers hold a context of this trace.
fn carries(headers: &HeaderMap, propagators: Propagators, context: &Context) -> bool {
    let some = propagators
        .trace_headers()
        .any(|header| headers.contains_key(header.name()));
    // Most requests come without, and need not be read.
    if !some {
        return false;
    }
    let there = propagators.extract(headers).context;
    let (there, own) = (there.span(), context.span());
    let (there, own) = (there.span_context(), own.span_context());
    there.is_valid() && there.trace_id() == own.trace_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const SAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000aa-01";
    const OTHER: &str = "00-11111111111111111111111111111111-00000000000000aa-01";

    /// `traceparent` and `tracestate` of a request that had `there` and is sent from `from`.
    fn sent(from: &str, there: Option<&str>) -> (String, Option<String>) {
        let mut incoming = HeaderMap::new();
        incoming.insert("traceparent", from.parse().unwrap());
        let context = Propagators::default().extract(&incoming).context;
        let mut headers = HeaderMap::new();
        if let Some(there) = there {
            headers.insert("traceparent", there.parse().unwrap());
            headers.insert("tracestate", "vendor=1".parse().unwrap());
        }
        stamp(&context, &mut headers, Propagators::default(), Host::Own);
        let text = |name: &str| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        (text("traceparent").unwrap_or_default(), text("tracestate"))
    }

    #[test]
    fn a_context_of_the_same_trace_is_left_alone_and_no_other() {
        let own = |state: Option<&str>| (OURS.to_owned(), state.map(str::to_owned));
        assert_eq!(sent(OURS, None), own(None));
        assert_eq!(sent(OURS, Some("garbage")), own(None));
        assert_eq!(sent(OURS, Some(OTHER)), own(None));
        let kept = Some("vendor=1".to_owned());
        assert_eq!(sent(OURS, Some(SAME)), (SAME.to_owned(), kept.clone()));
        // Nothing to say: what is there stays.
        assert_eq!(sent("garbage", Some(OTHER)), (OTHER.to_owned(), kept));
        assert_eq!(sent("garbage", None), (String::new(), None));
    }

    #[test]
    fn a_foreign_host_gets_the_ids_and_no_baggage_not_even_what_was_there() {
        let mut incoming = HeaderMap::new();
        incoming.insert("traceparent", OURS.parse().unwrap());
        incoming.insert("baggage", "tenant=7".parse().unwrap());
        let context = Propagators::default().extract(&incoming).context;
        for (host, baggage) in [(Host::Own, Some("tenant=7")), (Host::Foreign, None)] {
            let mut headers = HeaderMap::new();
            headers.insert("baggage", "copied=1".parse().unwrap());
            stamp(&context, &mut headers, Propagators::default(), host);
            let sent = headers.get("baggage").map(|it| it.to_str().unwrap());
            assert_eq!(sent, baggage);
            assert_eq!(headers["traceparent"], OURS);
        }
    }
}
