//! What becomes one message, and what is no news.

use alert_engine::{Observed, Says};

use crate::world::{World, at, lasting};

/// A, B and C fire within four seconds and are told.
fn storm() -> World {
    let mut world = World::new();
    world.fires("A", "-5:00");
    world.at("0:02").fires("B", "-4:00");
    world.at("0:04").fires("C", "-3:00");
    world
}

/// A fires and is told, in a message that was heard at 0:06.
pub(crate) fn told_a() -> World {
    let mut world = World::new();
    world.fires("A", "-1:00");
    world.at("0:10").heard(&["0:05 First +A"]);
    world
}

#[test]
fn storm_in_front_is_one_message() {
    let mut world = storm();
    world.at("30:00").heard(&["0:05 First +A +B +C"]);
}

#[test]
fn late_member_waits_for_the_group_interval() {
    let mut world = storm();
    world.at("1:00").fires("D", "0:50");
    world
        .at("30:00")
        .heard(&["0:05 First +A +B +C", "5:06 NewAlerts +D =A =B =C"]);
}

#[test]
fn twin_of_a_cluster_is_one_alert_with_the_earliest_start() {
    let mut world = World::new();
    world.fires("A", "-1:00");
    world.at("0:03").fires("A", "-0:46");
    world.at("30:00").heard(&["0:05 First +A"]);
    let episode = world.group().state().episodes.values().next().unwrap();
    assert_eq!(episode.start, at("-1:00"));
}

#[test]
fn restart_of_prometheus_is_no_news() {
    let mut world = told_a();
    world.at("7:00").fires("A", "7:00");
    world.at("30:00").heard(&["0:05 First +A"]);
    let episode = world.group().state().episodes.values().next().unwrap();
    assert_eq!(episode.start, at("-1:00"));
}

#[test]
fn blink_within_group_wait_is_no_news() {
    let mut world = told_a();
    world.at("10:00").resolves("A");
    world.at("10:03").fires("A", "10:02");
    world.at("60:00").heard(&["0:05 First +A"]);
}

#[test]
fn second_time_is_a_new_episode_in_a_new_thread() {
    let mut world = told_a();
    world.at("10:00").resolves("A");
    world.at("60:00").fires("A", "60:00");
    world.at("70:00");
    world.heard(&["0:05 First +A", "10:05 AllResolved -A", "60:05 First +A"]);
    let (first, second) = (&world.claims[0].1, &world.claims[2].1);
    assert_ne!(first.birth, second.birth);
    assert_ne!(first.content.lines, second.content.lines);
}

#[test]
fn truncated_payload_says_nothing_about_what_it_hides() {
    let mut world = World::new();
    world.fires("A", "-1:00");
    world.fires("B", "-1:00");
    assert_eq!(world.at("6:00").fires("A", "-1:00"), Observed::Unchanged);
    world.at("60:00");
    assert!(
        world
            .group()
            .state()
            .episodes
            .values()
            .all(|episode| episode.fires())
    );
    assert_eq!(world.claims.len(), 1);
}

#[test]
fn unseen_resolve_changes_nothing() {
    let mut world = World::new();
    assert_eq!(world.resolves("A"), Observed::NeverFired);
    world.at("30:00").heard(&[]);
    assert!(world.group().is_over());
}

#[test]
fn too_short_to_tell_is_not_told() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:03").resolves("A");
    world.at("30:00").heard(&[]);
    assert!(world.group().is_over());
}

#[test]
fn re_fire_untold_tells_the_old_occurrence_as_over_with_the_new_one() {
    let mut world = told_a();
    world.at("1:00").resolves("A");
    world.at("1:30").fires("A", "1:25");
    world
        .at("30:00")
        .heard(&["0:05 First +A", "5:06 NewAlerts +A -A"]);
}

#[test]
fn late_echo_of_an_older_occurrence_changes_nothing() {
    let mut world = told_a();
    world.at("5:00").resolves("A");
    world.at("10:00").fires("A", "10:00");
    world.at("11:00").fires("A", "-1:00");
    let end = at("5:00");
    world
        .at("11:01")
        .observe("G", "A", "A", Says::Resolved { end });
    world.at("60:00");
    world.heard(&["0:05 First +A", "5:06 AllResolved -A", "10:05 First +A"]);
}

#[test]
fn an_observation_that_changes_nothing_costs_no_write() {
    let mut world = told_a();
    assert_eq!(world.at("1:00").fires("A", "-1:00"), Observed::Unchanged);
    // An eighth of the 130 hours after which an alert is stale.
    assert_eq!(world.at("17:00:00").fires("A", "-1:00"), Observed::SeenOnly);
    assert_eq!(
        world.at("17:00:01").fires("A", "-1:00"),
        Observed::Unchanged
    );
}

#[test]
fn large_group_counts_by_name_and_still_resolves() {
    let mut world = World::new();
    world.policy().group_wait = lasting("0:01");
    for n in 0..600 {
        world.fires(&format!("A{n}"), "-1:00");
    }
    world.at("1:00");
    let text = |alert: &alert_engine::Alert| matches!(alert.text, alert_engine::Text::Body(_));
    let alerts = &world.group().state().alerts;
    assert_eq!(alerts.values().filter(|alert| text(alert)).count(), 500);
    for n in 500..600 {
        world.resolves(&format!("A{n}"));
    }
    world.at("60:00").heard(&[
        "0:01 First {'+': 600}",
        "5:02 SomeResolved {'-': 100, '=': 500}",
    ]);
}

#[test]
fn an_alert_with_priority_keeps_its_text_however_large_the_group_is() {
    let mut world = World::new();
    for n in 0..600 {
        world.fires(&format!("A{n}"), "-1:00");
    }
    for n in 0..600 {
        world.fires(&format!("urgent{n}"), "-1:00");
    }
    let alerts = world.group().state().alerts.values();
    let told = alerts.filter(|alert| matches!(alert.text, alert_engine::Text::Body(_)));
    let urgent: Vec<bool> = told.map(|alert| alert.priority).collect();
    assert_eq!(urgent.iter().filter(|urgent| **urgent).count(), 500);
    assert_eq!(urgent.len(), 1000);
}

#[test]
fn a_full_group_refuses_what_is_beyond_its_bound_and_goes_on() {
    let mut world = World::new();
    for n in 0..20_000 {
        world.fires(&format!("A{n}"), "-1:00");
    }
    let refused = Observed::Refused(alert_engine::TooMany::Alerts);
    assert_eq!(world.fires("one more", "-1:00"), refused);
    assert_eq!(world.fires("A7", "-1:00"), Observed::Unchanged);
    world.at("0:10").heard(&["0:05 First {'+': 20000}"]);
}
