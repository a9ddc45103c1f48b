//! The config changes: nobody is told twice, and the end finds those who were told.

use std::collections::BTreeSet;

use alert_engine::{
    Intake, LaneKey, LanePolicy, Note, Observed, Opens, Outcome, Record, Rehomed, Says,
    StillInFlight,
};

use crate::grouping::told_a;
use crate::world::{Answer, World, at, lane, lasting, policy};

/// A was told from `G` to `room`; then it is routed to `H`, which tells `destination`.
fn reload(world: &mut World, destination: &'static str) -> Result<Rehomed, StillInFlight> {
    let mut to = policy(&[destination]);
    to.destinations = world
        .policy()
        .destinations
        .iter()
        .copied()
        .chain([lane(destination)])
        .collect::<BTreeSet<LaneKey>>()
        .into();
    world.policy().destinations = to.destinations.clone();
    if !world.sites.contains_key("H") {
        world.add_group("H", to, Intake::Webhook);
    }
    world.rehome("A", "G", "H")
}

fn resolve_everywhere(world: &mut World) {
    let end = world.now;
    let sites: Vec<_> = world.sites.keys().copied().collect();
    for site in sites {
        world.observe(site, "A", "A", Says::Resolved { end });
    }
}

/// The config drops the route of `G`, and its destination with it if `destinations` lacks it.
fn drop_route(world: &mut World, destinations: &[&'static str]) {
    let destinations = policy(destinations).destinations;
    *world.policy() = policy(&[]);
    world.policy().destinations = destinations;
}

#[test]
fn renamed_receiver_is_the_same_lane() {
    let mut world = told_a();
    // Names, order and passwords are no part of a lane's key, so the reloaded policy is equal.
    *world.policy() = policy(&["room"]);
    world.at("2:00:00").heard(&["0:05 First +A"]);
}

#[test]
fn moved_to_another_group_of_the_same_destination_is_no_news() {
    let mut world = told_a();
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Gone));
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Nothing));
    world.at("10:00");
    assert!(world.group().is_over());
    resolve_everywhere(&mut world);
    world
        .at("60:00")
        .heard(&["0:05 First +A", "10:05 AllResolved -A"]);
}

#[test]
fn moved_elsewhere_is_told_there_and_closed_here() {
    let mut world = told_a();
    assert_eq!(reload(&mut world, "mail"), Ok(Rehomed::Departed));
    world.lanes_are(&["room", "mail"]);
    world.at("10:00");
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "10:05 room AllResolved -A",
        "10:05 mail AllResolved -A",
    ]);
}

#[test]
fn moved_in_flight_waits_for_the_delivery() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:05");
    assert_eq!(reload(&mut world, "room"), Err(StillInFlight));
    world.at("0:06");
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Gone));
    world.at("10:00");
    resolve_everywhere(&mut world);
    world
        .at("60:00")
        .heard(&["0:05 First +A", "10:05 AllResolved -A"]);
}

#[test]
fn moved_while_owed_is_still_owed() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::HasNoSlot);
    world.channel("room", "20:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("1:00");
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Gone));
    world.at("2:00");
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&["20:00 Missed !A late by 1195s"]);
}

#[test]
fn moved_after_it_was_seen_in_its_new_group_is_one_alert() {
    let mut world = told_a();
    let says = Says::Firing {
        start: at("-1:00"),
        expires: None,
    };
    world.add_group("H", policy(&["room"]), Intake::Webhook);
    world.at("1:00").observe("H", "A", "A", says);
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Gone));
    world.at("10:00");
    resolve_everywhere(&mut world);
    world
        .at("60:00")
        .heard(&["0:05 First +A", "10:05 AllResolved -A"]);
}

#[test]
fn a_destination_that_left_the_config_closes_its_lane_with_a_record() {
    let mut world = told_a();
    *world.policy() = policy(&["mail"]);
    world.at("1:00").turn("G");
    assert!(!world.group().state().lanes.contains_key(&lane("room")));
    let closed = Note::LaneClosed {
        lane: lane("room"),
        unfinished: 1,
    };
    assert!(world.notes.contains(&closed), "{:?}", world.notes);
}

/// What the notes say that nobody hears of: the lane, and how many.
fn unsaid(world: &World) -> Vec<(LaneKey, usize)> {
    let unsaid = world.notes.iter().filter_map(|note| match note {
        Note::Unsaid { lane, alerts, .. } => Some((*lane, alerts.len())),
        Note::Lapsed(_)
        | Note::LaneClosed { .. }
        | Note::LaneOpened { .. }
        | Note::Folded { .. } => None,
    });
    unsaid.collect()
}

#[test]
fn what_a_destination_that_left_the_config_was_owed_others_hear_also_if_it_may_have_arrived() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("0:08").resolves("A");
    *world.policy() = policy(&["mail"]);
    world.turn("G");
    world.at("60:00").heard(&["0:08 Missed !A"]);
    assert_eq!(unsaid(&world), []);
}

