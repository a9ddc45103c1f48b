//! Every interleaving of a small world, breadth first: two alerts of two voices, two lanes, all
//! outcomes, a mute, one crash. What holds here is proved for the small world.

#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be built is a failed test"
)]

mod person;
mod small;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use alert_engine::{Ends, Timing};
use proptest::collection::vec;
use proptest::prelude::*;
use small::{Answer, Direction, Shape, Small, Step};

/// Explores `begin` to `depth` steps; returns how many states it saw.
fn explore(begin: &Small, depth: usize) -> usize {
    let mut seen = BTreeSet::new();
    let mut frontier = vec![begin.clone()];
    for left in (0..depth).rev() {
        let mut next = Vec::new();
        for world in &frontier {
            for step in world.steps() {
                let after = tried(world, step, &mut seen);
                // Most states are in the last step, from which nobody goes on.
                next.extend(after.filter(|_| left > 0));
            }
        }
        frontier = next;
    }
    seen.len()
}

/// Takes a step, unless that leads to something seen; says how it came to what does not hold.
fn tried(world: &Small, step: Step, seen: &mut BTreeSet<u64>) -> Option<Small> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut after = world.clone();
        after.take(step);
        let new = seen.insert(digest(&after));
        new.then(|| {
            after.check_rest();
            after
        })
    }));
    result.unwrap_or_else(|broken| {
        eprintln!("after {:?}, then {step:?}", world.path);
        resume_unwind(broken)
    })
}

fn digest(world: &Small) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

#[expect(
    clippy::print_stdout,
    reason = "how many states were seen is what the proof is worth"
)]
fn check(begin: &Small, depth: usize, at_least: usize) {
    let states = explore(begin, depth);
    println!("{states} states to depth {depth}");
    assert!(
        states >= at_least,
        "{states} states are fewer than there were"
    );
}

proptest! {
    /// Far from the beginning, with clocks that step: sampled, not proved.
    #[test]
    fn a_long_walk_tells_the_truth(
        choices in vec(any::<prop::sample::Index>(), 1..60),
        fallback in any::<bool>(),
        ticking in any::<bool>(),
        apart in any::<bool>(),
    ) {
        let timing = if ticking { Timing::Ticking } else { Timing::Settled };
        let ends = if apart { Ends::Apart } else { Ends::Together };
        let mut world = Small::begin(Shape { fallback, timing, ends, ..PEERS });
        for choice in choices {
            let mut steps = world.steps();
            steps.extend([Step::Wait, Step::Wait, Step::Crash(true), Step::Crash(false)]);
            steps.extend([Direction::Forward, Direction::Back].map(Step::Clock));
            world.take(steps[choice.index(steps.len())]);
        }
        world.check_rest();
    }
}

const PEERS: Shape = Shape {
    alerts: 2,
    lanes: 2,
    fallback: false,
    timing: Timing::Settled,
    ends: Ends::Together,
    answers: &Answer::ALL,
    mutes: true,
};

#[test]
fn from_nothing_every_interleaving_tells_the_truth() {
    check(&Small::begin(PEERS), 6, 130_000);
}

#[test]
fn of_one_alert_and_one_lane_every_interleaving_tells_the_truth() {
    let shape = Shape {
        alerts: 1,
        lanes: 1,
        ..PEERS
    };
    check(&Small::begin(shape), 7, 60_000);
}

/// What remains when all that only delays is left out: any order of firing, lagging and ending, of
/// answers that came, were lost on the way or never came, of waiting, and of a crash.
#[test]
fn of_what_decides_who_knows_every_interleaving_tells_the_truth() {
    let shape = Shape {
        alerts: 1,
        lanes: 1,
        answers: &[Answer::Delivered, Answer::FailedArrived, Answer::FailedLost],
        mutes: false,
        ..PEERS
    };
    check(&Small::begin(shape), 9, 350_000);
}

#[test]
fn on_ticks_every_interleaving_tells_the_truth() {
    let shape = Shape {
        alerts: 1,
        lanes: 1,
        timing: Timing::Ticking,
        ..PEERS
    };
    check(&Small::begin(shape), 6, 10_000);
}

#[test]
fn with_ends_told_apart_every_interleaving_tells_the_truth() {
    let shape = Shape {
        lanes: 1,
        ends: Ends::Apart,
        mutes: false,
        ..PEERS
    };
    let mut world = Small::begin(shape);
    for step in [
        Step::Fire(0, 0),
        Step::Wait,
        Step::Land(0, Answer::Delivered),
    ] {
        world.take(step);
    }
    check(&world, 6, 110_000);
}

#[test]
fn with_a_fallback_every_interleaving_tells_the_truth() {
    let shape = Shape {
        alerts: 1,
        fallback: true,
        ..PEERS
    };
    let mut world = Small::begin(shape);
    let failing = [
        Step::Land(0, Answer::FailedLost),
        Step::Wait,
        Step::Land(0, Answer::FailedLost),
    ];
    for step in [Step::Fire(0, 0), Step::Wait].into_iter().chain(failing) {
        world.take(step);
    }
    check(&world, 5, 5_000);
}

#[test]
fn after_a_first_message_every_interleaving_tells_the_truth() {
    let mut world = Small::begin(PEERS);
    let told = [
        Step::Land(0, Answer::Delivered),
        Step::Land(1, Answer::Delivered),
    ];
    for step in [Step::Fire(0, 0), Step::Wait].into_iter().chain(told) {
        world.take(step);
    }
    check(&world, 5, 40_000);
}
