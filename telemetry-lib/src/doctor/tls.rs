//! The TLS handshake with an https endpoint: whom we trust, what the certificate says and until
//! when, whether the peer wants one of us.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConnection, ProtocolVersion, SignatureScheme};

use super::protocol::handshake;
use super::{Diagnosis, Way};
use crate::clock;
use crate::export::{AttemptError, tls};

/// A certificate with fewer days left deserves a line.
const SOON: u64 = 14;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Notices that the peer asks who we are, and answers as before.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Relaxed);
        self.inner.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

/// Whether the way goes on: plain text, or a handshake that succeeded.
pub(super) fn check(way: &Way<'_>, address: SocketAddr, found: &mut Diagnosis) -> bool {
    if !way.is_https() {
        return true;
    }
    let mut config = match tls::client(&way.settings.tls) {
        Ok(config) => config,
        Err(error) => {
            found.problem("tls", error.to_string(), "correct the variable or its file");
            return false;
        }
    };
    let asked = Arc::new(AtomicBool::new(false));
    config.client_auth_cert_resolver = Arc::new(Asked {
        inner: config.client_auth_cert_resolver,
        asked: Arc::clone(&asked),
    });
    match handshake(way, address, config) {
        Ok((connection, _)) => {
            succeeded(way, &connection, found);
            if asked.load(Relaxed) && way.settings.tls.cert.is_none() {
                found.warning(
                    "tls",
                    "the peer asks for a client certificate, and none is configured",
                    "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
                );
            }
            true
        }
        Err(error) => {
            let (what, fix) = explain(way, &error);
            found.problem("tls", what, fix);
            false
        }
    }
}

fn trusted(way: &Way<'_>) -> String {
    match &way.settings.tls.ca {
        Some(file) => format!("the authority in {}", file.display()),
        None => "the system's authorities".to_owned(),
    }
}

fn succeeded(way: &Way<'_>, connection: &ClientConnection, found: &mut Diagnosis) {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let what = format!(
        "{version}, certificate for {} from {}",
        way.host(),
        trusted(way)
    );
    match days_left(way, connection.peer_certificates().unwrap_or_default()) {
        None => found.good("tls", what),
        Some(days) => found.warning(
            "tls",
            format!("{what}; it expires in less than {days} days"),
            "renew the Collector's certificate",
        ),
    }
}

/// The first day, of the next few, on which the certificate is not valid any more. Asks the
/// verifier, which is the judge, and not the certificate.
fn days_left(way: &Way<'_>, chain: &[CertificateDer<'_>]) -> Option<u64> {
    let verifier = tls::verifier(&way.settings.tls).ok()?;
    let name = ServerName::try_from(way.host()).ok()?;
    let (first, others) = chain.split_first()?;
    let now = clock::wall().duration_since(UNIX_EPOCH).ok()?;
    (1..=SOON).find(|day| {
        let then = UnixTime::since_unix_epoch(now + DAY * u32::try_from(*day).unwrap_or(u32::MAX));
        verifier
            .verify_server_cert(first, others, &name, &[], then)
            .is_err()
    })
}

fn explain(way: &Way<'_>, error: &AttemptError) -> (String, String) {
    match error {
        AttemptError::UnknownAuthority => (
            format!("the certificate is not from {}", trusted(way)),
            "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed it"
                .to_owned(),
        ),
        AttemptError::Certificate(reason) => (
            format!("the certificate is not valid now: {}", dated(reason)),
            "renew the Collector's certificate, or correct the clock of this machine".to_owned(),
        ),
        AttemptError::CertificateName(reason) => (
            format!("the certificate is for other names: {reason}"),
            format!("use a name of the certificate in {}", way.setting()),
        ),
        AttemptError::ClientCertificate => (
            "the peer refuses us without a client certificate that it knows".to_owned(),
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
                .to_owned(),
        ),
        AttemptError::HandshakeCut | AttemptError::Tls(_) => (
            format!("port {} does not speak TLS: {error}", way.port()),
            format!(
                "write http:// in {}, or take the port for TLS",
                way.setting()
            ),
        ),
        #[cfg(feature = "otlp-grpc")]
        AttemptError::Rpc(_) => (error.to_string(), "it came without a handshake".to_owned()),
        AttemptError::Unreachable(_) | AttemptError::Timeout | AttemptError::AnswerTooLarge => (
            format!("the handshake did not end: {error}"),
            format!("is it a port for TLS? check {}", way.setting()),
        ),
    }
}

/// The reason with dates that people can read.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls adds reasons; those with dates are these"
)]
fn dated(reason: &CertificateError) -> String {
    let date =
        |time: &UnixTime| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match reason {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it expired on {}", date(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it begins on {}", date(not_before))
        }
        other => other.to_string(),
    }
}
