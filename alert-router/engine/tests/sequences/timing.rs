//! Rhythms, repeats, and clocks that step.

use alert_engine::{Candidate, Intake, Says, Slots, Timestamp, Verdict, plan};

use crate::grouping::told_a;
use crate::world::{World, at, lasting, policy};

/// A group that was opened by a post to `/api/v2/alerts`.
pub(crate) fn opened_by_api() -> World {
    let mut world = World::new();
    world.add_group("G", policy(&["room"]), Intake::Api);
    world
}

pub(crate) fn posts(world: &mut World, alert: &str, start: &str, ends: &str) {
    let says = Says::Firing {
        start: at(start),
        expires: Some(at(ends)),
    };
    world.observe("G", alert, alert, says);
}

#[test]
fn repeat_is_a_reminder_after_the_repeat_interval() {
    let mut world = told_a();
    world.at("9:00:00");
    world.heard(&["0:05 First +A", "240:06 Repeat =A", "480:07 Repeat =A"]);
    assert_ne!(world.claims[1].1.id, world.claims[2].1.id);
}

#[test]
fn a_reminder_that_grows_comes_at_twice_the_age_up_to_its_bound() {
    let mut world = told_a();
    world.policy().repeat_interval_max = Some(lasting("8:00:00"));
    world.at("25:00:00");
    world.heard(&[
        "0:05 First +A",
        "240:06 Repeat =A",
        "480:14 Repeat =A",
        "960:15 Repeat =A",
        "1440:16 Repeat =A",
    ]);
}

#[test]
fn what_is_new_is_told_again_after_the_first_interval_however_old_the_rest_is() {
    let mut world = told_a();
    world.policy().repeat_interval_max = Some(lasting("24:00:00"));
    world.at("500:00").fires("B", "500:00");
    world.at("13:00:00");
    world.heard(&[
        "0:05 First +A",
        "240:06 Repeat =A",
        "480:14 Repeat =A",
        "500:05 NewAlerts +B =A",
        "740:06 Repeat =A =B",
    ]);
}

#[test]
fn ticking_tells_news_on_the_next_tick() {
    let mut world = opened_by_api();
    posts(&mut world, "A", "0:00", "60:00");
    world.at("1:05");
    posts(&mut world, "B", "1:05", "60:00");
    world
        .at("20:00")
        .heard(&["0:05 First +A", "5:05 NewAlerts +B =A"]);
}

#[test]
fn ticking_flushes_at_once_what_has_waited_already() {
    let mut world = opened_by_api();
    posts(&mut world, "A", "-1:00", "60:00");
    world.at("1:00");
    posts(&mut world, "B", "1:00", "60:00");
    world
        .at("20:00")
        .heard(&["0:00 First +A", "5:00 NewAlerts +B =A"]);
}

#[test]
fn ticking_repeats_fall_on_a_tick() {
    let mut world = opened_by_api();
    posts(&mut world, "A", "0:00", "9:00:00");
    world
        .at("5:00:00")
        .heard(&["0:05 First +A", "245:05 Repeat =A"]);
}

#[test]
fn ticking_group_that_is_over_waits_again() {
    let mut world = opened_by_api();
    posts(&mut world, "A", "0:00", "60:00");
    world.at("1:00").resolves("A");
    world.at("7:00");
    posts(&mut world, "A", "7:00", "60:00");
    world.at("8:00");
    world.heard(&["0:05 First +A", "5:05 AllResolved -A", "7:05 First +A"]);
}

#[test]
fn clock_back_blocks_nothing() {
    let mut world = World::new();
    world.at("60:00").fires("A", "60:00");
    world.at("61:00");
    world.now = at("1:00");
    world.fires("B", "0:59");
    world.at("30:00");
    world.heard(&["60:05 First +A", "6:00 NewAlerts +B =A"]);
}

#[test]
fn clock_back_while_a_lane_backs_off_blocks_nothing() {
    let mut world = World::new();
    world.channel("room", "60:00", crate::world::Answer::Fails);
    world.at("60:00").fires("A", "60:00");
    world.at("60:10");
    world.now = at("0:10");
    world.turn("G");
    world.at("0:20");
    assert_eq!(world.claims.len(), 2);
}

#[test]
fn clock_back_blocks_no_tick() {
    let mut world = opened_by_api();
    world.at("60:00");
    posts(&mut world, "A", "60:00", "90:00");
    world.now = at("0:10");
    world.turn("G");
    world.at("1:00").heard(&["0:15 First +A"]);
}

/// What an hour would have brought comes at once, and once; what follows keeps its rhythm. It says
/// that it is late: from within, a jump and an hour in which nobody looked are the same.
#[test]
fn clock_forward_brings_forward_and_tells_nothing_twice() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:02");
    world.now = at("60:02");
    world.turn("G");
    world.fires("B", "60:02");
    world.at("61:00");
    world.resolves("A");
    world.at("6:00:00");
    world.heard(&[
        "60:02 First +A late by 3597s",
        "65:03 NewAlerts +B -A",
        "305:04 Repeat =B",
    ]);
}

#[test]
fn clock_forward_while_a_lane_backs_off_costs_one_attempt() {
    let mut world = World::new();
    world.channel("room", "0:00", crate::world::Answer::Fails);
    world.channel("room", "60:00", crate::world::Answer::Delivers);
    world.fires("A", "0:00");
    world.at("0:06");
    assert_eq!(world.claims.len(), 1);
    world.now = at("60:06");
    world.turn("G");
    world.at("70:00").heard(&["60:06 First +A late by 3601s"]);
    assert_eq!(world.claims.len(), 2);
}

/// 30 due lanes of one bot, 18 slots, the last three prioritised.
#[test]
fn flood_digest_carries_what_finds_no_slot() {
    let candidate = |n: i64| Candidate {
        priority: n >= 27,
        verdict: Verdict::First,
        since: Timestamp::from_millis(n),
        messages: 1,
    };
    let candidates: Vec<_> = (0..30).map(candidate).collect();
    let plan = plan(
        &candidates,
        Slots {
            all: 18,
            priority: 18,
            digest: 1,
        },
    );
    assert_eq!(plan.single[..3], [27, 28, 29]);
    assert_eq!(plan.single[3..], (0..14).collect::<Vec<_>>());
    assert_eq!(plan.digest, (14..27).collect::<Vec<_>>());
    assert_eq!(plan.wait, [0; 0]);
}
