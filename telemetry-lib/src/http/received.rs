//! The body of a request, counted as the service reads it: what a request announces is up to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

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

pin_project! {
    /// A body that counts what is read of it.
    #[derive(Debug)]
    pub(crate) struct Counted<B> {
        #[pin]
        inner: B,
        received: Received,
    }
}

impl BodySize {
    /// Bytes, until now.
    pub(super) fn get(&self) -> u64 {
        match self {
            Self::Counted(received) => received.0.load(Relaxed),
            Self::Announced(bytes) => *bytes,
        }
    }
}

impl Received {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Relaxed);
    }
}

impl<B> Counted<B> {
    pub(crate) fn new(inner: B, received: Received) -> Self {
        Self { inner, received }
    }
}

impl<B: Body> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.received
                .add(frame.data_ref().map_or(0, Buf::remaining));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
