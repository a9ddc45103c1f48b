//! What Prometheus of several versions asks for, word for word, and what it then gets (Prometheus'
//! scrape/scrape.go and its specification of content negotiation).

use std::io::Read;

use flate2::read::GzDecoder;
use telemetry_lib::testing::Exposition;

use super::read::ABSENT;
use super::service::Service;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
const OPEN_UTF8: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
const OPEN_VALUES: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values";

/// Who asks, with which words, and the type of the answer.
const ASKED: [(&str, &str, &str); 11] = [
    (
        "Prometheus 2.42",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPEN,
    ),
    (
        "Prometheus 2.42 with native histograms",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPEN,
    ),
    (
        "Prometheus 2.53",
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN,
    ),
    (
        "Prometheus 3.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
        OPEN_UTF8,
    ),
    (
        "Prometheus 3.14",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN_UTF8,
    ),
    (
        "Prometheus 3.14 with native histograms",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        OPEN_UTF8,
    ),
    (
        "a scraper that wants dots spelled out, which would double each underscore",
        "application/openmetrics-text;version=1.0.0;escaping=dots",
        OPEN,
    ),
    (
        "a scraper that wants values spelled out, which leaves classic names as they are",
        "application/openmetrics-text;version=1.0.0;escaping=values",
        OPEN_VALUES,
    ),
    ("a scraper of text", "text/plain;version=0.0.4", TEXT),
    (
        "a browser",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        TEXT,
    ),
    ("curl", "*/*", TEXT),
];

#[tokio::test]
async fn every_prometheus_gets_what_it_asked_for_and_can_read_it() {
    let service = Service::start().await;
    service.send("GET /users/7 HTTP/1.1").await;
    let trace = service.span().await.trace_id();
    for (who, accept, expected) in ASKED {
        let request = format!(
            "GET /metrics HTTP/1.1\naccept: {accept}\nx-prometheus-scrape-timeout-seconds: 10"
        );
        let answer = service.send(&request).await;
        assert_eq!(answer.header("content-type"), expected, "{who}");
        assert_eq!(answer.header("content-encoding"), ABSENT, "{who}");
        let page = Exposition::parse(expected, &answer.text()).unwrap();
        let count = "http_server_request_duration_seconds_count";
        assert_eq!(page.total(count), 1.0, "{who}: the names are the same");
        let exemplars = page.exemplars("http_server_request_duration_seconds");
        let traces: Vec<&str> = exemplars
            .iter()
            .map(|it| it.labels["trace_id"].as_str())
            .collect();
        let shown: &[&str] = if expected == TEXT { &[] } else { &[&trace] };
        assert_eq!(traces, shown, "{who}");
    }
}

#[tokio::test]
async fn who_refuses_gzip_gets_none() {
    let service = Service::start().await;
    for refused in ["identity", "gzip;q=0", "*, gzip;q=0"] {
        let request = format!("GET /metrics HTTP/1.1\naccept-encoding: {refused}");
        let answer = service.send(&request).await;
        assert_eq!(answer.header("content-encoding"), ABSENT, "{refused}");
    }
}

#[tokio::test]
async fn without_an_accept_header_it_is_text() {
    let service = Service::start().await;
    let answer = service.send("GET /metrics HTTP/1.1").await;
    assert_eq!(answer.header("content-type"), TEXT);
}

#[tokio::test]
async fn who_takes_gzip_gets_gzip() {
    let service = Service::start().await;
    service.send("GET /users/7 HTTP/1.1").await;
    for (_, accept, expected) in ASKED {
        let request = format!("GET /metrics HTTP/1.1\naccept: {accept}\naccept-encoding: gzip");
        let answer = service.send(&request).await;
        assert_eq!(answer.header("content-encoding"), "gzip");
        let mut text = String::new();
        GzDecoder::new(&answer.body[..])
            .read_to_string(&mut text)
            .unwrap();
        Exposition::parse(expected, &text).unwrap();
    }
}
