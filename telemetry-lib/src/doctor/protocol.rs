//! What a port speaks, when it does not speak what was expected. Each question opens a connection
//! of its own; no answer within the limit is a no.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Way;
use crate::clock::Moment;
use crate::export::{AttemptError, explain, tls};

/// How a client of HTTP/2 begins: the preface and an empty SETTINGS frame.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of a SETTINGS frame, with which its server begins.
const SETTINGS: u8 = 4;

/// A connection that ends at a moment, however slowly its peer drips.
pub(super) struct Timed {
    stream: TcpStream,
    began: Moment,
    limit: Duration,
}

impl Timed {
    pub(super) fn connect(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let began = Moment::now();
        Ok(Self {
            stream: TcpStream::connect_timeout(&address, limit)?,
            began,
            limit,
        })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.limit.saturating_sub(self.began.elapsed().duration);
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Completes a TLS handshake with the endpoint.
pub(super) fn handshake(
    way: &Way<'_>,
    address: SocketAddr,
    config: ClientConfig,
) -> Result<(ClientConnection, Timed), AttemptError> {
    let cut = |error: io::Error| explain(&error, true);
    let name = ServerName::try_from(way.host().to_owned())
        .map_err(|_| AttemptError::Unreachable("the host is no name for TLS".to_owned()))?;
    let mut tls =
        ClientConnection::new(Arc::new(config), name).map_err(|error| explain(&error, true))?;
    let mut stream = Timed::connect(address, way.limit).map_err(cut)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(cut)?;
    }
    Ok((tls, stream))
}

/// Whether the port speaks TLS: whoever shows a certificate does, also one that nobody trusts.
pub(super) fn speaks_tls(way: &Way<'_>, address: SocketAddr) -> bool {
    match handshake(way, address, tls::unused()) {
        Ok(_) => true,
        Err(
            AttemptError::UnknownAuthority
            | AttemptError::Certificate(_)
            | AttemptError::CertificateName(_)
            | AttemptError::ClientCertificate,
        ) => true,
        Err(
            AttemptError::Unreachable(_)
            | AttemptError::HandshakeCut
            | AttemptError::Timeout
            | AttemptError::Tls(_)
            | AttemptError::AnswerTooLarge,
        ) => false,
        #[cfg(feature = "otlp-grpc")]
        Err(AttemptError::Rpc(_)) => false,
    }
}

/// Whether the port speaks HTTP/2 without being asked to change to it, as gRPC does.
pub(super) fn speaks_http2(way: &Way<'_>, address: SocketAddr) -> bool {
    let asked = if way.is_https() {
        tls::client(&way.settings.tls).ok().and_then(|mut config| {
            config.alpn_protocols = vec![b"h2".to_vec()];
            let (tls, stream) = handshake(way, address, config).ok()?;
            Some(begins_http2(StreamOwned::new(tls, stream)))
        })
    } else {
        Timed::connect(address, way.limit).ok().map(begins_http2)
    };
    asked.unwrap_or(false)
}

fn begins_http2(mut stream: impl Read + Write) -> bool {
    let mut head = [0; 9];
    let read = stream
        .write_all(HTTP2)
        .and_then(|()| stream.flush())
        .and_then(|()| stream.read_exact(&mut head));
    read.is_ok() && head[3] == SETTINGS && head[5..] == [0; 4]
}
