//! A connection to the router that is made again whenever it was lost.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One sender of alerts.
pub(crate) struct Client {
    log: PathBuf,
    stream: Option<TcpStream>,
}

impl Client {
    /// To the router that says in this file where it listens.
    pub(crate) fn new(log: &Path) -> Self {
        Self {
            log: log.to_owned(),
            stream: None,
        }
    }

    /// Says whether the router listens.
    pub(crate) async fn connects(&mut self) -> bool {
        if self.stream.is_none()
            && let Some(address) = webhook_of(&self.log)
        {
            self.stream = TcpStream::connect(address).await.ok();
        }
        self.stream.is_some()
    }

    /// Posts a body; says whether the answer was a 200. An error means that it is open what became
    /// of it.
    pub(crate) async fn post(&mut self, body: &str) -> io::Result<bool> {
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let request = format!(
            "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let answer = read_message(&mut stream).await?;
        let (head, _) = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.stream = Some(stream);
        Ok(head.starts_with("HTTP/1.1 200"))
    }
}

/// The address in `webhook  http://127.0.0.1:34337/webhook`, once that line is whole.
fn webhook_of(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_suffix("/webhook"))?;
    let (_, address) = line.split_once("http://")?;
    Some(address.to_owned())
}

/// Reads one HTTP message with a `Content-Length`, its head and its body; `None` when the other side
/// ended before it began.
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::with_capacity(4096);
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return match bytes.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            break (String::from_utf8_lossy(&bytes).into_owned(), body);
        }
    };
    let mut body = body;
    let length = content_length(&head);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some((head, body)))
}

fn content_length(head: &str) -> usize {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().expect("a length is a number"))
    });
    length.unwrap_or(0)
}
