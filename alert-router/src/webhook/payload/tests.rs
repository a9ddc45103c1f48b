//! Bodies of real Alertmanagers, and bodies that nobody should send.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

const ONE: &str =
    r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-24T08:22:55.2+08:00"}"#;

fn body(alerts: &str) -> Bytes {
    Bytes::from(format!(r#"{{"version":"4","alerts":[{alerts}]}}"#))
}

fn read(body: &Bytes) -> Result<Batch, Rejection> {
    parse(body, &BTreeSet::new(), &BodyLimits::default())
}

#[test]
fn reads_every_recorded_body_and_computes_upstreams_fingerprints() {
    let mut seen = 0;
    for version in ["alertmanager-0.25", "alertmanager-0.34"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata")
            .join(version);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let bytes = Bytes::from(std::fs::read(&path).unwrap());
            let batch = read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(batch.refused, [], "{}", path.display());
            let plain: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let upstream = plain["alerts"].as_array().unwrap();
            assert_eq!(batch.alerts.len(), upstream.len());
            for (ours, theirs) in batch.alerts.iter().zip(upstream) {
                assert_eq!(
                    ours.voice.to_string(),
                    theirs["fingerprint"].as_str().unwrap()
                );
                assert_eq!(ours.ends_at.is_none(), theirs["status"] == "firing");
                assert_eq!(
                    ours.text().labels.len(),
                    theirs["labels"].as_object().unwrap().len()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen} alerts in the recorded bodies");
}

/// The fields that a release does not write yet, of a body and of an alert. Bodies of 0.25 and 0.34
/// are recorded; those of the releases between and before are recorded ones without what came later.
const LACKING: [(&str, &[&str], &[&str]); 5] = [
    (
        "0.15",
        &["truncatedAlerts", "notification_reason", "routeLabels"],
        &["fingerprint"],
    ),
    (
        "0.19",
        &["truncatedAlerts", "notification_reason", "routeLabels"],
        &[],
    ),
    ("0.21", &["notification_reason", "routeLabels"], &[]),
    ("0.32", &["routeLabels"], &[]),
    ("0.34", &[], &[]),
];

#[test]
fn every_release_since_0_15_says_the_same_alerts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/alertmanager-0.34");
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let bodies = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let mut read_so_far = 0;
    for recorded in bodies.map(|path| std::fs::read(path).unwrap()) {
        let newest = read(&Bytes::from(recorded.clone())).unwrap();
        for (release, of_body, of_alert) in LACKING {
            let mut body: serde_json::Value = serde_json::from_slice(&recorded).unwrap();
            let fields = body.as_object_mut().unwrap();
            fields.retain(|name, _| !of_body.contains(&name.as_str()));
            for alert in fields["alerts"].as_array_mut().unwrap() {
                let fields = alert.as_object_mut().unwrap();
                fields.retain(|name, _| !of_alert.contains(&name.as_str()));
            }
            let batch = read(&body.to_string().into()).unwrap();
            assert_eq!(says(&batch), says(&newest), "{release}");
            assert_eq!(batch.refused, [], "{release}");
            read_so_far += 1;
        }
    }
    assert_eq!(read_so_far, 14 * LACKING.len());
}

/// What a batch says of each alert, however its bytes stood in the body.
fn says(batch: &Batch) -> Vec<impl PartialEq + std::fmt::Debug> {
    let one = |alert: &SeenAlert| {
        let ids = (alert.voice, alert.identity, alert.body);
        (ids, alert.starts_at, alert.ends_at, alert.text())
    };
    batch.alerts.iter().map(one).collect()
}

/// Recorded from 0.25 under `TZ=Asia/Shanghai`, of alerts posted without a start: nine digits of a
/// second, none at all, and an offset.
#[test]
fn reads_the_local_time_of_an_alertmanager() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/alertmanager-0.25");
    let [firing, resolved] = ["10-local-time-firing", "11-local-time-resolved"].map(|name| {
        let body = std::fs::read(folder.join(name).with_extension("json"));
        let batch = read(&body.expect("a recorded body").into()).unwrap();
        assert_eq!(batch.envelope.receiver, "web.hook");
        batch.alerts.into_iter().next().unwrap()
    });
    let start = Timestamp::from_millis(1_795_917_063_207);
    assert_eq!((firing.starts_at, firing.ends_at), (start, None));
    let second = Timestamp::from_millis(1_795_917_063_000);
    assert_eq!(
        (resolved.starts_at, resolved.ends_at),
        (second, Some(second))
    );
    assert_eq!(firing.identity, resolved.identity);
}

#[test]
fn undoes_the_escapes_of_the_receiver() {
    let path = "testdata/alertmanager-0.34/03-web-hook-utf8-firing-first-notification.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let batch = read(&Bytes::from(std::fs::read(path).unwrap())).unwrap();
    assert_eq!(batch.envelope.receiver, "web.hook+utf8");
    assert_eq!(undo_quote_meta(r"a\\b\."), r"a\b.");
    assert_eq!(undo_quote_meta(r"plain\d"), r"plain\d");
}

#[test]
fn takes_a_body_of_2019_without_fingerprint_and_new_fields() {
    let batch = read(&body(ONE)).unwrap();
    let alert = &batch.alerts[0];
    assert_eq!(alert.voice, alert.text().labels.fingerprint());
    assert_eq!(alert.starts_at, Timestamp::from_millis(1_795_479_775_200));
    assert_eq!(alert.ends_at, None);
    assert_eq!(batch.envelope, Envelope::default());
}

#[test]
fn takes_a_body_of_the_future_with_unknown_fields() {
    let new = r#"{"version":"4","new":{"a":[1]},"alerts":[{"status":"firing","labels":{"a":"b"},"startsAt":"2026-11-24T00:00:00Z","x":null}],"truncatedAlerts":7}"#;
    let batch = read(&Bytes::from(new)).unwrap();
    assert_eq!(batch.envelope.truncated, 7);
    assert_eq!(batch.alerts.len(), 1);
}

/// An alert with these fields beside those that it needs.
fn with(fields: &str) -> String {
    ONE.replace("{\"status\"", &format!("{{{fields},\"status\""))
}

#[test]
fn unknown_fields_of_an_alert_are_kept_as_far_as_there_is_room() {
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let long = "x".repeat(5_000);
    let fields =
        format!(r#""fingerprint":"0","a":{{"b":[1,null]}},"c":"{long}","d":{deep},"e":1.5"#);
    let batch = read(&body(&with(&fields))).unwrap();
    assert_eq!(batch.refused, []);
    let kept = serde_json::json!({"a": {"b": [1, null]}, "e": 1.5});
    assert_eq!(
        serde_json::Value::from(batch.alerts[0].text().unknown),
        kept
    );
    let twice = read(&body(&with(r#""startsAt":"2026-11-24T00:00:00Z""#))).unwrap();
    assert!(twice.refused[0].why.contains("duplicate field `startsAt`"));
}

#[test]
fn what_is_kept_beside_the_known_fields_is_part_of_the_text() {
    let hash = |body: Bytes| read(&body).unwrap().alerts[0].body;
    let routed = |labels: &str| {
        let body = format!(r#"{{"version":"4","routeLabels":{labels},"alerts":[{ONE}]}}"#);
        hash(body.into())
    };
    let plain = hash(body(ONE));
    for nothing in ["{}", "null", "7", r#"{"a":1}"#] {
        assert_eq!(routed(nothing), plain, "{nothing}");
    }
    let others = [
        routed(r#"{"team":"db"}"#),
        routed(r#"{"team":"web"}"#),
        hash(body(&with(r#""x":1"#))),
        hash(body(&with(r#""x":2"#))),
    ];
    let different: BTreeSet<BodyHash> = others.into_iter().chain([plain]).collect();
    assert_eq!(different.len(), 5);
}

#[test]
fn labels_of_the_route_go_with_each_alert() {
    let long = "x".repeat(5_000);
    let labels = format!(r#"{{"team":"db","long":"{long}"}}"#);
    let body = format!(r#"{{"version":"4","routeLabels":{labels},"alerts":[{ONE}]}}"#);
    let batch = read(&body.into()).unwrap();
    let expected = Labels::from_iter([("team", "db")]);
    assert_eq!(batch.envelope.route_labels, expected);
    assert_eq!(batch.alerts[0].text().route_labels, expected);
}

#[test]
fn one_odd_alert_does_not_cost_the_others() {
    let odd = [
        r#"{"status":"firing","labels":{},"startsAt":"2026-11-24T00:00:00Z"}"#,
        r#"{"status":"firing","labels":{"a":""},"startsAt":"2026-11-24T00:00:00Z"}"#,
        r#"{"status":"firing","labels":{"a":"b"}}"#,
        r#"{"status":"firing","labels":{"a":"b"},"startsAt":"yesterday"}"#,
        r#"{"status":"suppressed","labels":{"a":"b"},"startsAt":"2026-11-24T00:00:00Z"}"#,
        r#"{"status":"resolved","labels":{"a":"b"},"startsAt":"2026-11-24T00:00:00Z"}"#,
        r#"{"status":"resolved","labels":{"a":"b"},"startsAt":"2026-11-24T00:00:00Z","endsAt":7}"#,
        r#"{"status":"firing","labels":{"a":1},"startsAt":"2026-11-24T00:00:00Z"}"#,
        r#"[]"#,
        "null",
    ];
    for bad in odd {
        let batch = read(&body(&format!("{ONE},{bad},{ONE}"))).unwrap();
        assert_eq!(batch.alerts.len(), 2, "{bad}");
        assert_eq!(batch.refused.len(), 1, "{bad}");
        assert_eq!(
            (batch.refused[0].index, &batch.refused[0].raw[..]),
            (1, bad.as_bytes())
        );
    }
}

#[test]
fn what_is_odd_beside_the_alerts_does_not_cost_them() {
    let odd = r#""receiver":null,"groupKey":7,"externalURL":["http://x"],"notification_reason":{},
        "truncatedAlerts":-1,"routeLabels":"team","groupLabels":null,"commonLabels":3,"status":null"#;
    for version in ["4", r#""4""#, "null"] {
        let body = format!(r#"{{"version":{version},{odd},"alerts":[{ONE}]}}"#);
        let batch = read(&Bytes::from(body)).unwrap();
        let odd = [
            "routeLabels",
            "externalURL",
            "groupKey",
            "notification_reason",
            "truncatedAlerts",
        ];
        let envelope = Envelope {
            odd: odd.to_vec(),
            ..Envelope::default()
        };
        assert_eq!(batch.envelope, envelope, "version {version}");
        assert_eq!((batch.alerts.len(), batch.refused.len()), (1, 0));
    }
}

#[test]
fn a_number_of_cut_alerts_that_is_none_is_noted_and_the_post_is_kept() {
    for cut in [
        r#""7""#,
        "-1",
        "1e9",
        "1.5",
        "18446744073709551616",
        "[7]",
        "true",
    ] {
        let body = format!(r#"{{"truncatedAlerts":{cut},"alerts":[{ONE}]}}"#);
        let batch = read(&Bytes::from(body)).unwrap();
        assert_eq!(batch.alerts.len(), 1, "{cut}");
        assert_eq!(batch.envelope.truncated, 0, "{cut}");
        assert_eq!(batch.envelope.odd, ["truncatedAlerts"], "{cut}");
    }
    for sound in ["0", "7", "null"] {
        let body = format!(r#"{{"truncatedAlerts":{sound},"alerts":[{ONE}]}}"#);
        assert_eq!(
            read(&Bytes::from(body)).unwrap().envelope.odd,
            [""; 0],
            "{sound}"
        );
    }
}

#[test]
fn an_alert_that_fires_does_so_whatever_its_end_says() {
    for end in [
        "null",
        r#""""#,
        r#""soon""#,
        "0",
        "[]",
        r#""2026-11-24T08:00:00Z""#,
    ] {
        let alert = ONE.replacen('{', &format!(r#"{{"endsAt":{end},"#), 1);
        let batch = read(&body(&alert)).unwrap();
        assert_eq!(batch.refused, [], "{end}");
        assert_eq!(batch.alerts[0].ends_at, None, "{end}");
        assert_eq!(batch.alerts[0].text().labels.get("alertname"), Some("A"));
    }
}

#[test]
fn ignored_labels_make_one_alert_of_two_voices() {
    let replica = |n: u8| {
        format!(
            r#"{{"status":"firing","labels":{{"a":"b","replica":"{n}"}},"startsAt":"2026-11-24T00:00:00Z"}}"#
        )
    };
    let both = body(&format!("{},{}", replica(0), replica(1)));
    let batch = parse(
        &both,
        &BTreeSet::from(["replica".to_owned()]),
        &BodyLimits::default(),
    )
    .unwrap();
    assert_ne!(batch.alerts[0].voice, batch.alerts[1].voice);
    assert_eq!(batch.alerts[0].identity, batch.alerts[1].identity);
}

#[test]
fn labels_that_differ_in_case_stay_distinct() {
    let two = r#"{"status":"firing","labels":{"Instance":"x","instance":"y"},"startsAt":"2026-11-24T00:00:00Z"}"#;
    let text = read(&body(two)).unwrap().alerts[0].text();
    assert_eq!(
        (text.labels.get("Instance"), text.labels.get("instance")),
        (Some("x"), Some("y"))
    );
}

#[test]
fn the_body_hash_tells_labels_from_annotations() {
    let with = |labels: &str, annotations: &str| {
        let alert = format!(
            r#"{{"status":"firing","labels":{labels},"annotations":{annotations},"startsAt":"2026-11-24T00:00:00Z"}}"#
        );
        read(&body(&alert)).unwrap().alerts[0].body
    };
    assert_ne!(
        with(r#"{"a":"1","b":"2"}"#, "{}"),
        with(r#"{"a":"1"}"#, r#"{"b":"2"}"#)
    );
    assert_eq!(
        with(r#"{"a":"1","b":"2"}"#, "{}"),
        with(r#"{"b":"2","a":"1"}"#, "{}")
    );
}

#[test]
fn refuses_whole_bodies_with_a_reason() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b"{", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (b"{\"alerts\":[{}]} trailing", "unreadable"),
        (
            b"{\"version\":\"4\",\"version\":\"4\",\"alerts\":[]}",
            "unreadable",
        ),
        (b"{\"version\":\"1\",\"alerts\":[{}]}", "version"),
        (b"{\"version\":\"4\",\"alerts\":[]}", "no_alerts"),
        (b"{\"version\":\"4\"}", "unreadable"),
        (b"{\"text\":\"arbitrary\"}", "unreadable"),
    ];
    for (bytes, reason) in cases {
        let rejection = read(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(rejection.reason(), *reason, "{rejection}");
    }
}

#[test]
fn limits_hold_for_bodies_alerts_and_labels() {
    let limits = BodyLimits {
        body_bytes: 4000,
        alerts: 2,
        labels: 2,
        alert_bytes: 300,
    };
    let check = |bytes: Bytes| parse(&bytes, &BTreeSet::new(), &limits);
    assert_eq!(
        check(vec![b' '; 4001].into()).unwrap_err().reason(),
        "too_large"
    );
    assert_eq!(
        check(body(&[ONE; 3].join(","))).unwrap_err().reason(),
        "too_many_alerts"
    );
    let wide = r#"{"status":"firing","labels":{"a":"1","b":"2","c":"3"},"startsAt":"2026-11-24T00:00:00Z"}"#;
    assert_eq!(
        check(body(wide)).unwrap().refused[0].why,
        "3 labels, more than 2: drop some, or raise `limits.labels_per_alert` here"
    );
    let long = format!(
        r#"{{"status":"firing","labels":{{"a":"{}"}}}}"#,
        "x".repeat(300)
    );
    assert!(
        check(body(&long)).unwrap().refused[0]
            .why
            .contains("more than 300")
    );
}

#[test]
fn an_alert_that_is_too_long_is_heard_with_its_annotations_cut() {
    let limits = BodyLimits {
        labels: 2,
        alert_bytes: 400,
        ..BodyLimits::default()
    };
    let long = format!(
        r#"{{"status":"firing","labels":{{"alertname":"A"}},"startsAt":"2026-11-24T00:00:00Z",
            "annotations":{{"a":"short","b":"{}","c":"left out"}}}}"#,
        "\u{e9}".repeat(5_000)
    );
    let batch = parse(&body(&long), &BTreeSet::new(), &limits).unwrap();
    assert_eq!(batch.refused, []);
    let text = batch.alerts[0].text();
    let annotations: BTreeMap<&str, &str> = text.annotations.iter().collect();
    let cut = format!("{}… (cut: 10000 bytes)", "\u{e9}".repeat(50));
    assert_eq!(
        annotations,
        BTreeMap::from([("a", "short"), ("b", &*cut)]),
        "all alike, at a character's end, and the last ones by name are left out"
    );
    let known =
        body(r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-24T00:00:00Z"}"#);
    let known = parse(&known, &BTreeSet::new(), &limits).unwrap();
    assert_eq!(known.alerts[0].identity, batch.alerts[0].identity);
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read(&Bytes::from(bytes));
    }

    #[test]
    fn no_mangled_body_panics(at in 0usize..1700, byte: u8) {
        let path = "testdata/alertmanager-0.34/08-default-firing-new-alerts-added.json";
        let mut bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        bytes[at] = byte;
        if let Ok(batch) = read(&Bytes::from(bytes)) {
            for alert in batch.alerts {
                let _ = alert.text();
            }
        }
    }
}
