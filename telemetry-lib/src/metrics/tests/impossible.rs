//! Values that cannot be, and those at the ends of what can (F42).

use super::timed::tests::PRETENDED;
use super::*;

/// One series each, whatever the values.
const DURATIONS: [&str; 5] = [
    "http_server_request_duration_seconds",
    "http_client_request_duration_seconds",
    "rpc_server_call_duration_seconds",
    "rpc_client_call_duration_seconds",
    "job_duration_seconds",
];
const SIZES: [&str; 2] = [
    "http_server_request_body_size_bytes",
    "http_server_response_body_size_bytes",
];

/// One request, attempt, call of each side, and run.
fn one_of_each(metrics: &Metrics, duration: Duration, bytes: u64) {
    metrics.http_server().observe(&Observation {
        duration,
        request_body: Some(bytes),
        response_body: Some(bytes),
        ..request("/", 0)
    });
    metrics.http_client().observe(&ClientObservation {
        method: "GET",
        address: "stock",
        port: 80,
        version: "1.1",
        status: Some(200),
        error_type: None,
        duration,
        exemplar: None,
    });
    let call = CallObservation {
        method: "shop.Orders/Get",
        code: "OK",
        error_type: "",
        duration,
    };
    metrics.rpc().observe_server(&call, None);
    metrics.rpc().observe_client(&call, None, None);
    let run = Elapsed {
        duration,
        start: UNIX_EPOCH - Duration::from_secs(60),
        end: UNIX_EPOCH - Duration::from_secs(1),
    };
    metrics.jobs().observe("sweep", JobOutcome::Success, run);
}

#[track_caller]
fn only(page: &Exposition, name: &str) -> f64 {
    let samples = page.samples().iter().filter(|it| it.name == name);
    let values: Vec<f64> = samples.map(|it| it.value).collect();
    let [value] = values[..] else {
        panic!("{name}: {values:?}");
    };
    value
}

#[test]
fn f42_each_refusal_of_any_metric_is_counted_and_spoils_no_sum() {
    let (metrics, _) = metrics(10);
    for impossible in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, f64::MIN] {
        PRETENDED.set(Some(impossible));
        one_of_each(&metrics, Duration::ZERO, 0);
        PRETENDED.set(None);
    }
    one_of_each(&metrics, Duration::from_millis(250), 0);
    for accept in [TEXT, OPEN] {
        let page = page(&metrics, accept);
        assert_eq!(only(&page, "telemetry_observations_refused_total"), 25.0);
        for name in DURATIONS {
            assert_eq!(only(&page, &format!("{name}_count")), 1.0, "{name}");
            assert_eq!(only(&page, &format!("{name}_sum")), 0.25, "{name}");
        }
    }
}

#[test]
fn f42_what_a_duration_and_a_size_can_hold_is_counted_and_stays_finite() {
    let (metrics, _) = metrics(10);
    for _ in 0..1_000 {
        one_of_each(&metrics, Duration::MAX, u64::MAX);
        one_of_each(&metrics, Duration::ZERO, 0);
    }
    let page = page(&metrics, OPEN);
    assert_eq!(only(&page, "telemetry_observations_refused_total"), 0.0);
    for name in DURATIONS.into_iter().chain(SIZES) {
        assert_eq!(only(&page, &format!("{name}_count")), 2_000.0, "{name}");
        let sum = only(&page, &format!("{name}_sum"));
        assert!(sum.is_finite() && sum > 1e22, "{name}: {sum}");
    }
    // The calendar stood before 1970: no time is negative.
    assert_eq!(only(&page, "job_last_success_timestamp_seconds"), 0.0);
}

#[test]
fn f42_counts_beyond_32_bits_stand_on_the_page() {
    let count = PointValue::Count(u64::from(u32::MAX) + 7);
    let family = OwnFamily::single(&catalog::SPANS_EXPORTED, count);
    for format in [Format::Text, Format::OpenMetrics] {
        let page = text::encode(&[Gathered::Own(family.clone())], format, 0);
        assert!(page.contains("\ntelemetry_spans_exported_total 4294967302\n"));
    }
}
