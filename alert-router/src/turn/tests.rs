//! A turn over a group in memory.

use alert_engine::{
    AlertKey, BodyHash, Fingerprint, Group, Incarnation, Intake, Labels, Observation, Owners, Says,
    SourceName, Sources,
};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::receiver::Progress;
use crate::step::tests::{materials, plan};

const CONFIG: &str = "receivers: [{name: hook, webhook_configs: [{url: 'http://a.test/'}]}]\n\
                      route: {receiver: hook, group_wait: 0s}\n";

/// A group in which one alert fires, which nobody was told.
fn group(world: &World<'_>) -> Group {
    let (source, labels) = (SourceName::new("default"), Labels::default());
    let route = world.plan.find(&source, &labels)[0].id;
    let ctx = world.context(route);
    let mut group = Group::new(route, labels, world.plan.hash(), Intake::Webhook, &ctx);
    let seen = Observation {
        key: AlertKey {
            source,
            fingerprint: Fingerprint(1),
        },
        voice: Fingerprint(1),
        says: Says::Firing {
            start: world.now,
            expires: None,
        },
        body: BodyHash([0; 16]),
        name: "A".into(),
        priority: false,
    };
    group.observe(&seen, &ctx);
    group
}

fn rendered(due: &Due, now: Timestamp) -> Prepared {
    Prepared {
        id: due.id,
        delivery: Ok(Delivery {
            id: due.id,
            attempt: due.attempt,
            created: now,
            parts: Vec::new(),
            progress: Progress::new(),
        }),
        stored: Revision::NONE,
    }
}

fn turn(world: World<'_>) -> Turn<'_> {
    let group = group(&world);
    Turn {
        groups: BTreeMap::from([(group.id(), Held::new(group))]),
        world,
        owner: Incarnation(1),
        accounts: Accounts::default(),
        places: Places::default(),
        writes: BTreeMap::new(),
        shared: Vec::new(),
        outgoing: Vec::new(),
    }
}

#[test]
fn what_no_lane_claimed_is_neither_written_nor_sent() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_767_268_800_000)));
    let plan = plan(CONFIG, &materials(&clock));
    let world = World {
        plan: &plan,
        sources: &Sources::default(),
        owners: &Owners::Only(Incarnation(1)),
        now: clock.now(),
    };
    let mut turn = turn(world);
    let mut want = || wants(&world, &mut turn.groups).pop().expect("it is due");
    let (once, again) = (want(), want());
    for want in [once, again] {
        let prepared = rendered(&want.due, world.now);
        turn.claim(vec![want], prepared);
    }
    assert_eq!(turn.outgoing.len(), 1, "the second one was refused");
    assert_eq!(turn.shared.len(), 1);
}
