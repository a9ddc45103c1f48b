//! What fires and what is over, in messages of their own.

use alert_engine::{Ends, LanePolicy, Timing};

use crate::world::{Answer, World, lane};

/// A and B fire and are told to a room that hears of ends apart.
fn told_a_and_b() -> World {
    let mut world = World::new();
    let separate = LanePolicy {
        ends: Ends::Apart,
        ..LanePolicy::default()
    };
    world.policy().lanes.insert(lane("room"), separate);
    world.fires("A", "-1:00");
    world.fires("B", "-1:00");
    world.at("0:10").heard(&["0:05 First +A +B"]);
    world
}

#[test]
fn what_fires_goes_first_and_what_is_over_follows_at_once() {
    let mut world = told_a_and_b();
    world.at("1:00").resolves("A");
    world.at("2:00").fires("C", "1:50");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:06 NewAlerts +C =B",
        "5:07 SomeResolved -A",
    ]);
}

#[test]
fn an_end_alone_is_told_without_what_still_fires() {
    let mut world = told_a_and_b();
    world.at("1:00").resolves("A");
    world.at("10:00").resolves("B");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:06 SomeResolved -A",
        "10:07 AllResolved -B",
    ]);
}

#[test]
fn an_end_after_the_message_that_it_had_to_leave_to_others_waits_as_ever() {
    let mut world = told_a_and_b();
    world.at("2:00").fires("C", "1:50");
    world.at("5:10").resolves("A");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:06 NewAlerts +C =A =B",
        "10:07 SomeResolved -A",
    ]);
}

#[test]
fn a_blink_between_the_two_says_nothing() {
    let mut world = told_a_and_b();
    world.at("2:00").fires("C", "1:50");
    world.at("5:04").resolves("A");
    world.at("5:08").fires("A", "5:07");
    world
        .at("30:00")
        .heard(&["0:05 First +A +B", "5:06 NewAlerts +C =B"]);
}

#[test]
fn an_end_does_not_wait_behind_what_fires_and_was_given_up() {
    let mut world = told_a_and_b();
    world.channel("room", "5:00", Answer::Refuses);
    world.channel("room", "5:07", Answer::Delivers);
    world.at("1:00").resolves("A");
    world.at("2:00").fires("C", "1:50");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:07 SomeResolved -A",
        "10:08 NewAlerts +C =B",
    ]);
}

#[test]
fn missed_occurrences_are_told_apart_from_what_fires() {
    let mut world = told_a_and_b();
    world.channel("room", "0:10", Answer::Defers);
    world.channel("room", "20:00", Answer::Delivers);
    world.at("1:00").fires("C", "0:55");
    world.at("10:00").resolves("C");
    world.at("11:00").fires("D", "10:55");
    world.at("60:00").heard(&[
        "0:05 First +A +B",
        "20:00 NewAlerts +D =A =B late by 540s",
        "20:01 Missed !C late by 895s",
    ]);
}

#[test]
fn on_ticks_both_leave_at_the_same_tick() {
    let mut world = told_a_and_b();
    world.policy().timing = Some(Timing::Ticking);
    world.at("1:00").resolves("A");
    world.at("2:00").fires("C", "1:50");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:00 NewAlerts +C =B",
        "5:01 SomeResolved -A",
    ]);
}

#[test]
fn reminders_name_what_fires_only() {
    let mut world = told_a_and_b();
    world.at("1:00").resolves("A");
    world.at("5:00:00").heard(&[
        "0:05 First +A +B",
        "5:06 SomeResolved -A",
        "245:07 Repeat =B",
    ]);
}

#[test]
fn an_older_occurrence_of_what_fires_again_is_told_beside_it() {
    let mut world = told_a_and_b();
    world.at("1:00").resolves("A");
    world.at("1:30").resolves("B");
    world.at("2:00").fires("A", "1:50");
    world.at("30:00").heard(&[
        "0:05 First +A +B",
        "5:06 NewAlerts +A -A",
        "5:07 SomeResolved -B",
    ]);
}
