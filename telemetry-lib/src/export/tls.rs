//! TLS towards the collector: rustls with an explicitly given provider, trust and identity from the
//! files of the `OTEL_EXPORTER_OTLP_*` variables. A library installs no process-wide default.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// The files of a TLS connection to the collector; all optional.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsFiles {
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: whom to trust, instead of the system's authorities.
    pub(crate) ca: Option<PathBuf>,
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`: who we are.
    pub(crate) cert: Option<PathBuf>,
    /// `OTEL_EXPORTER_OTLP_CLIENT_KEY`: the key of that certificate.
    pub(crate) key: Option<PathBuf>,
}

/// Why the TLS files cannot be used. Each names the variable to correct.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{variable}: cannot read a PEM section from {}", path.display())]
    File {
        variable: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {} holds no usable certificate authority", path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY must be set together"
    )]
    HalfAnIdentity,
    #[error(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY do not belong together"
    )]
    Identity(#[source] rustls::Error),
    #[error(
        "the system's certificate authorities cannot be used: set OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    System(#[source] rustls::Error),
}

const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CERT: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// The client configuration for an `https` collector.
pub(crate) fn client(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports every protocol version that rustls has")
        .dangerous()
        .with_custom_certificate_verifier(verifier(files)?);
    match (&files.cert, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates(CERT, cert)?, private_key(key)?)
            .map_err(TlsError::Identity),
        (Some(_), None) | (None, Some(_)) => Err(TlsError::HalfAnIdentity),
    }
}

/// Whom to trust: the authority of the file alone, or those of the system.
pub(crate) fn verifier(files: &TlsFiles) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match &files.ca {
        Some(path) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots(path)?, provider)
                .build()
                .map_err(|source| TlsError::Authority {
                    path: path.clone(),
                    source: source.into(),
                })?;
            Ok(verifier)
        }
        None => Ok(Arc::new(Verifier::new(provider).map_err(TlsError::System)?)),
    }
}

/// The configuration for a plain-text collector: it can make no TLS connection at all.
pub(crate) fn unused() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports every protocol version that rustls has")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA, path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authority {
                path: path.to_owned(),
                source: source.into(),
            })?;
    }
    Ok(Arc::new(roots))
}

fn certificates(
    variable: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file_error = |source| TlsError::File {
        variable,
        path: path.to_owned(),
        source,
    };
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(file_error)?
        .collect::<Result<_, _>>()
        .map_err(file_error)?;
    if list.is_empty() {
        return Err(file_error(pem::Error::NoItemsFound));
    }
    Ok(list)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File {
        variable: KEY,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[track_caller]
    fn check(files: TlsFiles, expected: &str) {
        let error = client(&files).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_bad_file_is_named_with_its_variable() {
        let (_folder, text) = file("ca.pem", "not a certificate");
        let missing = PathBuf::from("/nowhere/ca.pem");
        let some = |path: &PathBuf| Some(path.clone());
        check(
            TlsFiles {
                ca: some(&missing),
                ..TlsFiles::default()
            },
            "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read a PEM section from /nowhere/ca.pem",
        );
        check(
            TlsFiles {
                ca: some(&text),
                ..TlsFiles::default()
            },
            "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read a PEM section from",
        );
        check(
            TlsFiles {
                cert: some(&text),
                ..TlsFiles::default()
            },
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY must be set together",
        );
    }

    #[test]
    fn a_certificate_that_is_none_keeps_its_cause() {
        let pem = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let (_folder, path) = file("ca.pem", pem);
        let files = TlsFiles {
            ca: Some(path),
            ..TlsFiles::default()
        };
        let error = client(&files).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("holds no usable certificate authority")
        );
        assert!(error.source().is_some());
    }
}
