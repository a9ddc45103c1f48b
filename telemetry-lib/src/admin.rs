//! The endpoints on a port of their own, on a thread of their own, so that a service whose
//! runtime is stuck can still be asked.

use std::future::IntoFuture;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::endpoint::{Endpoint, EndpointSet};

/// The port is open while this lives.
#[derive(Debug)]
pub(crate) struct Admin {
    _stop: oneshot::Sender<()>,
}

impl Admin {
    /// Binds before it returns, so that a port that is taken is an error here.
    pub(crate) fn open(
        address: SocketAddr,
        endpoints: Arc<EndpointSet>,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        endpoints.move_metrics();
        let (stop, stopped) = oneshot::channel();
        let serve = move || runtime.block_on(serve(listener, endpoints, stopped));
        thread::Builder::new()
            .name("telemetry-admin".to_owned())
            .spawn(serve)?;
        Ok((Self { _stop: stop }, bound))
    }
}

async fn serve(
    listener: TcpListener,
    endpoints: Arc<EndpointSet>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let answer = move |request: Request| {
        let response = answer(&endpoints, &request);
        async move { response }
    };
    let served = axum::serve(listener, Router::new().fallback(answer)).into_future();
    tokio::select! {
        result = served => result,
        // The handle is gone; a scrape under way may break.
        _ = stopped => Ok(()),
    }
}

fn answer(endpoints: &EndpointSet, request: &Request) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    match endpoint.filter(|_| request.method() == Method::GET) {
        Some(endpoint) => endpoints
            .answer(endpoint, request.headers())
            .map(Body::from),
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}
