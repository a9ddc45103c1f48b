//! Whether a request can meet two layers of this crate. Only then is it marked as instrumented: the mark
//! makes its extensions grow, which costs as much as the rest of the metrics.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The layers of this process that a request may come to, of all handles.
static LAYERS: AtomicUsize = AtomicUsize::new(0);

/// What may stand around a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Around {
    /// Each route of one router: a request comes to it once.
    #[cfg(feature = "axum")]
    OneRouter,
    /// Whatever the service puts it around, also repeatedly.
    Anything,
}

/// A layer is given out.
pub(crate) fn layer_made(around: Around) {
    let more = match around {
        #[cfg(feature = "axum")]
        Around::OneRouter => 1,
        Around::Anything => 2,
    };
    // More than two are as many as two; nothing may wrap around.
    let _ = LAYERS.fetch_update(Relaxed, Relaxed, |layers| {
        (layers < 2).then_some(layers + more)
    });
}

/// Whether a request may come to a second layer.
pub(crate) fn may_nest() -> bool {
    LAYERS.load(Relaxed) > 1
}
