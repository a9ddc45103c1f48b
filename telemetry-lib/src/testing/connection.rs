//! One connection of the fake collector: just enough HTTP/1.1 by hand, over plain text or TLS,
//! because a server that behaves badly on purpose cannot be built from one that does not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::answer::{Deed, Reply};
use super::collector::{ReceivedRequest, Shared};
use super::span::ReceivedSpan;

/// A request above this is not read: a test that sends more has lost count.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// Serves one connection to its end. Errors end it: the peer may leave at any time.
pub(super) fn serve(stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        let (answer, received) = shared.receive(request);
        if let Some(gate) = &answer.gate {
            gate.pass();
        }
        match answer.deed {
            Deed::Reply(reply) => {
                if reply.accepts {
                    shared.accept(received);
                }
                write(stream.get_mut(), &reply)?;
            }
            Deed::Hang => shared.wait_for_stop(),
            Deed::Close => return Ok(()),
        }
    }
    Ok(())
}

/// The next request, `None` when the peer has closed the connection between two.
fn read(stream: &mut impl BufRead) -> io::Result<Option<ReceivedRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers = read_headers(stream)?;
    let length = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .unwrap_or(0);
    if length > MAX_BODY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    let encoded = Bytes::from(body);
    let spans = decode(&headers, &encoded)?;
    Ok(Some(ReceivedRequest {
        path,
        headers,
        body_bytes: encoded.len(),
        spans: Arc::new(spans),
    }))
}

fn read_headers(stream: &mut impl BufRead) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(headers);
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value.trim()),
        ) {
            headers.append(name, value);
        }
    }
}

fn decode(headers: &HeaderMap, body: &Bytes) -> io::Result<Vec<ReceivedSpan>> {
    let gzip = headers
        .get(http::header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    let request = if gzip {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..])
            .take(MAX_BODY)
            .read_to_end(&mut plain)?;
        ExportTraceServiceRequest::decode(&plain[..])
    } else {
        ExportTraceServiceRequest::decode(&body[..])
    };
    request
        .map(ReceivedSpan::all)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn write(stream: &mut impl Write, reply: &Reply) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {} scripted\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "content-length: {}\r\n\r\n", reply.body.len())?;
    stream.write_all(&reply.body)?;
    stream.flush()
}
