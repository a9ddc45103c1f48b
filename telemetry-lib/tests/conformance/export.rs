//! For how long an export is tried, and how it proves who it is: variables whose effect shows only
//! with a collector that hangs, or that wants a certificate. The limit of the flush is the clock:
//! it is shorter than what holds without the variable.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use telemetry_lib::testing::{Answer, FakeCollector, Gate, TestTelemetry};
use telemetry_lib::{InitError, Report};

/// Below the 10 s of an attempt and the 60 s of a batch.
const LIMIT: Duration = Duration::from_secs(9);

/// Sends one span to a collector, and what became of it within the limit.
async fn exported(collector: FakeCollector, variables: &[(&str, &str)]) -> (TestTelemetry, Report) {
    let telemetry = TestTelemetry::try_configured(collector, variables, |config| config).unwrap();
    tracing::info_span!("work").in_scope(|| {});
    let report = telemetry.handle().flush(LIMIT).await;
    (telemetry, report)
}

#[tokio::test]
async fn an_attempt_ends_after_its_timeout_and_another_follows() {
    for variable in [
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    ] {
        let collector = FakeCollector::start();
        collector.next(Answer::hang());
        let (telemetry, report) = exported(collector, &[(variable, "200")]).await;
        assert_eq!(report.traces.exported, 1, "{variable}: {report}");
        let attempts = telemetry.collector().requests().len();
        assert!(attempts >= 2, "{variable}: {attempts}");
    }
}

/// One request is under way, and holds the exporter, until the end.
#[tokio::test]
async fn the_queue_takes_what_its_variable_says_and_counts_the_rest() {
    let (collector, gate) = (FakeCollector::start(), Gate::closed());
    collector.always(Answer::ok().behind(&gate));
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "5"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let telemetry = TestTelemetry::try_configured(collector, &variables, |it| it).unwrap();
    let span = || tracing::info_span!("work").in_scope(|| {});
    span();
    telemetry.collector().wait_for_requests(1);
    for (more, dropped) in [(5, 0.0), (1, 1.0), (2, 3.0)] {
        (0..more).for_each(|_| span());
        assert_eq!(queue_full(&telemetry), Some(dropped));
    }

    gate.open();
    let report = telemetry.handle().flush(LIMIT).await;
    assert_eq!(report.traces.exported, 6, "{report}");
    assert_eq!(report.traces.dropped.queue_full, 3, "{report}");
    let requests = telemetry.collector().requests();
    assert!(
        requests.iter().all(|it| it.spans.len() == 1),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 6);
}

/// Spans that found no room, as the page tells it.
fn queue_full(telemetry: &TestTelemetry) -> Option<f64> {
    let page = telemetry.scrape();
    page.value("telemetry_spans_dropped_total", &[("reason", "queue_full")])
}

#[tokio::test]
async fn a_batch_is_given_up_after_its_timeout() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let (telemetry, report) = exported(collector, &[("OTEL_BSP_EXPORT_TIMEOUT", "200")]).await;
    assert_eq!(report.traces.dropped.export_failed, 1, "{report}");
    let attempts = telemetry.collector().requests().len();
    assert!(attempts <= 1, "{attempts}");
}

/// An authority's certificate and a client's with its key, as files in `folder`, and a collector that
/// takes only clients of this authority.
fn strict_collector(folder: &Path) -> FakeCollector {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let sign = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &authority).unwrap(), key)
    };
    let (client, client_key) = sign("orders");
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.join("cert.pem"), client.pem()).unwrap();
    fs::write(folder.join("key.pem"), client_key.serialize_pem()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let known = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let (own, own_key) = sign("localhost");
    let own_key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(known.build().unwrap())
        .with_single_cert(vec![own.der().clone()], own_key)
        .unwrap();
    FakeCollector::start_tls(Arc::new(config))
}

#[tokio::test]
async fn the_files_of_tls_are_those_of_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for signal in ["", "TRACES_"] {
        let collector = strict_collector(folder.path());
        let variables = [
            ("CERTIFICATE", file("ca.pem")),
            ("CLIENT_CERTIFICATE", file("cert.pem")),
            ("CLIENT_KEY", file("key.pem")),
        ]
        .map(|(name, file)| (format!("OTEL_EXPORTER_OTLP_{signal}{name}"), file));
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, file)| (name.as_str(), file.as_str()))
            .collect();
        let (telemetry, report) = exported(collector, &variables).await;
        assert_eq!(report.traces.exported, 1, "{signal}: {report}");
        assert_eq!(telemetry.collector().spans().len(), 1, "{signal}");
    }

    let ca = file("ca.pem");
    let anonymous = [("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str())];
    let (telemetry, report) = exported(strict_collector(folder.path()), &anonymous).await;
    assert_eq!(report.traces.exported, 0, "{report}");
    let notices = telemetry.notices().join("\n");
    assert!(
        notices.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        "{notices}"
    );
}

#[tokio::test]
async fn f09_a_file_of_tls_that_is_of_no_use_stops_an_init_inside_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let collector = strict_collector(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, cert) = (file("ca.pem"), file("cert.pem"));
    let no_key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", cert.as_str());
    let missing = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "testdata/none.pem");
    for wrong in [no_key, missing] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.clone()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert.clone()),
            (wrong.0, wrong.1.to_owned()),
        ];
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let started = TestTelemetry::try_configured(FakeCollector::start(), &variables, |it| it);
        let error = started.map(drop).unwrap_err();
        assert!(matches!(error, InitError::Export(_)), "{wrong:?}: {error}");
    }
}
