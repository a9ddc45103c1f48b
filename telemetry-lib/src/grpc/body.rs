//! The response's body, watched to its trailers, its error or its being dropped.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::call::Call;
use super::outcome::{Ending, Failure};

pin_project! {
    /// A body that ends its call's span and metric when it ends.
    ///
    /// Forwards `size_hint` and `is_end_stream`.
    pub struct CallBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        watch: Option<Watch<B::Error>>,
    }

    impl<B> PinnedDrop for CallBody<B>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(watch) = this.watch.take() {
                // A second panic would abort the process, so a broken body is not asked.
                let panicking = std::thread::panicking();
                watch.dropped(panicking, !panicking && this.inner.is_end_stream());
            }
        }
    }
}

struct Watch<E> {
    call: Call,
    explain: fn(&E) -> Failure,
}

impl<B: Body> CallBody<B> {
    /// A body that belongs to no watched call.
    pub(crate) fn passing(inner: B) -> Self {
        Self { inner, watch: None }
    }
}

impl Call {
    /// Goes on with the body of `response`; `explain` reads the body's errors.
    pub(super) fn watch<B: Body>(
        mut self,
        response: Response<B>,
        explain: fn(&B::Error) -> Failure,
    ) -> Response<CallBody<B>> {
        let (mut head, inner) = response.into_parts();
        self.respond(&mut head);
        let watch = Some(Watch {
            call: self,
            explain,
        });
        Response::from_parts(head, CallBody { inner, watch })
    }
}

impl<B: Body> Body for CallBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(Watch { call, explain }) = this.watch else {
            return this.inner.poll_frame(context);
        };
        let polled = {
            let _entered = call.enter();
            catch_unwind(AssertUnwindSafe(|| this.inner.poll_frame(context)))
        };
        let frame = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                call.finish(Ending::Panicked);
                resume_unwind(panic)
            }
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    call.trailers(trailers);
                }
            }
            Some(Err(error)) => call.finish(Ending::Failed(explain(error))),
            None => call.finish(Ending::Complete),
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

impl<E> Watch<E> {
    /// hyper drops a body at its end without asking once more, and a client the body of a response
    /// whose head has said it all; so a dropped body may be complete.
    fn dropped(mut self, panicking: bool, at_end: bool) {
        self.call.finish(if panicking {
            Ending::Panicked
        } else if at_end || self.call.is_settled() {
            Ending::Complete
        } else {
            Ending::Left
        });
    }
}

impl<B: Body + fmt::Debug> fmt::Debug for CallBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
