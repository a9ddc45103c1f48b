//! The same export path over gRPC (F06 and beside it), against tonic's server.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use tonic::{Code, Status};

use super::super::grpc::details;
use super::grpc_collector::GrpcCollector;
use super::*;
use crate::testing::authority::{Authority, Clients, Validity};
use crate::testing::{Answer, FakeCollector};

fn config(endpoint: impl Into<String>) -> ExportConfig {
    ExportConfig {
        protocol: Protocol::Grpc,
        ..ExportConfig::new(endpoint)
    }
}

fn to(collector: &GrpcCollector) -> Path {
    Path::with(config(collector.endpoint("http")))
}

/// A refusal that says when to come back.
fn later(code: Code, seconds: u64) -> Result<ExportTraceServiceResponse, Status> {
    let details = details(Duration::from_secs(seconds));
    Err(Status::with_details(code, "busy", details.into()))
}

#[test]
fn spans_arrive_over_grpc_with_resource_and_headers() {
    for gzip in [false, true] {
        let collector = GrpcCollector::start();
        let mut config = config(collector.endpoint("http"));
        let token = HeaderValue::from_static("secret");
        config
            .headers
            .push((HeaderName::from_static("x-token"), token));
        config.gzip = gzip;
        let path = Path::with(config);
        path.spans(3);
        assert_eq!(path.flush().exported, 3);
        let received = collector.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].spans, ["span 0", "span 1", "span 2"]);
        assert!(received[0].service.contains("orders"));
        let header = |name| {
            received[0]
                .metadata
                .get(name)
                .map(|it| it.to_str().unwrap())
        };
        assert_eq!(header("x-token"), Some("secret"));
        assert_eq!(header("grpc-timeout"), Some("10000m"));
        assert_eq!(header("grpc-encoding"), gzip.then_some("gzip"));
    }
}

#[test]
fn f06_unavailable_is_tried_again_when_the_collector_says() {
    let collector = GrpcCollector::start();
    collector.next(later(Code::Unavailable, 7));
    collector.next(Err(Status::unavailable("restarting")));
    let path = to(&collector);
    path.spans(5);
    let report = path.flush();
    assert_eq!((report.exported, report.is_complete()), (5, true));
    assert_eq!(collector.sizes(), [5, 5, 5]);
    assert_eq!(path.health.retries(), 2);
    let waits = path.timer.waits(Wait::Backoff);
    assert!(waits[0] >= Duration::from_secs(7), "{waits:?}");
    assert!(waits[1] < Duration::from_secs(7), "{waits:?}");
}

#[test]
fn f06_exhausted_is_tried_again_only_with_a_time() {
    let collector = GrpcCollector::start();
    collector.next(later(Code::ResourceExhausted, 3));
    let path = to(&collector);
    path.spans(2);
    assert_eq!(path.flush().exported, 2);
    assert_eq!(collector.sizes(), [2, 2]);
    let waits = path.timer.waits(Wait::Backoff);
    assert!(waits[0] >= Duration::from_secs(3), "{waits:?}");

    collector.next(Err(Status::resource_exhausted("quota")));
    path.spans(2);
    assert_eq!(path.flush().dropped.export_failed, 2);
    assert_eq!(collector.sizes(), [2, 2, 2]);
    let notice = path.notices().join("\n");
    assert!(notice.contains("RESOURCE_EXHAUSTED"), "{notice}");
}

#[test]
fn f06_a_time_beyond_the_minute_gives_up_at_once() {
    let collector = GrpcCollector::start();
    collector.next(later(Code::Unavailable, 61));
    let path = to(&collector);
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    assert!(path.timer.waits(Wait::Backoff).is_empty());
}

#[test]
fn f06_every_code_is_tried_again_or_not_as_the_specification_says() {
    let again = [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ];
    let never = [
        Code::Unknown,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Unimplemented,
        Code::Internal,
        Code::Unauthenticated,
    ];
    let collector = GrpcCollector::start();
    let path = to(&collector);
    for code in again.into_iter().chain(never) {
        let before = collector.sizes().len();
        collector.next(Err(Status::new(code, "no")));
        path.spans(1);
        path.flush();
        let attempts = collector.sizes().len() - before;
        assert_eq!(attempts, 1 + usize::from(again.contains(&code)), "{code:?}");
    }
    let dropped = path.flush().dropped.export_failed;
    assert_eq!(dropped, never.len() as u64);
}

#[test]
fn what_is_too_large_is_halved_until_it_fits() {
    let collector = GrpcCollector::start();
    let too_large =
        || Status::resource_exhausted("grpc: received message larger than max (8 vs. 4)");
    collector.next(Err(too_large()));
    collector.next(Err(too_large()));
    let path = to(&collector);
    path.spans(8);
    assert_eq!(path.flush().exported, 8);
    assert_eq!(collector.sizes(), [8, 4, 2, 2, 4]);
}

#[test]
fn a_partial_success_is_counted_as_rejected() {
    let collector = GrpcCollector::start();
    collector.next(Ok(ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    }));
    let path = to(&collector);
    path.spans(5);
    let report = path.flush();
    assert_eq!((report.exported, report.dropped.rejected), (3, 2));
    assert!(path.notices()[0].contains("rejected 2 spans of a batch: \"too old\""));
}

#[test]
fn f09_tls_is_checked_and_spoken_over_grpc() {
    let authority = Authority::new();
    let server = authority.server("localhost", Validity::Years, Clients::Any);
    let collector = GrpcCollector::start_tls(server);
    let exported = |ca| {
        let mut config = config(collector.endpoint("https"));
        config.tls.ca = ca;
        let path = Path::with(config);
        path.spans(1);
        let report = path.flush();
        (report.exported, path.notices().join("\n"))
    };
    assert_eq!(exported(authority.file("ca.pem")), (1, String::new()));
    let (exported, notice) = exported(Authority::new().file("ca.pem"));
    assert_eq!(exported, 0);
    assert!(
        notice.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "{notice}"
    );
}

#[test]
fn a_port_that_speaks_http_1_is_no_receiver() {
    let collector = FakeCollector::start();
    collector.always(Answer::status(404));
    let path = Path::with(config(collector.endpoint()));
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    assert!(!path.notices().is_empty());
}
