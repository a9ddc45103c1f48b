//! What the trace of one order looks like: the way of the context through the services.

use stack_tests::parts::{Span, Trace};

/// Each of these spans is the parent of the next; the first has none. HTTP, gRPC, then a queue.
const WAY: [(&str, &str); 5] = [
    ("shop", "POST /orders/{item}"),
    ("shop", "shop.Stock/Reserve"),
    ("stock", "shop.Stock/Reserve"),
    ("stock", "send reservations"),
    ("stock", "process reservations"),
];
/// Spans that each service makes for an order.
pub(crate) const OF_SHOP: u64 = 2;
pub(crate) const OF_STOCK: u64 = 3;

/// Whether all spans of an order are there, each below the right one.
pub(crate) fn is_whole(trace: &Trace) -> Result<(), String> {
    let mut parent: Option<&Span> = None;
    for (service, name) in WAY {
        let is_it = |span: &&Span| span.service == service && span.name == name;
        let span = trace.spans.iter().find(is_it);
        let span = span.ok_or_else(|| format!("no {name} of {service} in {trace:#?}"))?;
        if span.parent.as_ref() != parent.map(|parent| &parent.id) {
            return Err(format!("{name} hangs below another span: {trace:#?}"));
        }
        parent = Some(span);
    }
    match trace.spans.len() {
        found if found == WAY.len() => Ok(()),
        found => Err(format!("{found} spans: {trace:#?}")),
    }
}

/// The number of the order, which its path names.
pub(crate) fn number(trace: &Trace) -> Option<u32> {
    let paths = trace
        .spans
        .iter()
        .filter_map(|span| span.tags.get("url.path"));
    let mut numbers = paths.filter_map(|path| path.rsplit('/').next()?.parse().ok());
    numbers.next()
}
