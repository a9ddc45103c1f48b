//! A certificate authority for tests of this crate, and collectors with certificates of it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::FakeCollector;
use crate::clock;

/// An authority and what it has signed, as files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Validity {
    Years,
    Expired,
    /// An hour less than so many days from now.
    Days(u64),
}

/// Whom a collector takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clients {
    Any,
    /// Those with a certificate of the same authority.
    Known,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    pub(crate) fn sign(&self, name: &str, validity: Validity) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        match validity {
            Validity::Years => {}
            Validity::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Validity::Days(days) => {
                let now = clock::wall();
                params.not_after = (now + Duration::from_secs((days * 24 - 1) * 60 * 60)).into();
            }
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a server with a certificate for `name` needs.
    pub(crate) fn server(&self, name: &str, validity: Validity, clients: Clients) -> ServerConfig {
        let (certificate, key) = self.sign(name, validity);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match clients {
            Clients::Known => builder.with_client_cert_verifier(verifier.build().unwrap()),
            Clients::Any => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }

    pub(crate) fn collector(
        &self,
        name: &str,
        validity: Validity,
        clients: Clients,
    ) -> FakeCollector {
        FakeCollector::start_tls(Arc::new(self.server(name, validity, clients)))
    }
}
