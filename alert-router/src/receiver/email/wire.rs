//! A byte stream on which commands go out and replies come in, with the time that each may take
//! and nothing else. Apart from the conversation, because it holds the only buffer.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::reply::Reply;

/// How long a server may take for a block of a mail.
const STALLED: Duration = Duration::from_secs(60);

/// Bytes of a block.
const BLOCK: usize = 8 * 1024;

/// A byte stream to a server: TCP, TLS, or a test's.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug> Io for T {}

/// The stream, and what was read of it but not taken.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Box<dyn Io>,
    unread: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Io>) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// The next reply.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = Reply::take(&mut self.unread).map_err(io::Error::other)? {
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether the server is silent and there: nothing was read that nobody asked for, nothing waits
    /// to be read, and that includes the end.
    pub(super) fn is_quiet(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        let answer = read.now_or_never();
        self.unread.is_empty() && answer.is_none()
    }

    /// Sends a command, which ends its line itself, and waits for the reply.
    pub(super) async fn ask(&mut self, command: &str) -> io::Result<Reply> {
        self.send(command.as_bytes()).await?;
        self.reply().await
    }

    /// Sends a mail without its end, so that no line of it looks like the end.
    pub(super) async fn send_mail(&mut self, mail: &[u8]) -> io::Result<()> {
        for block in stuffed(mail).chunks(BLOCK) {
            within(STALLED, self.send(block)).await?;
        }
        Ok(())
    }

    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The stream, for TLS to begin on it. A server says nothing between its leave and the
    /// handshake: what is there was slipped in by somebody else, to count as a reply later.
    pub(super) fn into_stream(self) -> io::Result<Box<dyn Io>> {
        if self.unread.is_empty() {
            return Ok(self.stream);
        }
        Err(io::Error::other(
            "there was plain text between STARTTLS and the handshake",
        ))
    }
}

/// The work, or `TimedOut` after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A mail with a dot before each dot that begins a line, ended by a line break.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_line_of_a_mail_looks_like_its_end() {
        let cases = [
            ("a\r\n", "a\r\n"),
            ("a", "a\r\n"),
            (".\r\n..\r\n.x\r\na.\r\n", "..\r\n...\r\n..x\r\na.\r\n"),
            ("", "\r\n"),
        ];
        for (mail, want) in cases {
            assert_eq!(stuffed(mail.as_bytes()), want.as_bytes(), "{mail:?}");
        }
    }

    proptest! {
        #[test]
        fn a_server_gets_back_what_was_stuffed(lines in proptest::collection::vec("[.a-z]{0,5}", 1..20)) {
            let mail = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
            let stuffed = String::from_utf8(stuffed(mail.as_bytes())).unwrap();
            let read: Vec<_> = stuffed.lines().map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert_eq!(read, lines);
            prop_assert!(!stuffed.lines().any(|line| line == "."));
        }
    }
}
