//! Deliveries that fail, and what becomes of what they carried.

use alert_engine::{Became, LanePolicy, Opens, Verdict};

use crate::grouping::told_a;
use crate::world::{Answer, World, at, lane, lasting};

#[test]
fn one_of_two_fails_and_the_other_does_not_notice() {
    let mut world = World::with_lanes(&["room", "mail"]);
    world.channel("mail", "0:00", Answer::Fails);
    world.channel("mail", "60:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("30:00").resolves("A");
    world
        .at("60:00")
        .heard(&["0:05 room First +A", "30:05 room AllResolved -A"]);
    world.at("3:00:00");
    let of_mail = |(_, due): &&(_, alert_engine::Due)| due.lane == lane("mail");
    let tries: Vec<_> = world.claims.iter().filter(of_mail).collect();
    let (first_good, before) = tries.split_last().unwrap();
    assert_eq!(first_good.1.verdict, Verdict::AllResolved);
    assert!(before.iter().all(|(when, _)| *when < at("60:00")));
    assert!(first_good.0 <= at("65:00"));
}

#[test]
fn partly_delivered_is_heard_once() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::PartlyDelivers);
    world.fires("A", "0:00");
    world.at("60:00").heard(&["0:05 First +A"]);
    assert_eq!(world.records[0].became, Became::PartlyHeard);
}

#[test]
fn blocked_is_probed_and_then_everything_owed_is_told() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Blocks);
    world.channel("room", "40:00", Answer::Delivers);
    for (minute, alert) in ["A", "B", "C", "D", "E"].into_iter().enumerate() {
        world
            .at(&format!("{minute}:00"))
            .fires(alert, &format!("{minute}:00"));
    }
    world.at("40:00");
    let tries: Vec<_> = world.claims.iter().map(|(when, _)| *when).collect();
    assert_eq!(tries, [at("0:05"), at("15:06"), at("30:07")]);
    assert_eq!(world.operator_notices, 1);
    world
        .at("60:00")
        .heard(&["45:08 First +A +B +C +D +E late by 2703s"]);
}

#[test]
fn fallback_speaks_for_a_lane_that_fails_and_hears_the_end() {
    let mut world = World::with_lanes(&["room", "spare"]);
    let opens = Opens::WhenFailing {
        lane: lane("room"),
        after: lasting("10:00"),
    };
    let fallback = LanePolicy {
        opens,
        ..LanePolicy::default()
    };
    world.policy().lanes.insert(lane("spare"), fallback);
    world.channel("room", "0:00", Answer::Fails);
    world.channel("room", "20:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("10:06");
    world.heard(&["10:05 spare First +A instead of room"]);
    world.at("30:00").resolves("A");
    world.at("60:00");
    let tries = world
        .claims
        .iter()
        .filter(|(_, due)| due.lane == lane("room"));
    let first_good = tries
        .map(|(when, _)| *when)
        .find(|when| *when >= at("20:00"));
    let minute_and_second = first_good.unwrap().since(at("0:00")).as_secs();
    let room = format!("{}:{:02}", minute_and_second / 60, minute_and_second % 60);
    let late = minute_and_second - 5;
    world.heard(&[
        "10:05 spare First +A instead of room",
        &format!("{room} room First +A late by {late}s"),
        "30:05 room AllResolved -A",
        "30:05 spare AllResolved -A instead of room",
    ]);
}

#[test]
fn new_alert_after_giving_up_does_not_wait_behind_the_old_failure() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Refuses);
    world.channel("room", "5:00", Answer::Delivers);
    world.fires("A", "-1:00");
    world.at("10:00").heard(&[]);
    world.fires("B", "10:00");
    world.at("60:00").heard(&["10:00 First +A +B late by 595s"]);
}

#[test]
fn giving_up_happens_after_thirty_attempts_and_ends_with_the_repeat_interval() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("4:00:00");
    assert_eq!(world.claims.len(), 30);
    let last = world.records.last().unwrap();
    let Became::GivenUp { until } = last.became else {
        panic!("{last:?}");
    };
    assert_eq!(until, last.at + lasting("4:00:00"));
    world.run_to(until);
    assert_eq!(world.claims.len(), 31);
}

#[test]
fn killed_in_flight_goes_on_at_once_with_the_same_id() {
    let mut world = World::new();
    world.fires("A", "0:00");
    world.at("0:05");
    world.kill();
    world.at("30:00").heard(&["0:05 First +A"]);
    let [first, second] = world.claims.as_slice() else {
        panic!("{:?}", world.claims);
    };
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.id, second.1.id);
    assert_eq!((first.1.attempt, second.1.attempt), (1, 2));
}

#[test]
fn killed_then_changed_is_a_new_delivery() {
    let mut world = World::new();
    world.fires("A", "-1:00");
    world.at("0:05");
    world.kill_before_next_look();
    world.fires("B", "0:04");
    world.at("30:00").heard(&["0:05 First +A +B"]);
    assert_ne!(world.claims[0].1.id, world.claims[1].1.id);
}

#[test]
fn an_answer_that_never_comes_lapses_and_is_tried_again() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Swallows);
    world.channel("room", "0:30", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("30:00");
    let [first, second] = world.claims.as_slice() else {
        panic!("{:?}", world.claims);
    };
    assert_eq!(first.1.id, second.1.id);
    assert!(second.0 >= at("1:05") + lasting("0:09"));
}

#[test]
fn a_late_answer_changes_nothing() {
    let mut world = told_a();
    let before = world.group().state().clone();
    let id = world.claims[0].1.id;
    let outcome = alert_engine::Outcome::Refused;
    let record = world.call("G", |group, ctx| group.settle(id, outcome, ctx));
    assert_eq!(record.became, Became::Late);
    let after = world.group().state();
    assert_eq!(
        (&before.lanes, &before.episodes),
        (&after.lanes, &after.episodes)
    );
}
