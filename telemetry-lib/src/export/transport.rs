//! One attempt over the network: reqwest on the export thread's runtime, with everything off that
//! would decide on its own (redirects, retries, proxies for loopback, unbounded answers).

use std::fmt::Debug;
use std::io;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Request};
use reqwest::{Client, Response, Url, redirect};
use rustls::{AlertDescription, CertificateError};

use super::retry::Answer;
use super::tls::{self, TlsError, TlsFiles};

/// The specification's limit for an answer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Carries one request to the collector, once.
pub(super) trait Transport: Debug + Send + Sync {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Answer, AttemptError>>;
}

/// Why an attempt has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
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
        "the collector asks for a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
    )]
    ClientCertificate,
    #[error(
        "the TLS handshake with the collector failed: {0}; is OTEL_EXPORTER_OTLP_ENDPOINT really https?"
    )]
    Tls(rustls::Error),
    #[error("the collector's answer is larger than 4 MiB")]
    AnswerTooLarge,
}

/// The real network.
#[derive(Debug)]
pub(super) struct Network(Client);

/// Why no client can be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

impl AttemptError {
    /// Whether the same attempt may succeed a little later without anybody's doing.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::HandshakeCut | Self::Timeout => true,
            Self::UnknownAuthority
            | Self::Certificate(_)
            | Self::ClientCertificate
            | Self::Tls(_)
            | Self::AnswerTooLarge => false,
        }
    }
}

impl Network {
    /// A client for `endpoint`; needs no runtime until it sends.
    pub(super) fn new(endpoint: &Url, files: &TlsFiles) -> Result<Self, TransportError> {
        let tls = match endpoint.scheme() {
            "https" => tls::client(files)?,
            _ => tls::unused(),
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .referer(false);
        if is_loopback(endpoint) {
            builder = builder.no_proxy();
        }
        builder.build().map(Self).map_err(TransportError::Client)
    }
}

impl Transport for Network {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Answer, AttemptError>> {
        Box::pin(async move {
            let request = request.try_into().map_err(explain)?;
            let response = self.0.execute(request).await.map_err(explain)?;
            read(response).await
        })
    }
}

async fn read(mut response: Response) -> Result<Answer, AttemptError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(AttemptError::AnswerTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        content_type: text(response.headers(), &CONTENT_TYPE),
        retry_after: text(response.headers(), &RETRY_AFTER),
        body: body.freeze(),
    })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Loopback never goes through a proxy, whatever the environment says.
fn is_loopback(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Finds the cause that an operator can act on; the URL stays out, it may hold credentials.
fn explain(error: reqwest::Error) -> AttemptError {
    let error = error.without_url();
    let mut innermost = error.to_string();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref() {
            return explain_tls(tls);
        }
        innermost = current.to_string();
        // The source of an I/O error skips the error that it wraps.
        let io = current.downcast_ref::<io::Error>();
        if error.is_connect() && io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
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
        rustls::Error::InvalidCertificate(reason) => AttemptError::Certificate(reason.clone()),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure,
        ) => AttemptError::ClientCertificate,
        other => AttemptError::Tls(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised_in_every_spelling() {
        for (address, expected) in [
            ("http://localhost:4318", true),
            ("http://otel.localhost:4318", true),
            ("http://127.0.0.1:4318", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:4318", true),
            ("http://collector:4318", false),
            ("http://localhost.example:4318", false),
            ("http://10.0.0.1:4318", false),
        ] {
            assert_eq!(
                is_loopback(&address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }
}
