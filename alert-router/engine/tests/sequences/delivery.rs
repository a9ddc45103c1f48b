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

/// `spare` stands in for `room` after ten minutes.
fn with_fallback() -> World {
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
    world
}

#[test]
fn fallback_tells_what_was_missed_before_it_opened() {
    let mut world = with_fallback();
    world.channel("room", "0:00", Answer::HasNoSlot);
    world.channel("room", "60:00", Answer::Delivers);
    world.fires("A", "0:00");
    world.at("5:00").resolves("A");
    world.at("2:00:00").heard(&[
        "10:05 spare Missed !A instead of room",
        "60:00 room Missed !A late by 3595s",
    ]);
}

#[test]
fn an_open_fallback_waits_for_company_once_it_has_spoken() {
    let mut world = with_fallback();
    world.channel("room", "0:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("20:00").fires("B", "20:00");
    world.at("20:03").fires("C", "20:03");
    world.at("30:00").heard(&[
        "10:05 spare First +A instead of room",
        "20:05 spare NewAlerts +B +C =A instead of room",
    ]);
}

#[test]
fn fallback_that_opens_again_counts_from_then() {
    let mut world = with_fallback();
    world.channel("room", "0:00", Answer::Fails);
    world.channel("room", "20:00", Answer::Delivers);
    world.channel("room", "40:00", Answer::Fails);
    world.fires("A", "0:00");
    world.at("40:00").fires("B", "40:00");
    world.at("60:00").heard(&[
        "10:05 spare First +A instead of room",
        "24:27 room First +A late by 1462s",
        "50:05 spare NewAlerts +B =A instead of room",
    ]);
}

#[test]
fn fallback_of_a_lane_that_works_stays_quiet() {
    let mut world = with_fallback();
    world.fires("A", "0:00");
    world.at("30:00").resolves("A");
    world
        .at("60:00")
        .heard(&["0:05 room First +A", "30:05 room AllResolved -A"]);
}

#[test]
fn escalation_opens_when_nobody_acknowledges() {
    let mut world = World::with_lanes(&["room", "spare"]);
    let opens = Opens::Unacknowledged {
        after: lasting("10:00"),
    };
    let escalation = LanePolicy {
        opens,
        ..LanePolicy::default()
    };
    world.policy().lanes.insert(lane("spare"), escalation);
    world.fires("A", "0:00");
    world.at("5:00").fires("B", "5:00");
    world
        .at("8:00")
        .mute("A", alert_engine::MutedBy::Acknowledgement, None);
    world.at("30:00").heard(&[
        "0:05 room First +A",
        "5:06 room NewAlerts +B =A",
        "15:00 spare First +B (1 muted)",
    ]);
}

#[test]
fn missed_occurrences_beyond_their_time_become_a_count() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::HasNoSlot);
    world.channel("room", "5:00:00", Answer::Delivers);
    for (fires, ends) in [("0:00", "1:00"), ("10:00", "11:00"), ("4:30:00", "4:31:00")] {
        world.at(fires).fires("A", fires);
        world.at(ends).resolves("A");
    }
    world
        .at("6:00:00")
        .heard(&["300:00 Missed !A (2 expired) late by 17995s"]);
    assert!(world.group().is_over());
}

#[test]
fn a_digest_settles_every_lane_in_it() {
    let mut world = World::new();
    world.add_group(
        "H",
        crate::world::policy(&["room"]),
        alert_engine::Intake::Webhook,
    );
    world.channel("room", "0:00", Answer::HasNoSlot);
    let says = alert_engine::Says::Firing {
        start: at("0:00"),
        expires: None,
    };
    world.observe("G", "A", "A", says);
    world.observe("H", "B", "B", says);
    world.at("0:04").now = at("0:05");
    let due = ["G", "H"].map(|site| world.call(site, |group, ctx| group.due(ctx)).remove(0));
    let id = alert_engine::digest_id(lane("room"), &due);
    let reversed = due.iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(id, alert_engine::digest_id(lane("room"), &reversed));
    for (site, due) in ["G", "H"].into_iter().zip(&due) {
        let owner = alert_engine::Incarnation(1);
        let claim = alert_engine::Claim {
            id,
            owner,
            deadline: at("1:00"),
        };
        assert_eq!(
            world.call(site, |group, ctx| group.claim(due, claim, ctx)),
            Ok(id)
        );
        let again = world.call(site, |group, ctx| group.claim(due, claim, ctx));
        assert_eq!(again, Err(alert_engine::LaneMoved));
    }
    for site in ["G", "H"] {
        let heard = alert_engine::Outcome::Delivered {
            memory: Some(b"id".to_vec().into()),
        };
        let record = world.call(site, |group, ctx| group.settle(id, heard, ctx));
        assert_eq!(record.became, Became::Heard);
        let lane = &world.sites[site].group.state().lanes[&lane("room")];
        assert_eq!(
            (lane.heard.len(), lane.memory.as_deref()),
            (1, Some(&b"id"[..]))
        );
    }
}

#[test]
fn too_many_missed_occurrences_become_a_count() {
    let mut world = World::new();
    world.channel("room", "0:00", Answer::HasNoSlot);
    world.channel("room", "3:00:00", Answer::Delivers);
    for n in 0..510 {
        let second = n * 20;
        let fires = format!("{}:{:02}", second / 60, second % 60);
        world.at(&fires).fires("A", &fires);
        let ends = second + 10;
        world
            .at(&format!("{}:{:02}", ends / 60, ends % 60))
            .resolves("A");
    }
    world.at("3:10:00");
    let content = &world.claims[0].1.content;
    assert_eq!((content.lines.len(), content.expired), (500, 10));
    assert!(world.group().is_over());
}
