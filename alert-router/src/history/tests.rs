//! Every event is written as people and later binaries read it, reads back the same, and is bounded.

use alert_engine::{ConfigHash, DeliveryId, Fingerprint, GroupId, SourceName};
use bytes::Bytes;

use super::*;
use crate::store::Kind;
use crate::testing::Description;

/// What the first version wrote. Never edit it: records of that version are on disks.
const WRITTEN: &str = include_str!("../../testdata/history/v1.json");

fn alert(fingerprint: u64) -> AlertKey {
    AlertKey {
        source: SourceName::new("prod-sh"),
        fingerprint: Fingerprint(fingerprint),
    }
}

fn alerts(fingerprints: impl IntoIterator<Item = u64>) -> Alerts {
    let keys: Vec<AlertKey> = fingerprints.into_iter().map(alert).collect();
    keys.iter().collect()
}

fn delivery(answer: &str) -> Delivery {
    Delivery {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        attempt: 2,
        receiver: "db-team".to_owned(),
        channel: "wecom_bot".to_owned(),
        destination: "bot …f3a9".to_owned(),
        reason: Some(Why::NewAlerts),
        alerts: alerts([1, 2]),
        answer: answer.to_owned(),
    }
}

fn refused(recipient: &str, reason: &str) -> RefusedRecipient {
    RefusedRecipient {
        recipient: recipient.to_owned(),
        reason: reason.to_owned(),
    }
}

fn recipients() -> Recipients {
    Recipients {
        delivered: vec!["a@example.com".to_owned()],
        refused: vec![refused("b@example.com", "550 5.1.1 no such user")],
        more: 0,
    }
}

fn about() -> DocKey {
    DocKey {
        kind: Kind::Group,
        id: Bytes::from_static(b"group"),
    }
}

fn written(events: Vec<Event>) -> Record {
    record(Timestamp::from_millis(0), about(), events).unwrap()
}

fn every_event() -> Vec<Event> {
    let group = GroupId([7; 16]);
    vec![
        Event::Observed(Observed {
            began: alerts([1, 2]),
            ended: alerts([3]),
            ..Observed::default()
        }),
        Event::Told {
            delivery: delivery("{\"errcode\":0}"),
            refused: 1,
            recipients: Recipients::default(),
        },
        Event::Failed {
            delivery: delivery("no answer within 10 s"),
            retry_at: 1_700_000_010_000,
            lapsed: true,
        },
        Event::HeldBack {
            delivery: delivery("45009"),
            until: Some(1_700_000_060_000),
        },
        Event::GaveUp {
            delivery: delivery("40058"),
            until: 1_700_014_400_000,
        },
        Event::Late {
            delivery: Delivery {
                reason: None,
                alerts: Alerts::default(),
                ..delivery("{\"errcode\":0}")
            },
        },
        Event::moved(&[alert(1)], group),
        Event::joined(&[alert(1)], group),
        Event::Departed {
            alerts: alerts([2]),
        },
        Event::config(ConfigHash([9; 16])),
        Event::Opened {
            lane: "ops-mail".to_owned(),
        },
        Event::Closed {
            lane: "ops-mail".to_owned(),
            unfinished: 3,
        },
        Event::Folded {
            lane: "ops-mail".to_owned(),
            count: 12,
        },
    ]
}

#[test]
fn what_the_first_version_wrote_is_still_written_and_read() {
    let record = written(every_event());
    let lines = String::from_utf8(record.bytes.to_vec()).unwrap();
    assert_eq!(
        lines.replace("},{\"event\"", "},\n{\"event\"") + "\n",
        WRITTEN
    );
    assert_eq!(read(&record).unwrap(), every_event());
}

#[test]
fn every_event_is_in_the_description_of_the_api_and_no_other() {
    let all = || alerts(0..501);
    let observed = Observed {
        began: all(),
        ended: all(),
        doubted: all(),
        reopened: all(),
        edited: all(),
        upstream: BTreeSet::from(["first notification".to_owned()]),
    };
    let id = DeliveryId([5; 16]);
    let carried = Carried {
        refused: 1,
        recipients: Recipients {
            more: 1,
            ..recipients()
        },
        ..Carried::default()
    };
    let told = Event::Told {
        delivery: delivery("250 queued"),
        refused: 1,
        recipients: recipients(),
    };
    let left = Event::LeftQuarantine {
        source: "prod-sh".to_owned(),
        reason: "unreadable".to_owned(),
        replayed: true,
    };
    let by_persons = [
        told,
        left,
        Event::Observed(observed),
        Event::resent(id, carried.clone()),
        Event::dropped(id, carried.clone()),
        Event::swept(id, carried),
    ];
    let mut description = Description::of_the_api();
    for event in every_event().into_iter().chain(by_persons) {
        let event = serde_json::to_value(event).unwrap();
        description.value("Event", &event).unwrap();
    }
    let mut unseen = description.unseen();
    let ours = ["Event/", "Alerts/", "Delivery/", "Recipients/"]
        .map(|name| format!("#/components/schemas/{name}"));
    unseen.retain(|place| ours.iter().any(|name| place.starts_with(name)));
    assert!(unseen.is_empty(), "no event has these: {unseen:#?}");
}

