//! The response on its way: polled inside the span, ended when it fails, panics or is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::Watched;
use super::flight::Flight;
use super::outcome::{BodyKind, Ending, hands_over_connection};
use crate::error_type::error_type;

pin_project! {
    /// The future of [`HttpServer`](crate::layers::HttpServer).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // Optional so that it can be dropped inside the span.
        #[pin]
        inner: Option<F>,
        watch: Option<Watch>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.watch.as_ref().map(|watch| watch.flight.enter());
            this.inner.set(None);
            // The flight ends itself: cancelled, or panicked while unwinding.
        }
    }
}

#[derive(Debug)]
struct Watch {
    method: Method,
    flight: Flight,
}

impl<F> ResponseFuture<F> {
    pub(super) fn watching(inner: F, method: Method, flight: Flight) -> Self {
        Self {
            inner: Some(inner),
            watch: Some(Watch { method, flight }),
        }
    }

    /// Leaves the response alone.
    pub(super) fn passing(inner: F) -> Self {
        Self {
            inner: Some(inner),
            watch: None,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<Watched<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this
            .inner
            .as_pin_mut()
            .expect("the inner future is only taken when this one is dropped");
        let Some(watch) = this.watch else {
            let response = ready!(inner.poll(context))?;
            return Poll::Ready(Ok(response.map(Watched::passing)));
        };
        let polled = {
            let _entered = watch.flight.enter();
            catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
        };
        let result = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                // A layer outside may catch it, and then nothing would unwind when we are dropped.
                watch.flight.finish(Ending::Panicked, None);
                resume_unwind(panic)
            }
        };
        let Some(watch) = this.watch.take() else {
            unreachable!("a watched response is taken once, right here");
        };
        Poll::Ready(match result {
            Ok(response) => Ok(watch.response(response)),
            Err(error) => {
                let mut flight = watch.flight;
                flight.finish(Ending::Failed(error_type::<E>()), None);
                Err(error)
            }
        })
    }
}

impl Watch {
    fn response<B: Body>(mut self, response: Response<B>) -> Response<Watched<B>> {
        let (mut head, body) = response.into_parts();
        self.flight.respond(&mut head);
        if hands_over_connection(&self.method, head.status) {
            self.flight.finish(Ending::Complete, None);
            return Response::from_parts(head, Watched::passing(body));
        }
        // Most bodies know their length, and the headers need not be searched.
        let exact = body.size_hint().exact();
        let length = exact.or_else(|| promised(&head));
        let events = length.is_none() && is_event_stream(&head);
        let kind = BodyKind::of(&self.method, head.status, events);
        Response::from_parts(head, Watched::new(body, length, kind, self.flight))
    }
}

/// By the head alone, as for a file or what a proxy passes on. hyper asks for so many bytes and no end.
fn promised(head: &response::Parts) -> Option<u64> {
    head.headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn is_event_stream(head: &response::Parts) -> bool {
    head.headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
