//! What the collector answers, and what that does to a batch (F03, F04, F10).

use super::*;
use crate::testing::{Answer, FakeCollector, Gate};

fn sizes(collector: &FakeCollector) -> Vec<usize> {
    let requests = collector.requests();
    requests.iter().map(|request| request.spans.len()).collect()
}

#[test]
fn spans_arrive_as_otlp_with_resource_headers_and_scope() {
    let collector = FakeCollector::start();
    let mut config = ExportConfig::new(collector.traces_endpoint());
    let token = HeaderValue::from_static("secret");
    config
        .headers
        .push((HeaderName::from_static("x-token"), token));
    let path = Path::with(config);
    path.spans(3);
    assert_eq!(path.flush().exported, 3);
    let requests = collector.requests();
    assert_eq!(requests[0].path, "/v1/traces");
    assert_eq!(
        requests[0].headers["content-type"],
        "application/x-protobuf"
    );
    assert_eq!(requests[0].headers["x-token"], "secret");
    let spans = collector.spans();
    assert_eq!(spans.len(), 3);
    assert_eq!((spans[2].name(), spans[2].scope()), ("span 2", "test"));
    assert_eq!(
        spans[0].resource_attribute("service.name"),
        Some(&"orders".into())
    );
}

#[test]
fn gzip_shrinks_the_request_and_keeps_its_spans() {
    let collector = FakeCollector::start();
    let path = |gzip| {
        let mut config = ExportConfig::new(collector.traces_endpoint());
        config.gzip = gzip;
        let path = Path::with(config);
        path.spans(100);
        path.flush();
    };
    path(false);
    path(true);
    let requests = collector.requests();
    assert_eq!(sizes(&collector), [100, 100]);
    assert_eq!(requests[1].headers["content-encoding"], "gzip");
    assert!(requests[1].body_bytes < requests[0].body_bytes);
}

#[test]
fn a_batch_leaves_when_it_is_full_or_its_time_is_over() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(513);
    assert_eq!(collector.wait_for_spans(512).len(), 512);
    path.timer.wait_for(Wait::Gather);
    assert_eq!(
        path.timer.waits(Wait::Gather).last(),
        Some(&Duration::from_secs(1))
    );
    path.timer.pass(Wait::Gather);
    assert_eq!(collector.wait_for_spans(513).len(), 513);
    assert_eq!(sizes(&collector), [512, 1]);
}

#[test]
fn f03_a_slow_collector_gets_one_bounded_request_at_a_time_and_blocks_nobody() {
    let collector = FakeCollector::start();
    let gate = Gate::closed();
    collector.next(Answer::ok().behind(&gate));
    let path = Path::to(collector.traces_endpoint());
    path.spans(512);
    collector.wait_for_requests(1);
    path.spans(1_024);
    assert_eq!(sizes(&collector), [512]);
    gate.open();
    assert_eq!(path.flush().exported, 1_536);
    assert_eq!(sizes(&collector), [512, 512, 512]);
}

#[test]
fn f04_throttling_waits_as_the_collector_says_and_delivers_once() {
    let collector = FakeCollector::start();
    collector.next(Answer::status(503).retry_after("7"));
    for status in [429, 502, 504] {
        collector.next(Answer::status(status));
    }
    let path = Path::to(collector.traces_endpoint());
    path.spans(5);
    let report = path.flush();
    assert_eq!(
        (report.exported, report.failed, report.is_complete()),
        (5, 0, true)
    );
    assert_eq!(sizes(&collector), [5, 5, 5, 5, 5]);
    assert_eq!(collector.spans().len(), 5);
    assert_eq!(path.health.retries(), 4);
    let waits = path.timer.waits(Wait::Backoff);
    assert!(waits[0] >= Duration::from_secs(7), "{waits:?}");
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_millis(500)),
        "{waits:?}"
    );
}

#[test]
fn f04_a_retry_after_beyond_the_minute_gives_up_at_once() {
    let collector = FakeCollector::start();
    collector.next(Answer::status(503).retry_after("61"));
    let path = Path::to(collector.traces_endpoint());
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    assert!(path.timer.waits(Wait::Backoff).is_empty());
}

#[test]
fn f04_retries_end_after_a_minute() {
    let collector = FakeCollector::start();
    collector.always(Answer::status(503));
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    assert_eq!(path.flush().dropped.export_failed, 2);
    let waits = path.timer.waits(Wait::Backoff);
    assert!(
        waits.iter().sum::<Duration>() < Duration::from_secs(60),
        "{waits:?}"
    );
    assert_eq!(collector.requests().len(), 1 + waits.len());
    assert_eq!(path.health.retries(), waits.len() as u64);
}

#[test]
fn f04_what_can_never_succeed_is_not_retried() {
    for status in [400, 401, 404, 500, 307] {
        let collector = FakeCollector::start();
        collector.always(Answer::status(status).header("location", "http://127.0.0.1:1/"));
        let path = Path::to(collector.traces_endpoint());
        path.spans(2);
        assert_eq!(path.flush().dropped.export_failed, 2, "{status}");
        assert_eq!(sizes(&collector), [2], "{status}");
    }
}

#[test]
fn f04_too_large_is_halved_until_it_fits() {
    let collector = FakeCollector::start();
    collector.next(Answer::status(413));
    collector.next(Answer::status(413));
    let path = Path::to(collector.traces_endpoint());
    path.spans(8);
    assert_eq!(path.flush().exported, 8);
    assert_eq!(sizes(&collector), [8, 4, 2, 2, 4]);
    let names: Vec<_> = collector
        .spans()
        .iter()
        .map(|span| span.name().to_owned())
        .collect();
    assert_eq!(
        names,
        (0..8).map(|n| format!("span {n}")).collect::<Vec<_>>()
    );
}

