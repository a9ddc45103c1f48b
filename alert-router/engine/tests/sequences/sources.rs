//! Sources that fall silent, and alerts that nobody mentions any more.

use std::time::Duration;

use alert_engine::{EndReason, Liveness, LivenessChange, Source, SourceName, SourceRules};

use crate::grouping::told_a;
use crate::timing::{opened_by_api, posts};
use crate::world::{World, at, lasting};

#[test]
fn silent_source_is_reported_once_and_its_alerts_stay_open() {
    let mut world = told_a();
    world.source_speaks_from_now(lasting("4:00:00"));
    let rules = SourceRules::default();
    let mut reports = Vec::new();
    for hour in 1..=24 {
        world.at(&format!("{hour}:00:00"));
        let source = world.sources.0.get_mut(&SourceName::unnamed()).unwrap();
        reports.extend(source.life.as_mut().unwrap().look(&rules, world.now));
    }
    assert_eq!(reports, [LivenessChange::FellSilent]);
    world.at("300:00:00");
    assert!(
        world
            .group()
            .state()
            .episodes
            .values()
            .all(|episode| episode.fires())
    );
}

#[test]
fn a_source_that_speaks_again_starts_its_clocks_anew() {
    let mut world = told_a();
    world.source_speaks_from_now(lasting("4:00:00"));
    world.at("200:00:00").fires("B", "200:00:00");
    world.at("207:00:00");
    assert!(
        world
            .group()
            .state()
            .episodes
            .values()
            .all(|episode| episode.fires())
    );
}

#[test]
fn stale_alert_is_closed_and_says_so() {
    let mut world = World::new();
    world.policy().repeat_interval = lasting("48:00:00");
    world.source_speaks_from_now(lasting("4:00:00"));
    world.fires("A", "0:00");
    world.add_group(
        "other",
        crate::world::policy(&["room"]),
        alert_engine::Intake::Webhook,
    );
    for hour in (4..=136).step_by(4) {
        world.at(&format!("{hour}:00:00"));
        let says = alert_engine::Says::Resolved { end: world.now };
        world.observe("other", "B", "B", says);
    }
    world.heard(&[
        "0:05 First +A",
        "2880:06 Repeat =A",
        "5760:07 Repeat =A",
        "7800:05 AllResolved -A",
    ]);
    let state = world.claims[3].1.content.lines[0];
    assert_eq!(state.kind, alert_engine::LineKind::Over);
}

#[test]
fn a_stale_end_keeps_its_reason() {
    let mut world = told_a();
    world.at("130:00:01");
    let episode = world.group().state().episodes.values().next().unwrap();
    let end = episode.end().unwrap();
    assert_eq!((end.why, end.at), (EndReason::Stale, at("130:00:00")));
}

#[test]
fn expiring_alert_ends_on_a_tick() {
    let mut world = opened_by_api();
    world.source_speaks_from_now(lasting("60:00"));
    posts(&mut world, "A", "0:00", "5:00");
    for minute in 1..=15 {
        world.at(&format!("{minute}:00"));
        let says = alert_engine::Says::Resolved { end: world.now };
        world.observe("G", "B", "B", says);
    }
    world.heard(&["0:05 First +A", "5:05 AllResolved -A"]);
}

#[test]
fn renewed_alert_does_not_expire() {
    let mut world = opened_by_api();
    world.source_speaks_from_now(lasting("60:00"));
    for minute in 0..=15 {
        world.at(&format!("{minute}:00"));
        posts(&mut world, "A", "0:00", &format!("{}:00", minute + 4));
    }
    world.heard(&["0:05 First +A"]);
}

fn silent_after(life: &Liveness) -> Duration {
    life.silent_after(&SourceRules::default())
}

#[test]
fn a_source_that_repeats_itself_rarely_is_silent_after_twice_that() {
    let mut life = Liveness::begin(at("0:00"));
    assert_eq!(silent_after(&life), lasting("8:00:00"));
    life.repeats(lasting("12:00:00"), at("24:00:00"));
    assert_eq!(silent_after(&life), lasting("24:00:00"));
    let source = Source {
        life: Some(life),
        ..Source::default()
    };
    let rules = SourceRules::default();
    assert!(!source.life.unwrap().is_silent(&rules, at("23:59:00")));
    assert!(source.life.unwrap().is_silent(&rules, at("24:00:00")));
}

#[test]
fn the_longest_interval_holds_until_it_was_not_shown_for_three_times_its_length() {
    let mut life = Liveness::begin(at("0:00"));
    life.repeats(lasting("12:00:00"), at("24:00:00"));
    life.repeats(lasting("6:00:00"), at("60:00:00"));
    assert_eq!(life.repeats_every, lasting("12:00:00"), "36 h");
    life.repeats(lasting("6:00:00"), at("60:00:01"));
    assert_eq!(life.repeats_every, lasting("6:00:00"));
}

#[test]
fn what_posts_show_is_bounded_on_both_sides() {
    let mut life = Liveness::begin(at("0:00"));
    life.repeats(lasting("0:01"), at("1:00"));
    assert_eq!(life.repeats_every, lasting("4:00:00"));
    life.repeats(Duration::MAX, at("1:00"));
    assert_eq!(life.repeats_every, lasting("120:00:00"));
}
