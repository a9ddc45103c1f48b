//! One attempt over gRPC: a unary call by hand on hyper's HTTP/2. `opentelemetry-otlp` has a client
//! of its own, but it drops what the collector rejects without a word, halves nothing that is too
//! large and would bring a second set of retry rules; this one serves the same client as HTTP does.

mod status;

use std::io::Read as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::read::GzDecoder;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub(crate) use self::status::RpcError;
#[cfg(test)]
pub(crate) use self::status::details;

use super::ExportConfig;
use super::retry::Answer;
use super::tls::TlsError;
use super::transport::{AttemptError, MAX_ANSWER, Transport, explain, tcp, tls_for};
use crate::grpc::Code;

const EXPORT: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// One byte that says whether it is compressed, four for its length.
const PREFIX: usize = 5;
/// A connection that is half open is found by pings, or its calls would time out one after the
/// other until TCP gives up.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);

/// The real network, in HTTP/2 only.
#[derive(Debug)]
pub(super) struct GrpcNetwork {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: HeaderValue,
}

impl GrpcNetwork {
    /// A client for `endpoint`; needs no runtime until it sends.
    pub(super) fn new(endpoint: &Uri, config: &ExportConfig) -> Result<Self, TlsError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_for(endpoint, &config.tls)?)
            .https_or_http()
            .enable_http2()
            .wrap_connector(tcp());
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWER)
            .build(connector);
        // At most eight digits: more than a day is no limit.
        let millis = config.timeout.as_millis().min(99_999_999);
        let timeout = HeaderValue::try_from(format!("{millis}m"));
        Ok(Self {
            client,
            timeout: timeout.expect("digits are valid in a header"),
        })
    }

    /// The request for HTTP as a call.
    fn call(&self, request: Request<Bytes>) -> Request<Full<Bytes>> {
        let (mut head, body) = request.into_parts();
        let mut uri = head.uri.into_parts();
        uri.path_and_query = Some(EXPORT);
        head.uri = Uri::from_parts(uri).expect("the endpoint has a scheme and a host");
        let encoding = head.headers.remove(CONTENT_ENCODING);
        let compressed = encoding.is_some();
        if let Some(encoding) = encoding {
            head.headers.insert(GRPC_ACCEPT_ENCODING, encoding.clone());
            head.headers.insert(GRPC_ENCODING, encoding);
        }
        let grpc = HeaderValue::from_static("application/grpc");
        head.headers.insert(CONTENT_TYPE, grpc);
        head.headers
            .insert(TE, HeaderValue::from_static("trailers"));
        head.headers.insert(GRPC_TIMEOUT, self.timeout.clone());
        Request::from_parts(head, Full::new(framed(&body, compressed)))
    }
}

impl Transport for GrpcNetwork {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Answer, AttemptError>> {
        Box::pin(async move {
            let response = self.client.request(self.call(request)).await;
            read(response.map_err(|error| explain(&error, error.is_connect()))?).await
        })
    }
}

/// Batches are bounded far below 4 GiB.
fn framed(message: &[u8], compressed: bool) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(compressed.into());
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// The message of a frame. A Collector answers a request with gzip in gzip.
fn unframed(mut frame: Bytes) -> Option<Bytes> {
    let (&compressed, length) = frame.get(..PREFIX)?.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let message = frame.split_off(PREFIX);
    if message.len() != usize::try_from(length).ok()? {
        return None;
    }
    match compressed {
        0 => Some(message),
        1 => plain(&message),
        _ => None,
    }
}

fn plain(gzip: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(gzip).take(MAX_ANSWER as u64);
    decoder.read_to_end(&mut plain).ok()?;
    // At the limit there may be more: it is no answer of a Collector.
    (plain.len() < MAX_ANSWER).then(|| plain.into())
}

async fn read(response: Response<Incoming>) -> Result<Answer, AttemptError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| explain(&error, false))?;
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > MAX_ANSWER => {
                return Err(AttemptError::AnswerTooLarge);
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    judge(head.status, head.headers, &trailers, body.freeze())
}

/// A success in the terms of HTTP, or why it is none.
fn judge(
    status: StatusCode,
    mut headers: HeaderMap,
    trailers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, AttemptError> {
    // An answer that is nothing but a status has it in its head.
    let (code, told) = match Code::told(trailers) {
        Some(code) => (Some(code), trailers),
        None => (Code::told(&headers), &headers),
    };
    match code {
        Some(Code::Ok) => {
            let body = match body.is_empty() {
                true => Some(body),
                false => unframed(body),
            };
            let broken = RpcError::without_status(Code::Internal, "its message is broken");
            let body = body.ok_or(AttemptError::Rpc(broken))?;
            let protobuf = HeaderValue::from_static("application/x-protobuf");
            headers.insert(CONTENT_TYPE, protobuf);
            Ok(Answer {
                status: StatusCode::OK,
                headers,
                body,
            })
        }
        Some(code) => Err(AttemptError::Rpc(RpcError::told(code, told))),
        None => {
            let why = format!("{status} without a status of gRPC");
            let code = Code::of_http(status);
            Err(AttemptError::Rpc(RpcError::without_status(code, why)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::Piece;
    use super::*;

    #[test]
    fn a_frame_holds_its_message_and_says_how_long_it_is() {
        let frame = framed(b"abc", false);
        assert_eq!(&frame[..], b"\0\0\0\0\x03abc");
        assert_eq!(unframed(frame).as_deref(), Some(&b"abc"[..]));
        let gzip = |message: Vec<u8>| {
            let piece = Piece {
                body: message.into(),
                spans: 0,
            };
            framed(&piece.encoded(true), true)
        };
        assert_eq!(
            unframed(gzip(b"abc".to_vec())).as_deref(),
            Some(&b"abc"[..])
        );
        assert_eq!(unframed(gzip(Vec::new())).as_deref(), Some(&b""[..]));
        assert_eq!(unframed(gzip(vec![0; MAX_ANSWER])), None, "a bomb");
        for broken in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x04abc",
            b"\0\0\0\0\x02abc",
            b"\x01\0\0\0\x03abc",
            b"\x02\0\0\0\x03abc",
        ] {
            assert_eq!(unframed(Bytes::from_static(broken)), None, "{broken:?}");
        }
    }

    #[test]
    fn an_answer_without_a_status_is_read_by_its_http_code() {
        let judged = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = judge(status, HeaderMap::new(), &HeaderMap::new(), Bytes::new());
            let error = answer.unwrap_err();
            (error.may_pass(), error.to_string())
        };
        let (again, said) = judged(503);
        assert!(again);
        assert!(
            said.contains("503 Service Unavailable without a status of gRPC"),
            "{said}"
        );
        // An HTTP server on the port, or a stream that was cut.
        for status in [200, 404, 415] {
            assert!(!judged(status).0, "{status}");
        }
    }
}
