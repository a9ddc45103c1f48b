//! The response's body, watched to its end, its error or its being dropped.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::flight::Flight;
use super::outcome::{BodyKind, Dropped, Ending};
use crate::error_type::error_type;

pin_project! {
    /// A body that ends its request's span and metric when it ends.
    ///
    /// Forwards `size_hint` and `is_end_stream`, so `content-length` stays what it was.
    #[derive(Debug)]
    pub struct Watched<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        watch: Option<Watch>,
    }

    impl<B> PinnedDrop for Watched<B>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(watch) = this.watch.take() {
                let panicking = std::thread::panicking();
                // A second panic would abort the process, so a broken body is not asked.
                watch.dropped(panicking, !panicking && this.inner.is_end_stream());
            }
        }
    }
}

#[derive(Debug)]
struct Watch {
    flight: Flight,
    /// The length that the body or the response's head promised.
    length: Option<u64>,
    sent: u64,
    kind: BodyKind,
}

impl<B: Body> Watched<B> {
    pub(super) fn new(inner: B, length: Option<u64>, kind: BodyKind, flight: Flight) -> Self {
        let watch = Watch {
            flight,
            length,
            sent: 0,
            kind,
        };
        Self {
            inner,
            watch: Some(watch),
        }
    }

    /// A body that belongs to no watched request.
    pub(crate) fn passing(inner: B) -> Self {
        Self { inner, watch: None }
    }
}

impl<B: Body> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(watch) = this.watch else {
            return this.inner.poll_frame(context);
        };
        let polled = {
            let _entered = watch.flight.enter();
            catch_unwind(AssertUnwindSafe(|| this.inner.as_mut().poll_frame(context)))
        };
        let frame = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                watch.flight.finish(Ending::Panicked, Some(watch.sent));
                resume_unwind(panic)
            }
        };
        match &frame {
            Some(Ok(frame)) => {
                watch.sent += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                // Nothing comes after it, and a server may not ask again.
                if this.inner.is_end_stream() {
                    watch.flight.finish(Ending::Complete, Some(watch.sent));
                }
            }
            Some(Err(_)) => {
                let ending = Ending::Failed(error_type::<B::Error>());
                watch.flight.finish(ending, Some(watch.sent));
            }
            None => watch.flight.finish(Ending::Complete, Some(watch.sent)),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Watch {
    fn dropped(mut self, panicking: bool, at_end: bool) {
        let dropped = Dropped {
            panicking,
            at_end,
            length: self.length,
            sent: self.sent,
            kind: self.kind,
        };
        self.flight.finish(dropped.ending(), Some(self.sent));
    }
}
