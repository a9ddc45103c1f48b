//! Which traces may stand beside an observation: those that can be looked up.

use crate::clock::Elapsed;
use crate::engine::OpenSpan;
use crate::export::QueueProcessor;
use crate::metrics::Exemplar;

/// The exemplar of a span that is sampled and for which `queue` has room; without a queue there are
/// none.
pub(crate) fn findable(
    span: &OpenSpan,
    queue: Option<&QueueProcessor>,
    elapsed: Elapsed,
) -> Option<Exemplar> {
    let found = span.is_sampled() && queue?.has_room();
    let ids = span.ids()?;
    found.then_some(Exemplar {
        trace_id: ids.trace,
        span_id: ids.span,
        at: elapsed.end,
    })
}
