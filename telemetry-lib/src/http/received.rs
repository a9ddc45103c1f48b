//! How long the body of a request is: as long as the service has read it, where we can count that, because
//! what a request announces is up to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long the body of a request is.
#[derive(Debug)]
pub(crate) enum BodySize {
    Counted(Received),
    /// In `content-length`, where the body passes us by; a chunked one announces none.
    Announced(u64),
}

/// The bytes that the service has read until now. Stands in the extensions of a request whose body is
/// counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received(Arc<AtomicU64>);

impl BodySize {
    /// Bytes, until now.
    pub(super) fn get(&self) -> u64 {
        match self {
            Self::Counted(received) => received.0.load(Relaxed),
            Self::Announced(bytes) => *bytes,
        }
    }
}

#[cfg(feature = "axum")]
impl Received {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Relaxed);
    }
}
