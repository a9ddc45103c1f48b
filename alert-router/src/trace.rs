//! Which spans belong together across time: the requests that brought a group its news, and the
//! deliveries that tell of it, perhaps after a restart.

use alert_engine::Timestamp;
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, get_active_span,
};

/// So many requests are remembered of each group: they cost bytes in every write of it, and nobody
/// follows a dozen links.
const REMEMBERED: usize = 4;

/// A span that somebody may look for: its trace is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampled {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

/// The requests that brought a group its latest news, oldest first, and when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins(pub(crate) Vec<(Timestamp, Sampled)>);

impl Sampled {
    /// The span that this code runs in.
    pub(crate) fn current() -> Option<Self> {
        get_active_span(|span| Self::of(span.span_context()))
    }

    pub(crate) fn of(span: &SpanContext) -> Option<Self> {
        (span.is_valid() && span.is_sampled()).then(|| Self {
            trace: span.trace_id(),
            span: span.span_id(),
        })
    }

    /// As it is linked to.
    pub(crate) fn context(self) -> SpanContext {
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::NONE);
        SpanContext::new(self.trace, self.span, flags, true, state)
    }
}

impl Origins {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This request brought news. Each of its alerts says so.
    pub(crate) fn add(&mut self, request: Sampled, at: Timestamp) {
        if self.0.last().is_some_and(|(_, last)| *last == request) {
            return;
        }
        let too_many = (self.0.len() + 1).saturating_sub(REMEMBERED);
        self.0.drain(..too_many);
        self.0.push((at, request));
    }

    /// Who brought what is unsaid since then. What nobody brought since, a repetition, is still
    /// about the last news.
    pub(crate) fn since(&self, unsaid: Timestamp) -> impl Iterator<Item = Sampled> {
        let first = self.0.iter().position(|(at, _)| *at >= unsaid);
        let first = first.unwrap_or(self.0.len().saturating_sub(1));
        self.0[first..].iter().map(|(_, request)| *request)
    }
}

/// The current span for somebody else's headers: its ids and nothing more, because baggage may be
/// private, and whoever posted to us may have sent some.
pub(crate) fn ids_only() -> Context {
    let span = get_active_span(|span| span.span_context().clone());
    Context::new().with_remote_span_context(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64) -> Sampled {
        Sampled {
            trace: TraceId::from(u128::from(number)),
            span: SpanId::from(number),
        }
    }

    fn origins(requests: &[(i64, u64)]) -> Origins {
        let mut origins = Origins::default();
        for (at, number) in requests {
            origins.add(request(*number), Timestamp::from_millis(*at));
        }
        origins
    }

    fn since(origins: &Origins, unsaid: i64) -> Vec<Sampled> {
        origins.since(Timestamp::from_millis(unsaid)).collect()
    }

    #[test]
    fn the_last_four_requests_are_remembered_once_each() {
        let origins = origins(&[(1, 1), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (5, 5)]);
        assert_eq!(since(&origins, 0), [2, 3, 4, 5].map(request));
    }

    #[test]
    fn those_that_brought_what_is_unsaid_are_told_else_the_last() {
        let origins = origins(&[(1, 1), (2, 2), (3, 3)]);
        assert_eq!(since(&origins, 2), [2, 3].map(request));
        assert_eq!(since(&origins, 9), [request(3)]);
        assert_eq!(since(&Origins::default(), 0), []);
    }

    #[test]
    fn outside_of_a_sampled_span_there_is_none() {
        assert_eq!(Sampled::current(), None);
        let dark = SpanContext::new(
            TraceId::from(1),
            SpanId::from(1),
            TraceFlags::NOT_SAMPLED,
            true,
            TraceState::NONE,
        );
        assert_eq!(Sampled::of(&dark), None);
        assert_eq!(Sampled::of(&request(1).context()), Some(request(1)));
    }
}