#[test]
fn what_only_a_destination_that_left_the_config_was_owed_is_noted() {
    let mut world = World::new();
    *world.policy() = policy(&["room", "mail"]);
    world.channel("room", "0:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("0:08");
    *world.policy() = policy(&["mail"]);
    world.at("1:00").turn("G");
    assert_eq!(unsaid(&world), [(lane("room"), 1)]);
}

/// The delivery under way to the room while it leaves the config, and how that ends.
fn left_under_way(world: &mut World, remain: &[&'static str]) -> Record {
    world.channel("room", "0:00", Answer::Swallows);
    world.fires("A", "0:00");
    world.at("0:06");
    let flight = world.group().state().lanes[&lane("room")].flight.clone();
    let id = flight.expect("it is under way").id;
    *world.policy() = policy(remain);
    world.turn("G");
    world.resolves("A");
    let failed = Outcome::Failed { retry_after: None };
    world.call("G", |group, ctx| group.settle(id, failed, ctx))
}

#[test]
fn what_is_under_way_while_its_destination_leaves_the_config_is_noted_when_it_fails() {
    let mut world = World::new();
    *world.policy() = policy(&["room", "mail"]);
    left_under_way(&mut world, &["mail"]);
    assert_eq!(unsaid(&world), [(lane("room"), 1)]);
}

#[test]
fn what_is_under_way_while_its_destination_leaves_the_config_others_hear_when_it_fails() {
    let mut world = World::new();
    left_under_way(&mut world, &["mail"]);
    world.at("60:00").heard(&["0:07 Missed !A"]);
    assert_eq!(unsaid(&world), []);
}

#[test]
fn what_only_a_destination_that_left_the_config_was_owed_is_noted_when_its_alert_moves() {
    let mut world = World::new();
    *world.policy() = policy(&["room", "mail"]);
    world.channel("room", "0:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("0:08");
    world.policy().lanes.clear();
    world.policy().destinations = policy(&["mail"]).destinations;
    world.add_group("H", policy(&["mail"]), Intake::Webhook);
    assert_eq!(world.rehome("A", "G", "H"), Ok(Rehomed::Departed));
    assert_eq!(unsaid(&world), [(lane("room"), 1)]);
}

#[test]
fn moved_there_and_back_is_no_news() {
    let mut world = told_a();
    reload(&mut world, "mail").unwrap();
    world.lanes_are(&["room", "mail"]);
    world.at("10:00");
    assert_eq!(world.rehome("A", "H", "G"), Ok(Rehomed::Departed));
    world.at("20:00");
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "20:05 room AllResolved -A",
        "20:05 mail AllResolved -A",
    ]);
}

#[test]
fn a_voice_that_only_the_old_group_heard_moves_too() {
    let mut world = World::new();
    let firing = |start| Says::Firing {
        start: at(start),
        expires: None,
    };
    world.observe("G", "A", "0", firing("-1:00"));
    world.observe("G", "A", "1", firing("-1:00"));
    world
        .at("1:00")
        .add_group("H", policy(&["room"]), Intake::Webhook);
    world.observe("H", "A", "1", firing("-1:00"));
    assert_eq!(reload(&mut world, "room"), Ok(Rehomed::Gone));
    world
        .at("10:00")
        .observe("H", "A", "1", Says::Resolved { end: at("10:00") });
    world.at("30:00").heard(&["0:05 First +A"]);
}

#[test]
fn a_destination_that_left_the_route_still_hears_the_end() {
    let mut world = told_a();
    let all = policy(&["room", "mail"]).destinations;
    *world.policy() = policy(&["mail"]);
    world.policy().destinations = all;
    world.turn("G");
    world.lanes_are(&["room", "mail"]);
    world.at("10:00").resolves("A");
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "10:05 room AllResolved -A",
        "10:05 mail AllResolved -A",
    ]);
}

#[test]
fn moved_on_to_a_third_group_of_the_first_destination_is_no_news() {
    let mut world = told_a();
    reload(&mut world, "mail").unwrap();
    world.lanes_are(&["room", "mail"]);
    world
        .at("10:00")
        .add_group("I", policy(&["room"]), Intake::Webhook);
    assert_eq!(world.rehome("A", "H", "I"), Ok(Rehomed::Departed));
    assert_eq!(world.rehome("A", "G", "I"), Ok(Rehomed::Gone));
    assert_eq!(world.rehome("A", "G", "I"), Ok(Rehomed::Nothing));
    assert!(world.group().is_over());
    world.at("20:00");
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "20:05 mail AllResolved -A",
        "20:05 room AllResolved -A",
    ]);
}

