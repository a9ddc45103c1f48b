//! A router behind a real hyper server and in front of a real hyper client, joined by an
//! in-memory connection, so that a test can wait until the server has let go of everything.

use std::sync::{Arc, Mutex};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1 as client1, http2 as client2};
use hyper::server::conn::{http1 as server1, http2 as server2};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) struct Wire {
    client: Client,
    connection: JoinHandle<()>,
    tasks: Tasks,
}

enum Client {
    Http1(client1::SendRequest<Empty<Bytes>>),
    Http2(client2::SendRequest<Empty<Bytes>>),
}

/// Every task that hyper starts, so that they can be waited for.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::spawn(async move {
            future.await;
        });
        self.0.lock().unwrap().push(task);
    }
}

impl Wire {
    pub(crate) async fn connect(protocol: Protocol, router: Router) -> Self {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (near, far) = (TokioIo::new(near), TokioIo::new(far));
        let service = TowerToHyperService::new(router);
        let tasks = Tasks::default();
        let executor = tasks.clone();
        let server = tokio::spawn(async move {
            // How a connection ended is the client's doing and not under test.
            let _ = match protocol {
                Protocol::Http1 => {
                    let server = server1::Builder::new();
                    server.serve_connection(far, service).with_upgrades().await
                }
                Protocol::Http2 => {
                    let server = server2::Builder::new(executor);
                    server.serve_connection(far, service).await
                }
            };
        });
        tasks.0.lock().unwrap().push(server);
        let (client, connection) = match protocol {
            Protocol::Http1 => {
                let (client, connection) = client1::handshake(near).await.unwrap();
                let connection = connection.with_upgrades();
                (
                    Client::Http1(client),
                    tokio::spawn(async { drop(connection.await) }),
                )
            }
            Protocol::Http2 => {
                let executor = tasks.clone();
                let (client, connection) = client2::handshake(executor, near).await.unwrap();
                (
                    Client::Http2(client),
                    tokio::spawn(async { drop(connection.await) }),
                )
            }
        };
        Self {
            client,
            connection,
            tasks,
        }
    }

    /// `None` if the connection broke before there was a response.
    pub(crate) async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> Option<Response<Incoming>> {
        match &mut self.client {
            Client::Http1(client) => client.send_request(request).await.ok(),
            Client::Http2(client) => client.send_request(request).await.ok(),
        }
    }

    /// Leaves, and waits until the server has dropped every request and body.
    pub(crate) async fn close(self) {
        drop(self.client);
        self.connection.abort();
        let _ = self.connection.await;
        loop {
            let Some(task) = self.tasks.0.lock().unwrap().pop() else {
                return;
            };
            // A handler of the test may have panicked in it.
            let _ = task.await;
        }
    }
}

/// A request in the form that its protocol needs.
pub(crate) fn request(protocol: Protocol, method: &str, path: &str) -> http::request::Builder {
    let builder = Request::builder().method(method);
    match protocol {
        Protocol::Http1 => builder.uri(path).header("host", "shop.example:8080"),
        Protocol::Http2 => builder.uri(format!("http://shop.example:8080{path}")),
    }
}

/// Reads a body to its end; `None` if it broke.
pub(crate) async fn read(response: Response<Incoming>) -> Option<Bytes> {
    Some(response.into_body().collect().await.ok()?.to_bytes())
}