#[test]
fn f04_only_the_span_that_is_too_large_alone_is_lost() {
    let collector = FakeCollector::start();
    for status in [413, 413] {
        collector.next(Answer::status(status));
    }
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    let report = path.flush();
    assert_eq!((report.exported, report.dropped.export_failed), (1, 1));
    assert_eq!(sizes(&collector), [2, 1, 1]);
    let notice = path.notices().join("\n");
    assert!(
        notice.contains("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        "{notice}"
    );
}

#[test]
fn partial_success_is_counted_as_rejected() {
    let collector = FakeCollector::start();
    collector.next(Answer::partial(2, "too old"));
    let path = Path::to(collector.traces_endpoint());
    path.spans(5);
    let report = path.flush();
    assert_eq!((report.exported, report.dropped.rejected), (3, 2));
    assert!(path.notices()[0].contains("rejected 2 spans of a batch: \"too old\""));
}

#[test]
fn a_collector_that_rejects_more_than_it_got_is_not_believed() {
    let collector = FakeCollector::start();
    collector.next(Answer::partial(i64::MAX, ""));
    collector.next(Answer::partial(-1, ""));
    let path = Path::to(collector.traces_endpoint());
    path.spans(5);
    assert_eq!(path.flush().dropped.rejected, 5);
    path.spans(5);
    assert_eq!(path.flush().exported, 5);
}

#[test]
fn f10_a_page_from_a_proxy_is_an_error_and_shows_no_secret() {
    let collector = FakeCollector::start();
    let page = format!("<html>{}</html>", "x".repeat(10_000));
    let answer = Answer::html(&page).header("set-cookie", "session=hunter3");
    collector.always(answer.header("x-backend", "hunter4"));
    let mut config = ExportConfig::new(collector.traces_endpoint());
    let token = HeaderValue::from_static("Bearer hunter2");
    config
        .headers
        .push((HeaderName::from_static("authorization"), token));
    let shown = format!("{config:?}");
    let path = Path::with(config);
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    let notice = path.notices().join("\n");
    assert!(
        notice.contains("answered text/html; charset=utf-8, not OTLP"),
        "{notice}"
    );
    assert!(!notice.contains("hunter") && !shown.contains("hunter"));
}

/// What a notice quotes of a page. The notice is one line, whatever the page.
#[track_caller]
fn quoted(page: &[u8]) -> String {
    let collector = FakeCollector::start();
    collector.always(Answer::status(200).body("text/html", page));
    let path = Path::to(collector.traces_endpoint());
    path.spans(1);
    path.flush();
    let notices = path.notices();
    let [notice] = &notices[..] else {
        panic!("{notices:#?}");
    };
    assert!(!notice.contains(char::is_control), "{notice:?}");
    let (_, rest) = notice.split_once("it begins \"").unwrap();
    let (quoted, _) = rest.rsplit_once("\" (so far").unwrap();
    quoted.to_owned()
}

#[test]
fn f10_a_notice_quotes_a_bounded_part_of_a_page_and_stays_one_line() {
    /// Less than 256 bytes, escapes included.
    const LIMIT: usize = 120;
    for length in [LIMIT - 1, LIMIT, LIMIT + 1, 256, 257, 10_000] {
        let page = "x".repeat(length);
        assert_eq!(quoted(page.as_bytes()), page[..length.min(LIMIT)]);
    }
    // A character that does not fit is left out whole, wherever the border cuts it.
    for before in 0..4 {
        let page = format!("{}{}", "x".repeat(before), "\u{1f980}\u{4f60}".repeat(100));
        let seen = quoted(page.as_bytes());
        assert!(page.starts_with(&seen), "{seen}");
        assert!((LIMIT - 3..=LIMIT).contains(&seen.len()), "{seen}");
    }
    // What could end the line or the quotation, or turn the text around, is escaped.
    for (hostile, begins) in [
        ("\r\n", r"\r\n\r\n"),
        ("\0\u{1b}[31m\u{7f}", r"\0\u{1b}[31m\u{7f}\0"),
        ("\u{85}\u{2028}\u{202e}", r"\u{85}\u{2028}\u{202e}\u{85}"),
        ("\"\\'", r#"\"\\'\"\\'"#),
    ] {
        let seen = quoted(hostile.repeat(200).as_bytes());
        assert!(seen.starts_with(begins), "{seen}");
        assert!((LIMIT - 7..=LIMIT).contains(&seen.len()), "{seen}");
    }
    let seen = quoted(&[0xff; 10_000]);
    assert_eq!(seen, "\u{fffd}".repeat(LIMIT / 3));
}

#[test]
fn f10_an_empty_page_is_no_delivery_either() {
    let collector = FakeCollector::start();
    collector.always(Answer::html(""));
    let path = Path::to(collector.traces_endpoint());
    path.spans(2);
    let report = path.flush();
    assert_eq!((report.exported, report.dropped.export_failed), (0, 2));
    let notice = path.notices().join("\n");
    assert!(
        notice.contains("answered text/html; charset=utf-8, not OTLP"),
        "{notice}"
    );
    assert_eq!(sizes(&collector), [2], "it is not tried again");
}

#[test]
fn an_answer_without_end_is_cut() {
    let collector = FakeCollector::start();
    collector.always(Answer::ok().body("application/x-protobuf", vec![0; 5 * 1024 * 1024]));
    let path = Path::to(collector.traces_endpoint());
    path.spans(1);
    assert_eq!(path.flush().dropped.export_failed, 1);
    assert!(path.notices()[0].contains("larger than 4 MiB"));
}
