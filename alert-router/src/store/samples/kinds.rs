//! One document of each kind, or a few, with every field that it may have.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{Budget, Circuit, DeliveryId, GroupId, Pause, SourceName, Timestamp};
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::json;

use super::{Form, Samples};
use crate::clock::ManualClock;
use crate::dead_letter::{DeadLetter, RawAlerts};
use crate::plan::Plan;
use crate::quarantine::Quarantined;
use crate::receiver::{Delivery, Entry, Part};
use crate::step::bodies;
use crate::step::groups::{home_bytes, home_groups};
use crate::step::sources::{SourceBook, source_key};
use crate::step::tests::{materials, plan};
use crate::store::{Kind, Revision, Write, codec};
use crate::turn::{account, parts};
use crate::webhook::payload::{BodyLimits, Envelope, parse};

const START: Timestamp = Timestamp::from_millis(1_795_479_775_000);
const ID: DeliveryId = DeliveryId([1; 16]);

pub(super) fn samples(kind: Kind) -> Samples {
    use Form::{Bytes, Lines};
    type Row = (&'static str, Form, Vec<u8>, fn(&[u8]) -> String);
    let row: Row = match kind {
        Kind::Group => ("group", Bytes, group(), read_group),
        Kind::Home => ("home", Bytes, home(), |bytes| {
            show(home_groups(bytes).collect::<Vec<_>>())
        }),
        Kind::Body => ("body", Lines, lines([body()]), |bytes| {
            show(bodies::read(bytes).unwrap())
        }),
        Kind::Parts => ("parts", Lines, lines([rendered()]), |bytes| {
            show(parts::read(ID, 1, bytes).unwrap())
        }),
        Kind::Budget => ("budget", Lines, lines(budgets()), |bytes| {
            show(account::read(bytes).unwrap())
        }),
        Kind::DeadLetter => ("dead-letter", Lines, lines([letter()]), |bytes| {
            show(serde_json::from_slice::<DeadLetter>(bytes).unwrap())
        }),
        Kind::Quarantine => ("quarantine", Lines, lines([quarantined()]), |bytes| {
            show(serde_json::from_slice::<Quarantined>(bytes).unwrap())
        }),
        Kind::Inbox => ("inbox", Lines, lines([entry()]), |bytes| {
            show(serde_json::from_slice::<Entry>(bytes).unwrap())
        }),
        Kind::Source => ("source", Lines, lines(sources()), read_source),
    };
    let (name, form, written, read) = row;
    Samples {
        name,
        form,
        written,
        read,
    }
}

fn show(what: impl Debug) -> String {
    format!("{what:#?}")
}

fn lines(documents: impl IntoIterator<Item = Bytes>) -> Vec<u8> {
    let lines = documents.into_iter().map(|one| [&one[..], b"\n"].concat());
    lines.collect::<Vec<_>>().concat()
}

/// The newest sample once more: a field that the engine adds does not compile without a version.
fn group() -> Vec<u8> {
    let path = super::folder().join("group-v2.bin");
    let (state, origins) = codec::decode(&std::fs::read(path).unwrap()).unwrap();
    codec::encode(&state, &origins)
}

fn read_group(bytes: &[u8]) -> String {
    let (state, origins) = codec::decode(bytes).unwrap();
    match origins.is_empty() {
        true => show(state),
        false => show((state, origins)),
    }
}

fn home() -> Vec<u8> {
    let groups = BTreeSet::from([GroupId([1; 16]), GroupId([2; 16])]);
    home_bytes(&groups).to_vec()
}

fn body() -> Bytes {
    let alert = json!({
        "status": "firing",
        "labels": {"alertname": "A", "cluster": "上海"},
        "annotations": {"summary": "disk <full>"},
        "startsAt": "2026-11-24T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "ticket": [7],
    });
    let body = json!({"routeLabels": {"team": "db"}, "alerts": [alert]});
    let body = Bytes::from(body.to_string());
    let batch = parse(&body, &BTreeSet::new(), &BodyLimits::default()).unwrap();
    content(bodies::keep(&batch.alerts[0], START))
}

fn content(write: Write) -> Bytes {
    match write {
        Write::Put { bytes, .. } | Write::Keep { bytes, .. } => bytes,
        Write::Delete { .. } | Write::Expect { .. } => unreachable!("it writes"),
    }
}

fn rendered() -> Bytes {
    let part = |id: &str, recipients: &[&str]| Part {
        id: id.to_owned(),
        body: Bytes::from_static(b"Subject: A\r\n\r\n\xe4\xb8\x8a\xe6\xb5\xb7"),
        recipients: recipients.iter().map(|one| (*one).to_owned()).collect(),
    };
    parts::write(&Delivery {
        id: ID,
        attempt: 1,
        created: START,
        parts: vec![
            part("1", &["a@example.com", "b@example.com"]),
            part("2", &[]),
        ],
        progress: BTreeSet::from(["1/a@example.com".to_owned()]),
    })
}

fn budgets() -> [Bytes; 3] {
    let budget = Budget {
        sent: vec![START, START + Duration::from_millis(500)],
    };
    let pause = Pause::begin(START, Duration::from_secs(900));
    let since = START;
    let circuits = [
        Circuit::Closed,
        Circuit::Open { since, pause },
        Circuit::Probing { since, pause },
    ];
    circuits.map(|circuit| account::write(&budget, circuit))
}

fn letter() -> Bytes {
    let alert = json!({
        "status": "resolved",
        "labels": {"alertname": "A", "cluster": "上海"},
        "annotations": {"summary": "disk <full>"},
        "startsAt": "2026-11-24T00:00:00Z",
        "endsAt": "2026-11-24T00:05:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "0000000000000001",
        "ticket": [7],
    });
    let letter = DeadLetter {
        id: ID.to_string(),
        at_ms: START.as_millis(),
        receiver: "room".to_owned(),
        channel: "email".to_owned(),
        destination: "a@example.com".to_owned(),
        reason: "recipient".to_owned(),
        code: Some("550".to_owned()),
        answer: "550 5.1.1 no such user".to_owned(),
        fix: Some("check the address in to".to_owned()),
        fix_zh: Some("请检查 to 中的地址".to_owned()),
        lanes: vec![("02".repeat(16), "03".repeat(16))],
        raw: RawAlerts {
            alerts: vec![alert],
            alerts_left_out: 3,
        },
        rendered: serde_json::from_slice(&rendered()).ok(),
    };
    letter.bytes()
}

fn quarantined() -> Bytes {
    let kept = Quarantined {
        id: "04".repeat(16),
        at_ms: START.as_millis(),
        source: "prod-sh".to_owned(),
        reason: "version".to_owned(),
        why: "the body has version \"1\"".to_owned(),
        body: "e30=".to_owned(),
        bytes: 300_000,
    };
    serde_json::to_vec(&kept).unwrap().into()
}

fn entry() -> Bytes {
    let entry = Entry {
        id: ID.to_string(),
        receiver: "page".to_owned(),
        created_ms: START.as_millis(),
        title: "A".to_owned(),
        text: "A fires\n".to_owned(),
        view: json!({"counts": {"firing": 1}}),
    };
    serde_json::to_vec(&entry).unwrap().into()
}

fn any_plan() -> Plan {
    let config = "receivers: [{name: page, inbox_configs: [{}]}]\nroute: {receiver: page}\n\
                  sources: {prod-sh: {silent_after: 1h}}\n";
    plan(config, &materials(&Arc::new(ManualClock::at(START))))
}

/// A source that speaks, and one that fell silent.
fn sources() -> [Bytes; 2] {
    let (plan, name) = (any_plan(), SourceName::new("prod-sh"));
    let envelope = Envelope {
        external_url: "http://alertmanager".to_owned(),
        ..Envelope::default()
    };
    let mut book = SourceBook::default();
    let written = |book: &mut SourceBook| {
        let (_, unit) = book.write_back().pop().expect("there is news");
        content(unit.writes.into_iter().next().expect("its document"))
    };
    for minutes in [0, 4] {
        let now = START + Duration::from_secs(minutes * 60);
        book.spoke(&plan, now, [(&name, &envelope)].into_iter());
    }
    let speaks = written(&mut book);
    assert_eq!(book.look(START + Duration::from_secs(7200)), [name]);
    [speaks, written(&mut book)]
}

fn read_source(bytes: &[u8]) -> String {
    let materials = materials(&Arc::new(ManualClock::at(START)));
    let name = SourceName::new("prod-sh");
    let write = Write::Put {
        key: source_key(&name),
        expected: Revision::NONE,
        wake_at: None,
        bytes: Bytes::copy_from_slice(bytes),
    };
    let stored = materials.store.commit(vec![write.into()]).now_or_never();
    stored.expect("memory is ready").unwrap();
    let book = SourceBook::load(&*materials.store, &any_plan()).now_or_never();
    let book = book.expect("memory is ready").unwrap();
    show((book.known().get(&name).life, book.external_url(&name)))
}
