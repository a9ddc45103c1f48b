//! The receiving side of SMTP (RFC 5321), as much as a client on this machine needs: every line, mail
//! and wait is bounded.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::Mailbox;

/// RFC 5321 allows 1,000 bytes of text; some send more.
const MAX_LINE: u64 = 4_096;
/// An alert's mail has some ten kilobytes.
const MAX_MAIL: usize = 256 * 1024;
const MAX_RECIPIENTS: usize = 100;

const EHLO: &str = "250-demo\r\n250-8BITMIME\r\n250 SIZE 262144\r\n";
const TOO_LONG: &str = "500 line too long\r\n";

/// What a session has been told so far.
#[derive(Debug, Default)]
struct Envelope {
    has_sender: bool,
    to: Vec<String>,
}

/// The text after DATA.
#[derive(Debug, PartialEq, Eq)]
enum Text {
    Whole(Vec<u8>),
    TooLarge,
}

/// Serves one connection to its end.
pub(super) async fn session(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mailbox: &Mailbox,
    patience: Duration,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut envelope = Envelope::default();
    say(&mut stream, "220 demo ESMTP\r\n").await?;
    loop {
        let Some(line) = read_line(&mut stream, patience).await? else {
            return say(&mut stream, TOO_LONG).await;
        };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let reply = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => EHLO,
            "HELO" | "NOOP" => "250 demo\r\n",
            "RSET" => {
                envelope = Envelope::default();
                "250 forgotten\r\n"
            }
            "MAIL" => envelope.sender(),
            "RCPT" => envelope.recipient(&line),
            "DATA" if envelope.to.is_empty() => "503 RCPT first\r\n",
            "DATA" => {
                say(&mut stream, "354 end with a dot\r\n").await?;
                let to = std::mem::take(&mut envelope).to;
                match read_text(&mut stream, patience).await? {
                    Some(Text::Whole(text)) => {
                        mailbox.take(to, &text);
                        "250 it is on the page\r\n"
                    }
                    Some(Text::TooLarge) => "552 larger than 256 KiB\r\n",
                    None => return say(&mut stream, TOO_LONG).await,
                }
            }
            "QUIT" => return say(&mut stream, "221 bye\r\n").await,
            "" => return Ok(()), // the client has closed
            _ => "502 not here\r\n",
        };
        say(&mut stream, reply).await?;
    }
}

impl Envelope {
    fn sender(&mut self) -> &'static str {
        *self = Self {
            has_sender: true,
            to: Vec::new(),
        };
        "250 ok\r\n"
    }

    fn recipient(&mut self, line: &str) -> &'static str {
        let address = line
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        match address {
            _ if !self.has_sender => "503 MAIL first\r\n",
            _ if self.to.len() >= MAX_RECIPIENTS => "452 enough recipients\r\n",
            Some((address, _)) => {
                self.to.push(address.to_owned());
                "250 ok\r\n"
            }
            None => "501 RCPT TO:<address>\r\n",
        }
    }
}

/// The next line with its end, empty at the end of the stream; `None` if it is too long.
async fn read_line(
    stream: &mut (impl AsyncBufReadExt + Unpin),
    patience: Duration,
) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_LINE);
    tokio::time::timeout(patience, bounded.read_until(b'\n', &mut line)).await??;
    let is_whole = line.ends_with(b"\n") || u64::try_from(line.len()).is_ok_and(|n| n < MAX_LINE);
    Ok(is_whole.then_some(line))
}

/// The lines up to the lone dot; `None` if one is too long.
async fn read_text(
    stream: &mut (impl AsyncBufReadExt + Unpin),
    patience: Duration,
) -> io::Result<Option<Text>> {
    let mut text = Vec::new();
    let mut is_too_large = false;
    loop {
        let Some(line) = read_line(stream, patience).await? else {
            return Ok(None);
        };
        match line.as_slice() {
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            b".\r\n" | b".\n" if is_too_large => return Ok(Some(Text::TooLarge)),
            b".\r\n" | b".\n" => return Ok(Some(Text::Whole(text))),
            line if text.len() + line.len() > MAX_MAIL => {
                is_too_large = true;
                text.clear();
                text.shrink_to_fit();
            }
            _ if is_too_large => {}
            line => text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line)),
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), reply: &str) -> io::Result<()> {
    stream.write_all(reply.as_bytes()).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a session answers to `lines`, and what it took.
    async fn talk(lines: &[u8]) -> (String, Mailbox) {
        let mailbox = Mailbox::default();
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(lines).await.unwrap();
        client.shutdown().await.unwrap();
        let ended = session(server, &mailbox, Duration::from_secs(1)).await;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        if let Err(error) = ended {
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{answers}");
        }
        (answers, mailbox)
    }

    fn codes(answers: &str) -> Vec<&str> {
        let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
        answers
            .lines()
            .filter(last)
            .map(|line| &line[..3])
            .collect()
    }

    const HEAD: &str = "EHLO me\r\nMAIL FROM:<a@b.test> SIZE=9\r\nRCPT TO:<c@d.test>\r\nrcpt to:<e@f.test>\r\nDATA\r\n";

    #[tokio::test]
    async fn a_mail_arrives_with_its_dots_and_all_recipients() {
        let mail = "Subject: hi\r\n\r\none\r\n..two\r\n.\r\nQUIT\r\n";
        let (answers, mailbox) = talk(format!("{HEAD}{mail}").as_bytes()).await;
        let expected = ["220", "250", "250", "250", "250", "354", "250", "221"];
        assert_eq!(codes(&answers), expected);
        let mails = mailbox.mails();
        assert_eq!(mails[0].to, ["c@d.test", "e@f.test"]);
        assert_eq!(mails[0].text, "one\r\n.two\r\n");
    }

    #[tokio::test]
    async fn what_comes_out_of_order_is_refused_and_the_session_goes_on() {
        let (answers, mailbox) = talk(b"DATA\r\nRCPT TO:<a@b.test>\r\nSTARTTLS\r\nNOOP\r\n").await;
        assert_eq!(codes(&answers), ["220", "503", "503", "502", "250"]);
        assert!(mailbox.mails().is_empty());
    }

    #[tokio::test]
    async fn a_mail_over_the_bound_is_refused_and_the_next_one_taken() {
        let line = format!("{}\r\n", "x".repeat(998));
        let large = line.repeat(MAX_MAIL / 1_000 + 2);
        let small = "MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n\r\nsmall\r\n.\r\n";
        let (answers, mailbox) = talk(format!("{HEAD}{large}.\r\n{small}").as_bytes()).await;
        assert_eq!(codes(&answers)[6..], ["552", "250", "250", "354", "250"]);
        assert_eq!(mailbox.mails().len(), 1);
        assert_eq!(mailbox.mails()[0].text, "small\r\n");
    }

    #[tokio::test]
    async fn a_line_without_an_end_closes_the_session() {
        let (answers, _) = talk(&[b'x'; 10_000]).await;
        assert_eq!(codes(&answers), ["220", "500"]);
    }

    #[tokio::test]
    async fn a_sender_that_breaks_off_has_brought_nothing() {
        let (_, mailbox) = talk(format!("{HEAD}Subject: hi\r\n\r\nhalf").as_bytes()).await;
        assert!(mailbox.mails().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_says_nothing_is_not_waited_for() {
        let (_client, server) = tokio::io::duplex(64);
        let waited = session(server, &Mailbox::default(), Duration::from_secs(60)).await;
        assert_eq!(waited.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
