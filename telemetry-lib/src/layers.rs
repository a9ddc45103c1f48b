//! The layers, as `Telemetry` makes them, with their services, futures and bodies; and one beside the
//! telemetry of requests: a panic becomes a recorded 500.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use crate::grpc::{
    CallBody, GrpcClient, GrpcClientFuture, GrpcClientLayer, GrpcServer, GrpcServerFuture,
    GrpcServerLayer,
};
pub use crate::http::{HttpServer, HttpServerLayer, ResponseFuture, Watched};
pub use crate::http_client::{ClientFuture, HttpClient, HttpClientLayer};

/// Makes a layer that answers 500 for a handler that panics.
///
/// The panic is logged at ERROR with its message inside the request's span; the server
/// layer outside of this one records `error.type="panic"`. The caller sees an empty body.
/// `B` must have a default, as `axum::body::Body` has.
#[must_use]
pub fn panic() -> PanicLayer {
    PanicLayer(())
}

/// The layer that [`panic()`] makes.
#[derive(Clone, Copy, Debug)]
pub struct PanicLayer(());

/// The service of [`PanicLayer`].
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

pin_project! {
    /// The future of [`CatchPanic`].
    #[derive(Debug)]
    pub struct CatchPanicFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Running { #[pin] inner: F },
        /// `call` itself panicked.
        Panicked,
    }
}

/// Tells the server layer that the response stands for a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panicked;

impl<S> Layer<S> for PanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanic { inner }
    }
}

impl<S, A, B> Service<Request<A>> for CatchPanic<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let called = std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        CatchPanicFuture {
            state: match called {
                Ok(inner) => State::Running { inner },
                Err(panic) => {
                    report(&*panic);
                    State::Panicked
                }
            },
        }
    }
}

impl<F, B, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let polled = match state.as_mut().project() {
            StateProjection::Panicked => return Poll::Ready(Ok(response())),
            StateProjection::Running { inner } => {
                std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
            }
        };
        match polled {
            Ok(polled) => Poll::Ready(ready!(polled)),
            Err(panic) => {
                report(&*panic);
                state.set(State::Panicked);
                Poll::Ready(Ok(response()))
            }
        }
    }
}

fn response<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(Panicked);
    response
}

fn report(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(
        exception.r#type = "panic",
        exception.message = text.unwrap_or("a value that is not text"),
        "handler panicked"
    );
}
