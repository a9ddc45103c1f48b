//! The requests of an admin port. A task for each connection, and only so many, because whoever reaches
//! the port may open as many as they like. The oldest gives way to the next one, which may be a probe.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::endpoint::{Endpoint, EndpointSet};

/// Connections at once. Each scraper and each probe has one.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take, and a connection be idle. Between the usual intervals of
/// scrapes, or a connection would end in the instant when the next scrape takes it.
const IDLE: Duration = Duration::from_secs(75);
/// When no connection can be taken, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn serve(
    listener: std::net::TcpListener,
    endpoints: Arc<EndpointSet>,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    let mut open: VecDeque<AbortHandle> = VecDeque::with_capacity(CONNECTIONS);
    loop {
        let stream = accept(&listener).await;
        open.retain(|connection| !connection.is_finished());
        if open.len() == CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let endpoints = Arc::clone(&endpoints);
        let connection = tokio::spawn(async move { connection(stream, &endpoints).await });
        open.push_back(connection.abort_handle());
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_connection(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The client is gone already; the next one may be there.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

async fn connection(stream: TcpStream, endpoints: &EndpointSet) {
    let service = service_fn(async |request: Request<_>| {
        Ok::<_, Infallible>(answer(endpoints, &request).map(Full::new))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // A scraper that breaks off says so itself.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn answer<A>(endpoints: &EndpointSet, request: &Request<A>) -> Response<Bytes> {
    match Endpoint::of(request.method(), request.uri().path()) {
        Some(endpoint) => endpoints.answer(endpoint, request.headers()),
        None => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}
