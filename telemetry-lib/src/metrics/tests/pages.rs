//! Pages that nobody reads, and what is asked once for many.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::fork::tests::PRETENDED;

#[test]
fn of_pages_that_nobody_reads_only_sixteen_are_held() {
    let (metrics, _) = metrics(100);
    let mut zipped = HeaderMap::new();
    zipped.insert("accept-encoding", "gzip".parse().unwrap());
    let ask = |number: usize| match number % 2 {
        0 => metrics.render(&HeaderMap::new()),
        _ => metrics.render(&zipped),
    };
    let mut held: Vec<_> = (0..16).map(ask).collect();
    assert!(held.iter().all(|page| page.status() == 200));
    for number in 0..100 {
        let refused = ask(number);
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert!(refused.body().len() < 100);
    }
    // Part of a page is all of it.
    let part = held.pop().unwrap().into_body().slice(..1);
    assert_eq!(ask(0).status(), 503);
    drop(part);
    assert_eq!(ask(0).status(), 200);
    assert_eq!(ask(0).status(), 200, "that one was sent");
}

/// A process that was forked has another id, and asking reads files.
#[test]
fn the_labels_of_the_target_are_asked_once_in_each_process() {
    let (notices, _) = recorded();
    let asked = AtomicUsize::new(0);
    let target = move || format!("asked=\"{}\"", asked.fetch_add(1, Relaxed)).into();
    let own = Own {
        target: Box::new(target),
        health: ExportHealth::new(notices.clone()),
        logs: Logs::new(&crate::Config::from_vars("test", []).logs, notices.clone()),
    };
    let config = MetricsConfig { max_series: 10 };
    let metrics = Metrics::new(&config, Arc::default(), own, notices);
    for (process, told) in [(0, "0"), (0, "0"), (1, "1"), (1, "1"), (0, "0")] {
        PRETENDED.set(Some(process));
        let page = page(&metrics, TEXT);
        PRETENDED.set(None);
        assert_eq!(page.value("target_info", &[("asked", told)]), Some(1.0));
    }
}
