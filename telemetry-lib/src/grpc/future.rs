//! The response on its way: polled inside the call's span, ended when it fails, panics or is
//! dropped.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::CallBody;
use super::call::Call;
use super::code::Code;
use super::outcome::{Ending, Failure};
use crate::error_type::error_type;

/// What the clients of tonic take for an error.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The future of [`GrpcServer`](crate::layers::GrpcServer).
    #[derive(Debug)]
    pub struct GrpcServerFuture<F> {
        #[pin]
        calling: Calling<F>,
    }
}

pin_project! {
    /// The future of [`GrpcClient`](crate::layers::GrpcClient).
    #[derive(Debug)]
    pub struct GrpcClientFuture<F> {
        #[pin]
        calling: Calling<F>,
    }
}

pin_project! {
    /// What both sides do with the service's future.
    #[derive(Debug)]
    struct Calling<F> {
        // Optional so that it can be dropped inside the span.
        #[pin]
        inner: Option<F>,
        call: Option<Call>,
    }

    impl<F> PinnedDrop for Calling<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.call.as_ref().map(Call::enter);
            this.inner.set(None);
            // The call ends itself: left, or panicked while unwinding.
        }
    }
}

impl<F> GrpcServerFuture<F> {
    pub(super) fn new(inner: F, call: Option<Call>) -> Self {
        let calling = Calling::new(inner, call);
        Self { calling }
    }
}

impl<F> GrpcClientFuture<F> {
    pub(super) fn new(inner: F, call: Call) -> Self {
        let calling = Calling::new(inner, Some(call));
        Self { calling }
    }
}

impl<F> Calling<F> {
    fn new(inner: F, call: Option<Call>) -> Self {
        Self {
            inner: Some(inner),
            call,
        }
    }
}

impl<F: Future> Calling<F> {
    /// The service's answer, and the call that it belongs to.
    fn poll_inner(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<(F::Output, Option<Call>)> {
        let this = self.project();
        let inner = this
            .inner
            .as_pin_mut()
            .expect("the inner future is only taken when this one is dropped");
        let Some(call) = this.call else {
            return inner.poll(context).map(|output| (output, None));
        };
        let polled = {
            let _entered = call.enter();
            catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
        };
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready((output, this.call.take())),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => {
                // A layer outside may catch it, and then nothing would unwind when we are dropped.
                call.finish(Ending::Panicked);
                resume_unwind(panic)
            }
        }
    }
}

impl<F, B, E> Future for GrpcServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<CallBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, call) = ready!(self.project().calling.poll_inner(context));
        Poll::Ready(match (result, call) {
            (result, None) => result.map(|response| response.map(CallBody::passing)),
            (Ok(response), Some(call)) => Ok(call.watch(response, Failure::of_server)),
            (Err(error), Some(mut call)) => {
                // What the caller is told is decided by layers outside of this one.
                call.finish(Ending::Failed(Failure {
                    name: error_type::<E>(),
                    code: Code::Unknown,
                }));
                Err(error)
            }
        })
    }
}

impl<F, B, E> Future for GrpcClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: Error + 'static>,
    E: Into<BoxError>,
{
    type Output = Result<Response<CallBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, call) = ready!(self.project().calling.poll_inner(context));
        Poll::Ready(match (result.map_err(Into::into), call) {
            (result, None) => result.map(|response| response.map(CallBody::passing)),
            (Ok(response), Some(call)) => Ok(call.watch(response, Failure::of_client)),
            (Err(error), Some(mut call)) => {
                let error: BoxError = error;
                call.finish(Ending::Failed(Failure::explain(error_type::<E>(), &*error)));
                Err(error)
            }
        })
    }
}