#[test]
fn what_persons_did_reads_back_as_it_was_written() {
    let carried = || Carried {
        receiver: "db-team".to_owned(),
        answer: "40058".to_owned(),
        refused: 1,
        ..Carried::default()
    };
    let id = DeliveryId([5; 16]);
    let events = vec![Event::resent(id, carried()), Event::dropped(id, carried())];
    assert_eq!(read(&written(events.clone())).unwrap(), events);
}

/// Never edit the bytes: records of that version are on disks.
#[test]
fn what_the_version_with_recipients_wrote_is_still_written_and_read() {
    const WRITTEN: &str = include_str!("../../testdata/history/v2.json");
    let told = Event::Told {
        delivery: delivery("250 queued"),
        refused: 1,
        recipients: recipients(),
    };
    let record = written(vec![told.clone()]);
    let lines = String::from_utf8(record.bytes.to_vec()).unwrap();
    assert_eq!(lines + "\n", WRITTEN);
    assert_eq!(read(&record).unwrap(), [told]);
}

#[test]
fn recipients_are_who_was_written_to_less_who_refused() {
    let part = |recipients: &[&str]| crate::receiver::Part {
        id: "1".to_owned(),
        body: Bytes::new(),
        recipients: recipients.iter().map(|one| (*one).to_owned()).collect(),
    };
    let sent = crate::receiver::Delivery {
        id: DeliveryId([5; 16]),
        attempt: 1,
        created: Timestamp::from_millis(0),
        parts: vec![
            part(&["b@example.com", "a@example.com"]),
            part(&["a@example.com"]),
        ],
        progress: Default::default(),
    };
    let receipt = crate::receiver::Receipt {
        refused: vec![crate::receiver::RefusedRecipient {
            recipient: "b@example.com".to_owned(),
            reason: "550 5.1.1 no such user".to_owned(),
        }],
        ..Default::default()
    };
    let found = Recipients::of(Some(&sent), &receipt);
    assert_eq!(found, recipients());
    assert!(found.may_hold("b@example.com") && !found.may_hold("c@example.com"));
}

#[test]
fn what_a_newer_binary_wrote_is_unknown_and_hides_nothing_else() {
    let mut record = written(vec![Event::Unknown]);
    record.bytes = Bytes::from_static(
        br#"[{"event":"escalated","to":"x"},{"event":"departed","alerts":{},"new_field":1}]"#,
    );
    let departed = Event::Departed {
        alerts: Alerts::default(),
    };
    assert_eq!(read(&record).unwrap(), [Event::Unknown, departed]);
}

#[test]
fn a_damaged_record_is_an_error() {
    let mut record = written(vec![Event::Unknown]);
    record.bytes = Bytes::from_static(b"[{");
    assert!(read(&record).is_err());
}

#[test]
fn a_commit_in_which_nothing_happened_leaves_no_record() {
    assert_eq!(record(Timestamp::from_millis(0), about(), vec![]), None);
}

#[test]
fn a_record_is_bounded_whatever_comes_in() {
    let told = Event::Told {
        delivery: Delivery {
            alerts: alerts(0..20_000),
            ..delivery(&"字".repeat(100_000))
        },
        refused: 0,
        recipients: Recipients {
            delivered: vec!["字".repeat(1_000); 1_000],
            refused: vec![refused(&"字".repeat(1_000), &"字".repeat(1_000)); 1_000],
            more: 0,
        },
    };
    let record = written(vec![told; 1_000]);
    assert!(record.bytes.len() < 3 << 20, "{}", record.bytes.len());
    let events = read(&record).unwrap();
    assert_eq!(events.len(), MAX_EVENTS);
    let Event::Told {
        delivery,
        recipients,
        ..
    } = &events[0]
    else {
        panic!("{:?}", events[0]);
    };
    assert_eq!(
        (recipients.delivered.len(), recipients.refused.len()),
        (20, 20)
    );
    assert_eq!(recipients.more, 1_960);
    assert_eq!(delivery.answer, "字".repeat(MAX_TEXT_BYTES / 3));
    assert_eq!(delivery.alerts.by_source["prod-sh"].len(), MAX_ALERTS);
    assert_eq!(delivery.alerts.more, 19_500);
}

#[test]
fn an_alert_is_found_where_it_is_named_or_only_counted() {
    let named = Event::Departed {
        alerts: alerts([1]),
    };
    assert!(named.may_concern(&alert(1)));
    assert!(!named.may_concern(&alert(2)));
    let counted = Event::Departed {
        alerts: alerts(0..501),
    };
    assert!(counted.may_concern(&alert(9_999)));
    assert!(Event::config(ConfigHash([0; 16])).may_concern(&alert(1)));
}