#[test]
fn what_an_alert_left_in_a_first_group_may_move_on_before_the_alert_does() {
    let mut world = told_a();
    reload(&mut world, "mail").unwrap();
    world.lanes_are(&["room", "mail"]);
    world
        .at("10:00")
        .add_group("I", policy(&["room"]), Intake::Webhook);
    assert_eq!(world.rehome("A", "G", "I"), Ok(Rehomed::Gone));
    world.at("11:00");
    assert_eq!(world.rehome("A", "H", "I"), Ok(Rehomed::Departed));
    world.at("20:00");
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "20:05 mail AllResolved -A",
        "20:05 room AllResolved -A",
    ]);
}

#[test]
fn what_came_due_while_nobody_looked_is_owed_where_the_alert_moves() {
    for destinations in [&["room", "mail"][..], &["mail"]] {
        let mut world = World::new();
        world.fires("A", "0:00");
        world.kill_before_next_look();
        world.now = at("1:00");
        world.add_group("H", policy(&["mail"]), Intake::Webhook);
        drop_route(&mut world, destinations);
        assert_eq!(world.rehome("A", "G", "H"), Ok(Rehomed::Gone));
        resolve_everywhere(&mut world);
        world.lanes_are(&["room", "mail"]);
        world.at("60:00").heard(&["1:00 mail Missed !A"]);
    }
}

#[test]
fn what_came_due_and_ended_before_the_alert_moved_is_owed_where_it_moves() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.kill_before_next_look();
    world.now = at("1:00");
    drop_route(&mut world, &["mail"]);
    world.resolves("A");
    world.add_group("H", policy(&["mail"]), Intake::Webhook);
    assert_eq!(world.rehome("A", "G", "H"), Ok(Rehomed::Gone));
    world.lanes_are(&["room", "mail"]);
    world.at("60:00").heard(&["1:00 mail Missed !A"]);
}

#[test]
fn what_did_not_come_due_before_the_alert_moved_is_not_owed() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:04");
    assert_eq!(reload(&mut world, "mail"), Ok(Rehomed::Gone));
    resolve_everywhere(&mut world);
    world.at("60:00").heard(&[]);
}

#[test]
fn what_is_on_its_way_to_a_destination_that_the_alert_leaves_is_owed_to_the_next_one() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Refuses);
    world.fires("A", "0:00");
    world.at("0:05");
    assert_eq!(reload(&mut world, "mail"), Ok(Rehomed::Departed));
    resolve_everywhere(&mut world);
    world.lanes_are(&["room", "mail"]);
    world.at("60:00").heard(&["0:05 mail Missed !A"]);
}

#[test]
fn what_came_due_for_a_destination_that_left_the_route_is_owed_to_those_that_are_left() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.now = at("1:00");
    *world.policy() = policy(&["mail"]);
    world.resolves("A");
    world.lanes_are(&["room", "mail"]);
    world.at("60:00").heard(&["1:00 mail Missed !A"]);
}

#[test]
fn a_fallback_is_not_opened_by_a_move() {
    let mut world = told_a();
    let mut with_fallback = policy(&["room", "spare"]);
    with_fallback.lanes.insert(
        lane("spare"),
        LanePolicy {
            opens: Opens::WhenFailing {
                lane: lane("room"),
                after: lasting("10:00"),
            },
            ..LanePolicy::default()
        },
    );
    world.add_group("H", with_fallback, Intake::Webhook);
    assert_eq!(world.rehome("A", "G", "H"), Ok(Rehomed::Gone));
    world.at("60:00").heard(&["0:05 First +A"]);
}

#[test]
fn an_alert_that_fires_again_where_it_departed_from_is_news_again() {
    let mut world = told_a();
    assert_eq!(reload(&mut world, "mail"), Ok(Rehomed::Departed));
    world.channel("room", "10:00", Answer::HasNoSlot);
    world.channel("room", "40:00", Answer::Delivers);
    world.at("10:00");
    resolve_everywhere(&mut world);
    world.at("30:00");
    let again = Says::Firing {
        start: at("29:00"),
        expires: None,
    };
    world.observe("G", "A", "A", again);
    world.lanes_are(&["room", "mail"]);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "10:05 mail AllResolved -A",
        "40:00 room NewAlerts +A -A late by 1795s",
    ]);
}

#[test]
fn what_a_group_has_just_forgotten_it_does_not_get_to_know_by_overhearing() {
    let mut world = told_a();
    assert_eq!(reload(&mut world, "mail"), Ok(Rehomed::Departed));
    world.at("10:00");
    resolve_everywhere(&mut world);
    world.at("30:00");
    let again = Says::Firing {
        start: at("29:00"),
        expires: None,
    };
    assert_eq!(world.overhear("G", "A", again), Observed::NeverFired);
    world.observe("H", "A", "A", again);
    world.lanes_are(&["room", "mail"]);
    world.at("60:00").heard(&[
        "0:05 First +A",
        "0:15 mail First +A",
        "10:05 room AllResolved -A",
        "10:05 mail AllResolved -A",
        "30:05 mail First +A",
    ]);
}
