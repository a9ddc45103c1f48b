//! The endpoints on a port of their own, on a thread of their own, so that a service whose
//! runtime is stuck can still be asked.

use std::future::IntoFuture;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use crate::endpoint::{Endpoint, EndpointSet};

/// The port is open while this lives.
#[derive(Debug)]
pub(crate) struct Admin {
    _stop: oneshot::Sender<()>,
}

/// A port that is taken, and a thread that is ready to serve it. Dropped, it gives both back.
pub(crate) struct Taken {
    address: SocketAddr,
    listener: TcpListener,
    begin: SyncSender<Begin>,
    admin: Admin,
}

/// What the thread waits for.
struct Begin {
    listener: TcpListener,
    endpoints: Arc<EndpointSet>,
}

impl Taken {
    /// Everything that can fail is done when it returns.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let (begin, told) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        // The runtime is made and dropped on its thread, because neither may happen to it inside another.
        let work = move || work(&ready, &told, stopped);
        thread::Builder::new()
            .name("telemetry-admin".to_owned())
            .spawn(work)?;
        let is_up = is_ready.recv().unwrap_or(Err(io::ErrorKind::Other.into()));
        is_up?;
        Ok(Self {
            address,
            listener,
            begin,
            admin: Admin { _stop: stop },
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the service's own port does not answer `/metrics`.
    pub(crate) fn serve(self, endpoints: Arc<EndpointSet>) -> Admin {
        endpoints.move_metrics();
        let listener = self.listener;
        // It waits for nothing else, and there is room.
        let _ = self.begin.try_send(Begin {
            listener,
            endpoints,
        });
        self.admin
    }
}

fn work(
    ready: &SyncSender<io::Result<()>>,
    told: &Receiver<Begin>,
    stopped: oneshot::Receiver<()>,
) {
    let built = runtime::Builder::new_current_thread().enable_all().build();
    let (runtime, is_up) = match built {
        Ok(runtime) => (Some(runtime), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Who asked waits for it.
    let _ = ready.send(is_up);
    if let (Some(runtime), Ok(begin)) = (runtime, told.recv()) {
        run(&runtime, begin, stopped);
    }
}

fn run(runtime: &Runtime, begin: Begin, stopped: oneshot::Receiver<()>) {
    // There is nobody left to tell; a scrape finds nobody.
    let _ = runtime.block_on(serve(begin.listener, begin.endpoints, stopped));
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
