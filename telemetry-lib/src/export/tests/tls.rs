//! TLS towards the collector (F09): the first notice names the variable, and nothing ever falls
//! back to plain text.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::*;
use crate::testing::FakeCollector;

/// An authority and what it has signed, as files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> Option<std::path::PathBuf> {
        Some(self.folder.path().join(name))
    }

    fn sign(&self, name: &str, expired: bool) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A collector with a certificate of this authority, which may ask for one in turn.
    fn collector(&self, expired: bool, clients: bool) -> FakeCollector {
        let (certificate, key) = self.sign("localhost", expired);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match clients {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        FakeCollector::start_tls(Arc::new(config))
    }
}

fn exported(collector: &FakeCollector, tls: TlsFiles) -> (SignalReport, String) {
    let mut config = ExportConfig::new(collector.traces_endpoint());
    config.tls = tls;
    let path = Path::with(config);
    path.spans(1);
    (path.flush(), path.notices().join("\n"))
}

#[track_caller]
fn refused(collector: &FakeCollector, tls: TlsFiles, variable: &str) {
    let (report, notices) = exported(collector, tls);
    assert_eq!((report.exported, report.dropped.export_failed), (0, 1));
    assert!(notices.contains(variable), "{notices}");
    assert!(collector.requests().is_empty());
}

#[test]
fn f09_a_collector_of_the_given_authority_is_trusted() {
    let authority = Authority::new();
    let collector = authority.collector(false, false);
    let tls = TlsFiles {
        ca: authority.file("ca.pem"),
        ..TlsFiles::default()
    };
    assert_eq!(exported(&collector, tls).0.exported, 1);
}

#[test]
fn f09_another_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let collector = authority.collector(false, false);
    let tls = TlsFiles {
        ca: other.file("ca.pem"),
        ..TlsFiles::default()
    };
    refused(&collector, tls, "set OTEL_EXPORTER_OTLP_CERTIFICATE");
}

#[test]
fn f09_the_systems_authorities_do_not_know_a_private_one() {
    let collector = Authority::new().collector(false, false);
    refused(
        &collector,
        TlsFiles::default(),
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    );
}

#[test]
fn f09_an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let collector = authority.collector(true, false);
    let tls = TlsFiles {
        ca: authority.file("ca.pem"),
        ..TlsFiles::default()
    };
    refused(
        &collector,
        tls,
        "certificate is not valid now (OTEL_EXPORTER_OTLP_CERTIFICATE",
    );
}

#[test]
fn f09_a_collector_that_wants_a_client_certificate_gets_it_or_says_so() {
    let authority = Authority::new();
    let collector = authority.collector(false, true);
    let anonymous = TlsFiles {
        ca: authority.file("ca.pem"),
        ..TlsFiles::default()
    };
    refused(
        &collector,
        anonymous.clone(),
        "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    );

    let (certificate, key) = authority.sign("orders", false);
    fs::write(authority.file("cert.pem").unwrap(), certificate.pem()).unwrap();
    fs::write(authority.file("key.pem").unwrap(), key.serialize_pem()).unwrap();
    let known = TlsFiles {
        cert: authority.file("cert.pem"),
        key: authority.file("key.pem"),
        ..anonymous
    };
    assert_eq!(exported(&collector, known).0.exported, 1);
}

#[test]
fn f09_plain_text_behind_an_https_address_is_refused() {
    let collector = FakeCollector::start();
    let mut config = ExportConfig::new(collector.traces_endpoint().replace("http:", "https:"));
    config.tls.ca = Authority::new().file("ca.pem").filter(|_| false);
    let path = Path::with(config);
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    let notices = path.notices().join("\n");
    assert!(notices.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{notices}");
}

#[test]
fn f09_a_file_that_is_missing_is_an_error_at_the_start() {
    let mut config = ExportConfig::new("https://localhost:1/v1/traces");
    config.tls.ca = Some("/nowhere/ca.pem".into());
    let (notices, _) = recorded();
    let started = start(
        config,
        Resource::builder_empty().build(),
        ExportHealth::new(notices),
    );
    let error = started.err().unwrap().to_string();
    assert!(
        error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: "),
        "{error}"
    );
}
