//! Pages that are being sent. Whoever reaches `/metrics` may ask for many and read none of them, so only so
//! many are held at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// Some scrapers have one each, for milliseconds.
pub(super) const PAGES: usize = 16;

/// The pages of one handle. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    held: Arc<AtomicUsize>,
    /// Bytes of the last one.
    last: Arc<AtomicUsize>,
}

/// Room for one page, until it is sent or given up.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

struct Held {
    page: Vec<u8>,
    _place: Place,
}

impl Pages {
    pub(super) fn place(&self) -> Option<Place> {
        let more = |held| (held < PAGES).then_some(held + 1);
        self.held.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Place(Arc::clone(&self.held)))
    }

    /// Room for a page that is as long as the last one, and a little more: a text that grows is moved.
    pub(super) fn expected(&self) -> usize {
        let last = self.last.load(Relaxed);
        last + last / 16 + 4_096
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.last.store(bytes, Relaxed);
    }
}

impl Place {
    /// The place is free again with the last part of `page`.
    pub(super) fn hold(self, page: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { page, _place: self })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}
