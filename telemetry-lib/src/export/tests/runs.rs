//! Runs that follow one another while what the earlier ones took is still on its way.

use super::*;
use crate::fork::tests::PRETENDED;
use crate::testing::{Answer, FakeCollector, Gate};

fn waiting(path: &Path) -> u64 {
    path.health.queue_items()
}

#[test]
fn a_run_that_ends_late_leaves_the_gauges_of_the_next_alone() {
    let (slow, gate) = (FakeCollector::start(), Gate::closed());
    slow.always(Answer::ok().behind(&gate));
    let next = FakeCollector::start();
    let mut path = Path::to(slow.traces_endpoint());
    path.spans(512);
    slow.wait_for_requests(1);
    path.spans(7);
    assert_eq!(waiting(&path), 7);
    let bytes = path.health.queue_bytes();

    let former = path.follow(next.traces_endpoint());
    assert_eq!(waiting(&path), 7, "they still wait");
    path.spans(3);
    assert_eq!(waiting(&path), 10, "in both runs");
    assert!(path.health.queue_bytes() > bytes);
    gate.open();
    assert_eq!(former.shutdown_blocking(PATIENCE).failed, 0);
    assert_eq!(waiting(&path), 3, "the former run has ended");
    assert_eq!(path.flush().exported, 522);
    assert_eq!((waiting(&path), path.health.queue_bytes()), (0, 0));
    assert_eq!((slow.spans().len(), next.spans().len()), (519, 3));
}

#[test]
fn a_child_shows_nothing_of_what_its_parent_has_queued() {
    let collector = FakeCollector::start();
    let path = Path::to(collector.traces_endpoint());
    path.spans(3);
    PRETENDED.set(Some(1));
    let before = waiting(&path);
    path.spans(2);
    let after = waiting(&path);
    path.flush();
    path.handle.shutdown_blocking(PATIENCE);
    PRETENDED.set(None);
    assert_eq!((before, after), (0, 2));
}

#[test]
fn few_runs_export_at_once_and_what_is_given_up_is_counted() {
    let collector = FakeCollector::start();
    collector.always(Answer::hang());
    let mut path = Path::to(collector.traces_endpoint());
    let mut former = Vec::new();
    for _ in 0..7 {
        path.spans(2);
        former.push(path.follow(collector.traces_endpoint()));
    }
    // The newest of them have all the time that they are given.
    for ended in &former[..3] {
        assert_eq!(ended.shutdown_blocking(PATIENCE).failed, 0);
    }
    assert_eq!(path.health.dropped(DropReason::ExportFailed), 6);
    assert_eq!(path.processor.queue().former(), 4);
    assert_eq!(former[6].shutdown_blocking(Duration::ZERO).failed, 2);
}

#[test]
fn each_run_gets_what_ended_while_it_was_the_newest() {
    let collectors = [(); 4].map(|()| FakeCollector::start());
    let mut path = Path::to(collectors[0].traces_endpoint());
    path.spans(1);
    let mut runs = Vec::new();
    for (collector, count) in collectors[1..].iter().zip(2..) {
        runs.push(path.follow(collector.traces_endpoint()));
        path.spans(count);
    }
    for run in runs {
        run.shutdown_blocking(PATIENCE);
    }
    path.flush();
    let counts = collectors.each_ref().map(|it| it.spans().len());
    assert_eq!(counts, [1, 2, 3, 4]);
    assert_eq!(path.processor.queue().former(), 0, "none is kept");
}
