//! A small HTTP server for tests that answers as told: also too late, half, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// HTTP 200 with this body.
    Ok(String),
    /// A status line with headers after it, and a body.
    Http(&'static str, String),
    /// Reads the request and says nothing more.
    Hang,
    /// Sends the head and half of the body, then says nothing more.
    HangInBody,
    /// Takes the request and closes the connection.
    Close,
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Stops when dropped.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts on loopback; `script` gets each request with its number, from 0.
    pub(crate) async fn start(
        script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), log.clone()));
            }
        });
        Self { port, seen, task }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        let port = self.port;
        Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap()
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The requests whose request line contains `path`.
    pub(crate) fn count(&self, path: &str) -> usize {
        let seen = self.seen();
        let lines = seen.iter().filter_map(|seen| seen.head.lines().next());
        lines.filter(|line| line.contains(path)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<impl Fn(usize, &Seen) -> Reply>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let Some(seen) = read(&mut stream).await else {
        return;
    };
    let number = {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(seen.clone());
        log.len() - 1
    };
    let (head, body, hangs) = match script(number, &seen) {
        Reply::Ok(body) => ("200 OK", body, false),
        Reply::Http(head, body) => (head, body, false),
        Reply::HangInBody => ("200 OK", "{\"errcode\":0}".to_owned(), true),
        Reply::Hang => std::future::pending().await,
        Reply::Close => return,
    };
    let length = body.len();
    let sent = if hangs { length / 2 } else { length };
    let answer = format!(
        "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{}",
        &body[..sent]
    );
    // The client may have gone; that is its business.
    let _ = stream.write_all(answer.as_bytes()).await;
    if hangs {
        std::future::pending::<()>().await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = complete(&bytes) {
            return Some(seen);
        }
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
    }
}

fn complete(bytes: &[u8]) -> Option<Seen> {
    let text = String::from_utf8_lossy(bytes);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    let body = bytes.get(head.len() + 4..head.len() + 4 + length)?;
    Some(Seen {
        head: head.to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}
