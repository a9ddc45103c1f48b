//! What requests add to the metrics of a server.

use super::*;
use crate::testing::Sample;

#[test]
fn active_requests_end_with_their_guard_on_any_thread() {
    let (metrics, _) = metrics(10);
    let http = metrics.http_server();
    let guards: Vec<_> = (0..3).map(|_| http.start(0, "GET", "http")).collect();
    let active = |metrics: &Metrics| {
        page(metrics, TEXT).value(
            "http_server_active_requests",
            &[("http_request_method", "GET")],
        )
    };
    assert_eq!(active(&metrics), Some(3.0));
    std::thread::spawn(move || drop(guards)).join().unwrap();
    assert_eq!(active(&metrics), Some(0.0));
}

#[test]
fn requests_that_differ_in_one_label_are_told_apart_also_the_second_time() {
    let (metrics, _) = metrics(100);
    let http = metrics.http_server();
    type Change = fn(&mut Observation<'_>);
    let changes: [Change; 14] = [
        |_| {},
        |it| (it.method, it.number) = ("POST", 3),
        |it| (it.method, it.number) = ("_OTHER", usize::MAX),
        |it| it.scheme = "https",
        |it| it.version = "1.0",
        |it| it.version = "2",
        |it| it.version = "",
        |it| it.route = Some("/b"),
        |it| it.route = None,
        |it| it.status = Some(201),
        |it| it.status = Some(456),
        |it| it.status = None,
        |it| it.error_type = Some("200"),
        |it| it.error_type = Some("cancelled"),
    ];
    for change in changes.iter().chain(&changes) {
        let mut seen = request("/a", 1);
        change(&mut seen);
        http.observe(&seen);
    }
    let page = page(&metrics, TEXT);
    let counts = |it: &&Sample| it.name == "http_server_request_duration_seconds_count";
    let counts = page.samples().iter().filter(counts).map(|it| it.value);
    assert_eq!(counts.collect::<Vec<_>>(), [2.0; 14]);
}

#[test]
fn active_requests_are_told_apart_whether_their_method_has_a_low_number_or_none() {
    for (cap, series) in [(100, 5), (4, 4)] {
        let (metrics, _) = metrics(cap);
        let http = metrics.http_server();
        let mut guards = Vec::new();
        for _ in 0..2 {
            for (number, method) in [
                (0, "GET"),
                (3, "POST"),
                (99, "COPY"),
                (usize::MAX, "_OTHER"),
            ] {
                guards.push(http.start(number, method, "http"));
            }
            guards.push(http.start(0, "GET", "https"));
        }
        let page = page(&metrics, TEXT);
        let samples = page.samples().iter();
        let active: Vec<f64> = samples
            .filter(|it| it.name == "http_server_active_requests")
            .map(|it| it.value)
            .collect();
        // Beyond the cap there is one more, and what comes to it is counted each time.
        let overflow = usize::from(cap < 5);
        assert_eq!(active, vec![2.0; series + overflow], "{cap}");
        let overflowed = http.overflowed().map(|(_, count)| count);
        assert_eq!(overflowed, [2 * overflow as u64, 0], "{cap}");
    }
}

#[test]
fn recording_a_request_allocates_nothing_once_its_series_exists() {
    let (metrics, _) = metrics(10);
    let http = metrics.http_server();
    let seen = |second| Observation {
        request_body: Some(1),
        response_body: Some(2),
        exemplar: exemplar(second),
        ..request("/users/{id}", 3)
    };
    drop(http.start(0, "GET", "http"));
    http.observe(&seen(0));
    let allocated = allocation_counter::measure(|| {
        drop(http.start(0, "GET", "http"));
        assert!(http.observe(&seen(15)));
    });
    assert_eq!(allocated.count_total, 0);
}
