//! Accepts connections, so that whoever opens many and says nothing keeps nobody out: their number
//! is bounded, and each must send the head of a request in time. axum's own loop bounds neither.
//! It speaks HTTP/1 only: what tells HTTP/2 apart waits for its first bytes without end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Stays below the 1,024 files that many systems allow a process.
const CONNECTIONS: usize = 512;
/// From accepting, or from the last answer, to the end of the next head.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait when the system has no more files for us.
const BREATH: Duration = Duration::from_secs(1);

/// Serves until `stop`, then lets the requests under way end.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS, listener, router, stop).await;
}

async fn serve_at_most(
    connections: usize,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let under_way = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN);
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, slot) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = under_way.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is its client's business.
            let _broken = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    under_way.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted; trying again in a second");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Whether only this connection failed, and the next may be taken at once.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    /// A server that holds `connections` at most; where it listens, and what stops it.
    async fn start(connections: usize) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _asked = stopped.await;
        };
        let served = tokio::spawn(serve_at_most(connections, listener, router, stopped));
        (address, stop, served)
    }

    /// Sends `text`, and reads what comes until the other side closes.
    async fn say(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A reset says the same as an end.
        let _end = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_finish_the_head_of_a_request_is_sent_away() {
        let (address, _stop, _served) = start(8).await;
        for begun in ["", "P", "PRI * HTTP", "GET / HTTP/1.1\r\nhost: x\r\n"] {
            let answer = say(address, begun).await;
            assert!(!answer.contains("here"), "{begun:?}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_connections_are_taken_waits_for_one_and_is_served() {
        let (address, _stop, _served) = start(2).await;
        let silent = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let asked = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = say(address, asked).await;
        assert!(answer.ends_with("here"), "{answer}");
        drop(silent);
    }

    #[tokio::test]
    async fn told_to_stop_it_lets_idle_connections_go_and_takes_no_more() {
        let (address, stop, served) = start(2).await;
        let mut kept = TcpStream::connect(address).await.unwrap();
        kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 16];
        kept.read_exact(&mut first).await.unwrap();
        stop.send(()).unwrap();
        served.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
