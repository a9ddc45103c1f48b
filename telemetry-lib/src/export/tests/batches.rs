//! When a batch leaves, as the variables say.

use super::*;
use crate::Config;
use crate::testing::FakeCollector;

/// An export path as these variables configure it.
fn configured(collector: &FakeCollector, variables: &[(&str, &str)]) -> Path {
    let endpoint = collector.endpoint();
    let own = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let all = own.iter().chain(variables);
    let owned = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::from_vars("orders", owned);
    Path::with(ExportConfig::of(&config.exporter.unwrap()))
}

#[test]
fn a_batch_leaves_after_its_delay_and_not_before() {
    for (value, millis) in [("", 1_000), ("3000", 3_000), ("60000", 60_000)] {
        let collector = FakeCollector::start();
        let path = configured(&collector, &[("OTEL_BSP_SCHEDULE_DELAY", value)]);
        path.spans(1);
        path.timer.wait_for(Wait::Gather);
        path.spans(2);
        let (all, last) = (Duration::from_millis(millis), Duration::from_millis(1));
        // A span that came before the thread was there wakes it once more.
        while !path.timer.waits(Wait::Gather).contains(&last) {
            path.timer.wait_for(Wait::Gather);
            path.timer.wake_at(Wait::Gather, all - last);
        }
        path.timer.wait_for(Wait::Gather);
        assert!(collector.requests().is_empty(), "{value}: too early");
        let waits = path.timer.waits(Wait::Gather);
        let known = |wait: &Duration| [all, last].contains(wait);
        assert!(waits[0] == all && waits.iter().all(known), "{waits:?}");

        path.timer.hurry(Wait::Gather);
        assert_eq!(collector.wait_for_spans(3).len(), 3, "{value}");
        assert_eq!(collector.requests().len(), 1, "{value}");
    }
}

#[test]
fn a_batch_that_is_full_or_has_no_delay_leaves_at_once() {
    for (variable, value, spans) in [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3", 3),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2", 2),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", 1),
    ] {
        let collector = FakeCollector::start();
        let path = configured(&collector, &[(variable, value)]);
        path.spans(spans);
        assert_eq!(collector.wait_for_spans(spans).len(), spans, "{variable}");
        assert_eq!(collector.requests()[0].spans.len(), spans, "{variable}");
    }
}
