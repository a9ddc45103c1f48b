//! The least HTTP client that an operator's tools need: one request per connection, and an answer
//! that is read also when the server gives up on a body half way.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks the server at `address` (host and port).
///
/// # Errors
/// It does not answer; the text is for the message of a failed wait.
pub(crate) async fn call(address: &str, call: &Call<'_>) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let mut head = format!(
        "{} {} HTTP/1.0\r\nHost: {address}\r\n",
        call.method, call.path
    );
    for (name, value) in call.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", call.body.len()));
    let (mut read, mut write) = stream.split();
    let send = async {
        // A server that refuses early closes before it has everything; its answer tells.
        let _early = write.write_all(head.as_bytes()).await;
        let _early = write.write_all(call.body).await;
    };
    let mut answer = Vec::new();
    let receive = async {
        let mut chunk = [0; 16 << 10];
        // An error after the answer is the server's way to say that it wants no more.
        while let Ok(read @ 1..) = read.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..read]);
        }
    };
    tokio::join!(send, receive);
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("{address}: no answer: {text:?}"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| format!("no status: {head}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
