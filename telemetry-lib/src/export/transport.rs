//! One attempt over the network: hyper on the export thread's runtime. A client that decides on its
//! own (redirects, retries, proxies) would be one too many, and one that is shared with the service
//! would change under its features.

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{AlertDescription, CertificateError, ClientConfig};

use super::retry::Answer;
use super::tls::{self, TlsError, TlsFiles};

/// The specification's limit for an answer.
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Carries one request to the collector, once.
pub(crate) trait Transport: Debug + Send + Sync {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Answer, AttemptError>>;
}

/// Why an attempt has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("the collector cannot be reached: {0}")]
    Unreachable(String),
    #[error("the collector ended the TLS handshake: is OTEL_EXPORTER_OTLP_ENDPOINT really https?")]
    HandshakeCut,
    #[error("the collector did not answer within the time of OTEL_EXPORTER_OTLP_TIMEOUT")]
    Timeout,
    #[error(
        "the collector's certificate is not from a trusted authority: set OTEL_EXPORTER_OTLP_CERTIFICATE to its authority's file"
    )]
    UnknownAuthority,
    #[error(
        "the collector's certificate is not valid now (OTEL_EXPORTER_OTLP_CERTIFICATE is not the cause): {0}"
    )]
    Certificate(CertificateError),
    #[error(
        "the collector's certificate is for other names than the host of OTEL_EXPORTER_OTLP_ENDPOINT: {0}"
    )]
    CertificateName(CertificateError),
    #[error(
        "the collector asks for a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
    )]
    ClientCertificate,
    #[error(
        "the TLS handshake with the collector failed: {0}; is OTEL_EXPORTER_OTLP_ENDPOINT really https?"
    )]
    Tls(rustls::Error),
    #[error("the collector's answer is larger than 4 MiB")]
    AnswerTooLarge,
    #[cfg(feature = "otlp-grpc")]
    #[error(transparent)]
    Rpc(super::grpc::RpcError),
}

/// The real network. It never goes through a proxy, whatever the environment says.
#[derive(Debug)]
pub(crate) struct Network(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl AttemptError {
    /// Whether the same attempt may succeed a little later without anybody's doing.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::HandshakeCut | Self::Timeout => true,
            #[cfg(feature = "otlp-grpc")]
            Self::Rpc(error) => error.may_pass(),
            Self::UnknownAuthority
            | Self::Certificate(_)
            | Self::CertificateName(_)
            | Self::ClientCertificate
            | Self::Tls(_)
            | Self::AnswerTooLarge => false,
        }
    }

    /// How long the collector wants to be left alone; over HTTP its answer says so.
    pub(super) fn after(&self) -> Option<Duration> {
        #[cfg(feature = "otlp-grpc")]
        if let Self::Rpc(error) = self {
            return error.after();
        }
        None
    }

    /// Whether less at once may succeed; over HTTP its answer says so.
    pub(super) fn is_too_large(&self) -> bool {
        #[cfg(feature = "otlp-grpc")]
        if let Self::Rpc(error) = self {
            return error.is_too_large();
        }
        false
    }
}

impl Network {
    /// A client for `endpoint`; needs no runtime until it sends.
    pub(crate) fn new(endpoint: &Uri, files: &TlsFiles) -> Result<Self, TlsError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_for(endpoint, files)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp());
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

/// What `endpoint` needs of TLS.
pub(super) fn tls_for(endpoint: &Uri, files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    match endpoint.scheme_str() {
        Some("https") => tls::client(files),
        Some(_) | None => Ok(tls::unused()),
    }
}

pub(super) fn tcp() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http
}

impl Transport for Network {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Answer, AttemptError>> {
        Box::pin(async move {
            let response = self.0.request(request.map(Full::new)).await;
            read(response.map_err(|error| explain(&error, error.is_connect()))?).await
        })
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, AttemptError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| explain(&error, false))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if body.len() + data.len() > MAX_ANSWER {
            return Err(AttemptError::AnswerTooLarge);
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
    })
}

/// Finds the cause that an operator can act on.
pub(crate) fn explain(error: &(dyn Error + 'static), connecting: bool) -> AttemptError {
    let mut innermost = error.to_string();
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref() {
            return explain_tls(tls);
        }
        innermost = current.to_string();
        // The source of an I/O error skips the error that it wraps.
        let io = current.downcast_ref::<io::Error>();
        if connecting && io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
            return AttemptError::HandshakeCut;
        }
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    AttemptError::Unreachable(innermost)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls adds errors; only a few of them tell an operator what to do"
)]
fn explain_tls(error: &rustls::Error) -> AttemptError {
    match error {
        // The second: an authority of the same name, but not the one that signed.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => AttemptError::UnknownAuthority,
        rustls::Error::InvalidCertificate(
            reason @ (CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. }),
        ) => AttemptError::CertificateName(reason.clone()),
        rustls::Error::InvalidCertificate(reason) => AttemptError::Certificate(reason.clone()),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure,
        ) => AttemptError::ClientCertificate,
        other => AttemptError::Tls(other.clone()),
    }
}
