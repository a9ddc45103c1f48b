//! Ends: voices, doubt, and what people who heard a beginning hear.

use alert_engine::{Ends, LanePolicy, Says};

use crate::grouping::told_a;
use crate::world::{Answer, World, at, lane};

#[test]
fn replica_resolves_and_the_other_still_fires() {
    let mut world = World::new();
    let firing = |start| Says::Firing {
        start: at(start),
        expires: None,
    };
    world.observe("G", "A", "0", firing("-1:00"));
    world.observe("G", "A", "1", firing("-0:50"));
    world
        .at("10:00")
        .observe("G", "A", "0", Says::Resolved { end: at("10:00") });
    world.at("30:00").heard(&["0:05 First +A"]);
    world.observe("G", "A", "1", Says::Resolved { end: at("30:00") });
    world
        .at("60:00")
        .heard(&["0:05 First +A", "30:05 AllResolved -A"]);
}

#[test]
fn lagging_peer_is_no_news() {
    let mut world = told_a();
    world.at("10:00").resolves("A");
    world.at("11:00").fires("A", "-1:00");
    let end = at("10:00");
    world
        .at("12:00")
        .observe("G", "A", "A", Says::Resolved { end });
    world
        .at("60:00")
        .heard(&["0:05 First +A", "10:05 AllResolved -A"]);
}

#[test]
fn lagging_peer_first_holds_the_end_back_until_it_is_sure() {
    let mut world = told_a();
    world.at("10:00").resolves("A");
    world.fires("A", "-1:00");
    let end = at("10:00");
    world
        .at("11:00")
        .observe("G", "A", "A", Says::Resolved { end });
    world
        .at("60:00")
        .heard(&["0:05 First +A", "11:00 AllResolved -A"]);
}

#[test]
fn peer_was_blind_opens_the_episode_again_in_the_old_thread() {
    let mut world = told_a();
    world.at("10:00").resolves("A");
    world.at("12:00").fires("A", "-1:00");
    world.at("60:00");
    world.heard(&["0:05 First +A", "10:05 AllResolved -A", "17:05 First ^A"]);
    let again = &world.claims[2].1;
    assert_eq!(again.birth, world.claims[0].1.birth);
    assert_eq!(again.content.lines[0].reopened, 1);
    assert_eq!(
        again.content.lines[0].episode,
        world.claims[0].1.content.lines[0].episode
    );
}

#[test]
fn ended_while_held_up_is_missed() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::HasNoSlot);
    world.channel("room", "3:00", Answer::Delivers);
    world.at("0:10").fires("A", "0:10");
    world.at("2:00").resolves("A");
    world.at("30:00").heard(&["3:00 Missed !A late by 165s"]);
}

#[test]
fn ended_while_failing_may_have_been_heard_and_is_told_as_over() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Fails);
    world.channel("room", "10:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("5:00").resolves("A");
    world.at("60:00");
    assert_eq!(
        world
            .records
            .last()
            .unwrap()
            .content
            .as_ref()
            .unwrap()
            .lines
            .len(),
        1
    );
    let (when, told) = world.claims.last().unwrap();
    assert_eq!(format!("{:?}", told.verdict), "AllResolved");
    assert!(*when >= at("10:00") && *when <= at("15:00"), "{when:?}");
}

#[test]
fn ended_while_refused_is_missed_once_it_is_replayed() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Refuses);
    world.channel("room", "15:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("10:00").resolves("A");
    world.at("20:00").heard(&[]);
    assert_eq!(
        world.claims.len(),
        2,
        "one First, and one Missed without a cool-down"
    );
    assert!(world.call("G", |group, _| group.replay(lane("room"))));
    world.at("60:00").heard(&["20:00 Missed !A late by 1195s"]);
}

#[test]
fn owed_twice_tells_the_first_occurrence_as_missed() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::Defers);
    world.channel("room", "2:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("0:30").resolves("A");
    world.at("1:00").fires("A", "0:55");
    world.at("30:00").heard(&["2:00 First +A !A late by 115s"]);
}

#[test]
fn silent_ends_leave_without_a_word() {
    let mut world = World::new();
    let quiet = LanePolicy {
        ends: Ends::Untold,
        ..LanePolicy::default()
    };
    world.policy().lanes.insert(lane("room"), quiet);
    world.fires("A", "0:00");
    world.at("1:00").resolves("A");
    world.at("5:30");
    assert!(world.group().state().lanes[&lane("room")].is_at_rest());
    world.at("6:00").fires("A", "5:58");
    world.at("30:00").heard(&["0:05 First +A", "6:05 First +A"]);
    assert_ne!(world.claims[0].1.birth, world.claims[1].1.birth);
}

#[test]
fn where_alerts_expire_the_last_word_counts() {
    let mut world = crate::timing::opened_by_api();
    crate::timing::posts(&mut world, "A", "0:00", "60:00");
    world.at("6:00").resolves("A");
    crate::timing::posts(&mut world, "A", "0:00", "60:00");
    world.at("30:00").heard(&["0:05 First +A"]);
}
