//! HTTP around the world: bytes in, a call; a reply, bytes out. Its own accept loop, because a
//! simulator must be able to close a connection without an answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::control;
use crate::service::Service;
use crate::world::{Call, MAX_BODY, Reply, Sent};

/// More connections than this wait in the system's queue.
const MAX_CONNECTIONS: usize = 1024;
/// After an accept error (out of descriptors, say) before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Marks a response that is not to be sent: the connection closes instead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Cut;

/// Accepts connections until it is dropped, and with it all of them.
pub(crate) async fn serve(listener: TcpListener, service: Arc<Service>) {
    let router = control::routes().fallback(api).with_state(service);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, Peer(peer.ip()), router.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router) {
    let service = service_fn(move |request| answer(request, peer, router.clone()));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // Either the client went away or a fault cut the connection; nobody here has to know.
    let _ = served.await;
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: Peer,
    router: Router,
) -> Result<Response, Cut> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let response = router
        .oneshot(request)
        .await
        .unwrap_or_else(|never: Infallible| match never {});
    match response.extensions().get::<Cut>() {
        Some(cut) => Err(*cut),
        None => Ok(response),
    }
}

/// Everything that is not ours to control is a call of the service.
async fn api(
    State(service): State<Arc<Service>>,
    Extension(Peer(peer)): Extension<Peer>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = head.uri.path().to_owned();
    let call = Call {
        method: head.method,
        path,
        query,
        body: body.to_vec(),
        peer,
    };
    match service.call(&call) {
        Reply::Send { sent, after } => {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            response(sent)
        }
        Reply::Close => {
            let mut response = Response::default();
            response.extensions_mut().insert(Cut);
            response
        }
        Reply::Hang => std::future::pending().await,
    }
}

fn response(sent: Sent) -> Response {
    let status = StatusCode::from_u16(sent.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = Response::builder().status(status).header("server", "nginx");
    for (name, value) in sent.headers {
        builder = builder.header(name, value);
    }
    let body = Body::from(sent.body);
    builder
        .body(body)
        .expect("the world writes headers in printable ASCII")
}
