//! TLS towards the collector (F09): the first notice names the variable, and nothing ever falls
//! back to plain text.

use std::fs;

use super::*;
use crate::testing::FakeCollector;
use crate::testing::authority::{Authority, Clients, Validity};

fn exported(collector: &FakeCollector, tls: TlsFiles) -> (SignalReport, String) {
    let mut config = ExportConfig::new(collector.traces_endpoint());
    config.tls = tls;
    let path = Path::with(config);
    path.spans(1);
    (path.flush(), path.notices().join("\n"))
}

fn trusting(authority: &Authority) -> TlsFiles {
    TlsFiles {
        ca: authority.file("ca.pem"),
        ..TlsFiles::default()
    }
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
    let collector = authority.collector("localhost", Validity::Years, Clients::Any);
    let tls = trusting(&authority);
    assert_eq!(exported(&collector, tls).0.exported, 1);
}

#[test]
fn f09_another_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let collector = authority.collector("localhost", Validity::Years, Clients::Any);
    let tls = trusting(&other);
    refused(&collector, tls, "set OTEL_EXPORTER_OTLP_CERTIFICATE");
}

#[test]
fn f09_the_systems_authorities_do_not_know_a_private_one() {
    let collector = Authority::new().collector("localhost", Validity::Years, Clients::Any);
    refused(
        &collector,
        TlsFiles::default(),
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    );
}

#[test]
fn f09_an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", Validity::Expired, Clients::Any);
    let tls = trusting(&authority);
    refused(
        &collector,
        tls,
        "certificate is not valid now (OTEL_EXPORTER_OTLP_CERTIFICATE",
    );
}

#[test]
fn f09_a_collector_that_wants_a_client_certificate_gets_it_or_says_so() {
    let authority = Authority::new();
    let collector = authority.collector("localhost", Validity::Years, Clients::Known);
    let anonymous = trusting(&authority);
    refused(
        &collector,
        anonymous.clone(),
        "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    );

    let (certificate, key) = authority.sign("orders", Validity::Years);
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
    let config = ExportConfig::new(collector.traces_endpoint().replace("http:", "https:"));
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
    let started = start(config, resource, ExportHealth::new(notices));
    let error = started.err().unwrap().to_string();
    assert!(
        error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: "),
        "{error}"
    );
}

#[test]
fn f09_a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let collector = authority.collector("other.example", Validity::Years, Clients::Any);
    let tls = trusting(&authority);
    refused(
        &collector,
        tls,
        "is for other names than the host of OTEL_EXPORTER_OTLP_ENDPOINT",
    );
}
