//! An attempt on its way: polled inside the span, ended when it answers, fails, panics or is
//! dropped.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::answer::Answer;
use super::attempt::Attempt;
use super::fault;
use crate::http::Ending;

pin_project! {
    /// The future of [`HttpClient`](crate::layers::HttpClient).
    #[derive(Debug)]
    pub struct ClientFuture<F> {
        // Optional so that it can be dropped inside the span.
        #[pin]
        inner: Option<F>,
        attempt: Option<Attempt>,
    }

    impl<F> PinnedDrop for ClientFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.attempt.as_ref().map(Attempt::enter);
            this.inner.set(None);
            // The attempt ends itself: cancelled, or panicked while unwinding.
        }
    }
}

impl<F> ClientFuture<F> {
    pub(super) fn watching(inner: F, attempt: Attempt) -> Self {
        Self {
            inner: Some(inner),
            attempt: Some(attempt),
        }
    }

    /// Records nothing.
    #[cfg(feature = "reqwest")]
    pub(super) fn passing(inner: F) -> Self {
        Self {
            inner: Some(inner),
            attempt: None,
        }
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: Answer,
    E: 'static,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this
            .inner
            .as_pin_mut()
            .expect("the inner future is only taken when this one is dropped");
        let Some(attempt) = this.attempt else {
            return inner.poll(context);
        };
        let polled = {
            let _entered = attempt.enter();
            catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
        };
        let result = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                // A layer outside may catch it, and then nothing would unwind when we are dropped.
                attempt.finish(Ending::Panicked);
                resume_unwind(panic)
            }
        };
        match &result {
            Ok(answer) => attempt.answered(answer),
            Err(error) => attempt.finish(Ending::Failed(fault::error_type(error))),
        }
        Poll::Ready(result)
    }
}
