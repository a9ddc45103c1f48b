//! Every group comes back as it was written; no bytes panic.

use std::time::Duration;

use alert_engine::{
    AlertKey, BodyHash, ConfigHash, Context, Fingerprint, Group, Incarnation, Intake, LaneKey,
    LanePolicy, NoMutes, Observation, Outcome, Owners, Policy, RouteId, Says, SourceName, Sources,
    Timestamp,
};
use telemetry_lib::opentelemetry::trace::{SpanId, TraceId};

use super::*;
use crate::trace::Sampled;

const START: i64 = 1_795_479_775_000;

/// A group that lived: two alerts, one over, one lane that heard, one with a delivery in flight.
fn lived() -> GroupState {
    let lanes = [LaneKey([1; 16]), LaneKey([2; 16])];
    let policy = Policy {
        lanes: lanes
            .iter()
            .map(|lane| (*lane, LanePolicy::default()))
            .collect(),
        destinations: std::sync::Arc::new(lanes.into()),
        ..Policy::default()
    };
    let (sources, owners) = (Sources::default(), Owners::Only(Incarnation(7)));
    let at = |seconds: u64| Context {
        now: Timestamp::from_millis(START) + Duration::from_secs(seconds),
        policy: &policy,
        sources: &sources,
        mutes: &NoMutes,
        owners: &owners,
    };
    let labels = [("alertname", "A"), ("cluster", "上海")]
        .into_iter()
        .collect();
    let mut group = Group::new(
        RouteId([3; 16]),
        labels,
        ConfigHash([4; 16]),
        Intake::Webhook,
        &at(0),
    );
    let observation = |fingerprint: u64, says: Says| Observation {
        key: AlertKey {
            source: SourceName::new("prod"),
            fingerprint: Fingerprint(fingerprint),
        },
        voice: Fingerprint(fingerprint),
        says,
        body: BodyHash([5; 16]),
        name: "A".into(),
        priority: true,
    };
    let firing = Says::Firing {
        start: Timestamp::from_millis(START - 60_000),
        expires: None,
    };
    group.observe(&observation(10, firing), &at(0));
    group.observe(&observation(11, firing), &at(1));
    for (place, due) in group.due(&at(6)).into_iter().enumerate() {
        let deadline = at(60).now;
        let claim = alert_engine::Claim {
            id: due.id,
            owner: Incarnation(7),
            deadline,
        };
        group.claim(&due, claim, &at(6)).unwrap();
        if place == 0 {
            let memory = Some(Box::from(*b"<id@example.com>"));
            let _record = group.settle(due.id, Outcome::Delivered { memory }, &at(7));
        }
    }
    let end = Says::Resolved { end: at(30).now };
    group.observe(&observation(11, end), &at(31));
    group.state().clone()
}

#[test]
fn a_group_comes_back_as_it_was_written() {
    let state = lived();
    assert_eq!(state.lanes.len(), 2);
    let stored = encode(&state, &Origins::default());
    assert_eq!(decode(&stored), Ok((state, Origins::default())));
}

fn origins() -> Origins {
    let mut origins = Origins::default();
    for number in 1..=2_u8 {
        let request = Sampled {
            trace: TraceId::from_bytes([number; 16]),
            span: SpanId::from_bytes([number; 8]),
        };
        origins.add(request, Timestamp::from_millis(START + i64::from(number)));
    }
    origins
}

#[test]
fn the_requests_that_brought_its_news_take_some_thirty_bytes_each() {
    let (state, origins) = (lived(), origins());
    let plain = encode(&state, &Origins::default());
    let with = encode(&state, &origins);
    let more = with.len() - plain.len();
    assert!(more < 60, "{more} bytes");
    assert_eq!(plain[0], 1, "earlier binaries read what is not traced");
    assert_eq!(decode(&with), Ok((state, origins)));
}

#[test]
fn an_alert_takes_about_a_hundred_bytes() {
    let mut state = lived();
    let size = |state: &GroupState| encode(state, &Origins::default()).len();
    let before = size(&state);
    let (key, alert) = state
        .alerts
        .iter()
        .next()
        .map(|(k, a)| (k.clone(), a.clone()))
        .unwrap();
    let episode = state.episodes.values().next().unwrap().clone();
    for n in 1..=100 {
        let key = AlertKey {
            fingerprint: Fingerprint(n << 32),
            ..key.clone()
        };
        state.alerts.insert(key, alert.clone());
        state
            .episodes
            .insert(alert_engine::EpisodeId(n), episode.clone());
    }
    let each = (size(&state) - before) / 100;
    assert!(each < 110, "{each} bytes");
}

#[test]
fn other_bytes_are_refused_with_the_reason() {
    let good = encode(&lived(), &origins());
    assert_eq!(decode(&[]), Err(CodecError::Short));
    assert_eq!(decode(&[9, 0]), Err(CodecError::Version { found: 9 }));
    assert_eq!(decode(&good[..good.len() - 1]), Err(CodecError::Short));
    let long = [&good[..], &[0]].concat();
    assert_eq!(decode(&long), Err(CodecError::Long { left: 1 }));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode(&[&[GROUP][..], &bytes].concat());
        let _ = decode(&[&[WITH_ORIGINS][..], &bytes].concat());
    }

    #[test]
    fn no_changed_byte_panics(at: proptest::sample::Index, byte: u8) {
        let mut bytes = encode(&lived(), &origins());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((state, origins)) = decode(&bytes) {
            proptest::prop_assert_eq!(decode(&encode(&state, &origins)), Ok((state, origins)));
        }
    }
}
