//! What the traces of the services look like: the way of the context through them.

use stack_tests::parts::{Span, Trace};

/// Service and name of a span, and the place of its parent in the list; who has none is the first.
type Way = [(&'static str, &'static str, Option<usize>)];

/// An order: HTTP, gRPC, and a queue in the stock's process.
const ORDER: &Way = &[
    ("shop", "POST /orders/{item}", None),
    ("shop", "shop.Stock/Reserve", Some(0)),
    ("stock", "shop.Stock/Reserve", Some(1)),
    ("stock", "send reservations", Some(2)),
    ("stock", "process reservations", Some(3)),
];
/// The same with Redis: written, told, and the cache of a third process invalidated and rebuilt.
const THROUGH_REDIS: &Way = &[
    ("shop", "POST /orders/{item}", None),
    ("shop", "shop.Stock/Reserve", Some(0)),
    ("stock", "shop.Stock/Reserve", Some(1)),
    ("stock", "send reservations", Some(2)),
    ("cache", "process reservations", Some(3)),
    ("cache", "invalidate", Some(4)),
    ("cache", "rebuild", Some(4)),
];
/// A delivery that is watched: a stream of gRPC is handed on over HTTP.
const WATCHED: &Way = &[
    ("shop", "GET /orders/{item}/progress", None),
    ("shop", "shop.Stock/Watch", Some(0)),
    ("stock", "shop.Stock/Watch", Some(1)),
];
/// An item that is looked at: the shop asks the cache over HTTP.
const LOOKED_AT: &Way = &[
    ("shop", "GET /items/{item}", None),
    ("shop", "GET", Some(0)),
    ("cache", "GET /items/{item}", Some(1)),
];
/// Spans that each service makes for an order.
pub(crate) const OF_SHOP: u64 = 2;
pub(crate) const OF_STOCK: u64 = 3;
/// With Redis.
pub(crate) const OF_CACHE: u64 = 3;

/// Whether all spans of an order are there, each below the right one.
pub(crate) fn is_whole(trace: &Trace) -> Result<(), String> {
    goes(trace, ORDER)
}

/// As [`is_whole`], where there is a Redis.
pub(crate) fn is_whole_through_redis(trace: &Trace) -> Result<(), String> {
    goes(trace, THROUGH_REDIS)
}

/// Whether all spans of a watched delivery are there.
pub(crate) fn is_watched(trace: &Trace) -> Result<(), String> {
    goes(trace, WATCHED)
}

/// Whether all spans of a look at an item are there.
pub(crate) fn is_looked_at(trace: &Trace) -> Result<(), String> {
    goes(trace, LOOKED_AT)
}

fn goes(trace: &Trace, way: &Way) -> Result<(), String> {
    let mut found: Vec<&Span> = Vec::new();
    for &(service, name, parent) in way {
        let is_it = |span: &&Span| span.service == service && span.name == name;
        let span = trace.spans.iter().find(is_it);
        let span = span.ok_or_else(|| format!("no {name} of {service} in {trace:#?}"))?;
        if span.parent.as_ref() != parent.map(|place| &found[place].id) {
            return Err(format!("{name} hangs below another span: {trace:#?}"));
        }
        found.push(span);
    }
    match trace.spans.len() {
        found if found == way.len() => Ok(()),
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
