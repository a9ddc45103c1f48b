//! Mutes: what they hold back, and what they do not.

use alert_engine::{MutedBy, WakeReason};

use crate::grouping::told_a;
use crate::world::{World, at};

fn told_a_and_b() -> World {
    let mut world = World::new();
    world.fires("A", "-2:00");
    world.fires("B", "-1:00");
    world.at("6:00");
    world
}

fn silenced_neighbour() -> World {
    let mut world = told_a_and_b();
    world.mute("A", MutedBy::Silence, None);
    world.fires("C", "6:00");
    world.at("10:00");
    world
}

#[test]
fn mute_overnight_is_told_in_the_morning() {
    let mut world = World::new();
    world.mute("A", MutedBy::TimeInterval, Some("9:00:00"));
    world.fires("A", "0:00");
    let wake = world.next_wake("G").unwrap();
    assert_eq!((wake.at, wake.why), (at("9:00:00"), WakeReason::MuteMayEnd));
    world.at("8:59:59");
    assert_eq!(world.wakes, 0);
    world.at("10:00:00").heard(&["540:05 First +A"]);
}

#[test]
fn silenced_neighbour_is_a_count() {
    let world = silenced_neighbour();
    world.heard(&["0:05 First +A +B", "6:05 NewAlerts +C =B (1 muted)"]);
}

#[test]
fn silenced_then_over_is_told_once() {
    let mut world = silenced_neighbour();
    world.at("20:00").resolves("A");
    world.at("60:00").heard(&[
        "0:05 First +A +B",
        "6:05 NewAlerts +C =B (1 muted)",
        "20:05 SomeResolved -A =B =C",
    ]);
}

#[test]
fn silence_lifted_from_something_told_is_no_news() {
    let mut world = told_a();
    world.at("10:00").mute("A", MutedBy::Silence, None);
    world.at("20:00").unmute("A");
    world.at("60:00").heard(&["0:05 First +A"]);
}

#[test]
fn never_told_never_closed() {
    let mut world = World::new();
    world.mute("A", MutedBy::Silence, None);
    world.fires("A", "0:00");
    world.at("20:00").resolves("A");
    world.at("21:00").unmute("A");
    world.at("60:00").heard(&[]);
    assert!(world.group().is_over());
}

#[test]
fn no_repeat_when_muted() {
    let mut world = told_a();
    world.at("10:00").mute("A", MutedBy::Silence, None);
    world.at("5:00:00").heard(&["0:05 First +A"]);
}

#[test]
fn counted_is_not_heard() {
    let mut world = World::new();
    world.fires("B", "-1:00");
    world.at("6:00").mute("A", MutedBy::Silence, None);
    world.fires("A", "6:00");
    world.fires("C", "6:00");
    world.at("20:00").unmute("A");
    world.at("60:00").heard(&[
        "0:05 First +B",
        "6:05 NewAlerts +C =B (1 muted)",
        "20:05 NewAlerts +A =B =C",
    ]);
}

#[test]
fn a_mute_that_begins_before_the_window_opens_holds_the_alert_back() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:03").mute("A", MutedBy::Silence, None);
    world.at("20:00").resolves("A");
    world.at("60:00").heard(&[]);
}

#[test]
fn an_end_in_a_time_interval_is_told_when_the_interval_is_over() {
    let mut world = told_a();
    world
        .at("10:00")
        .mute("A", MutedBy::TimeInterval, Some("9:00:00"));
    world.at("20:00").resolves("A");
    world
        .at("10:00:00")
        .heard(&["0:05 First +A", "540:05 AllResolved -A"]);
}

#[test]
fn an_end_that_is_never_told_while_muted_leaves_without_a_word() {
    let mut world = told_a();
    world.policy().resolved_when_muted = Some(alert_engine::WhenMuted::Never);
    world.at("10:00").mute("A", MutedBy::Silence, None);
    world.at("20:00").resolves("A");
    world.at("30:00").unmute("A");
    world.at("60:00").heard(&["0:05 First +A"]);
    assert!(world.group().is_over());
}
