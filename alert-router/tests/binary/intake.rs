//! What may be posted, and what comes of it.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;

fn config(sink: &Sink) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: 50ms, group_interval: 100ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    )
}

#[tokio::test]
async fn f01_a_firing_alert_with_gos_zero_time_goes_on() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+A").await;
    let told = &sink.messages()[0].body["alerts"][0];
    assert_eq!(told["endsAt"], "0001-01-01T00:00:00Z");
    let groups = router.list("groups").await;
    assert_eq!(
        (&groups[0]["firing"], &groups[0]["over"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn f04_empty_group_labels_are_taken_and_grouped_by_our_own_rules() {
    let folder = Folder::new();
    let router = folder.start().await;
    let posted = json!({
        "version": "4", "groupKey": "{}:{}", "receiver": "web\\.hook", "status": "firing",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "",
        "alerts": [
            firing(&[("alertname", "A"), ("cluster", "sh")]),
            firing(&[("alertname", "A"), ("cluster", "bj")]),
            firing(&[("alertname", "A"), ("cluster", "sh"), ("instance", "2")]),
        ],
    });
    let taken = router.post(&posted.to_string()).await;
    assert_eq!(
        (taken.status, &taken.json()["changed"]),
        (200, &json!(3)),
        "{taken:?}"
    );
    let mut firing: Vec<Value> = router
        .list("groups")
        .await
        .iter()
        .map(|group| group["firing"].clone())
        .collect();
    firing.sort_by_key(Value::as_u64);
    assert_eq!(firing, [json!(1), json!(2)]);
}

/// Bodies that are refused as a whole: name, bytes, status, and a word of the answer.
fn refused() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let many: Vec<Value> = (0..20_000)
        .map(|n| firing(&[("alertname", "A"), ("n", &n.to_string())]))
        .collect();
    let mut huge = body(&[firing(&[("alertname", "A")])]).into_bytes();
    huge.resize((10 << 20) + 1, b' ');
    let mut endless = huge.clone();
    endless.resize(40 << 20, b' ');
    let pa = r#"{"msgtype":"text","text":{"content":"hello"},"alerts":"none"}"#;
    vec![
        (
            "grafana",
            br#"{"version":"1","title":"x","alerts":[{"status":"firing"}]}"#.to_vec(),
            422,
            "Grafana",
        ),
        (
            "arbitrary JSON",
            pa.as_bytes().to_vec(),
            400,
            "not an Alertmanager webhook",
        ),
        (
            "a number",
            b"7".to_vec(),
            400,
            "not an Alertmanager webhook",
        ),
        ("nothing", Vec::new(), 400, "empty"),
        (
            "no alerts",
            br#"{"version":"4","alerts":[]}"#.to_vec(),
            422,
            "no alerts",
        ),
        (
            "20,000 alerts",
            body(&many).into_bytes(),
            422,
            "`limits.alerts_per_request`",
        ),
        ("a byte over 10 MiB", huge, 413, "limits.body_bytes"),
        ("40 MiB", endless, 413, "limits.body_bytes"),
        (
            "invalid UTF-8",
            b"{\"version\":\"4\",\"alerts\":[{\"labels\":{\"a\":\"\xff\"}}]}".to_vec(),
            400,
            "not an Alertmanager webhook",
        ),
        (
            "a key twice",
            br#"{"version":"4","version":"4","alerts":[{}]}"#.to_vec(),
            400,
            "duplicate field",
        ),
        (
            "half a body",
            br#"{"version":"4","alerts":[{"status":"fi"#.to_vec(),
            400,
            "not an Alertmanager webhook",
        ),
        (
            "deep nesting",
            [b"[".repeat(200_000), b"]".repeat(200_000)].concat(),
            400,
            "not an Alertmanager webhook",
        ),
    ]
}

#[tokio::test]
async fn f07_bodies_of_every_odd_kind_are_refused_with_a_reason_and_hurt_nobody() {
    let folder = Folder::new();
    let router = folder.start().await;
    for (name, bytes, status, word) in refused() {
        let answer = router.call("POST", "/webhook", &[], &bytes).await.unwrap();
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let why = answer.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(why.contains(word), "{name}: {why}");
    }
    let kept = router.list("quarantine").await;
    let reasons: std::collections::BTreeSet<&str> = kept
        .iter()
        .map(|kept| kept["reason"].as_str().unwrap())
        .collect();
    let expected = [
        "empty",
        "no_alerts",
        "too_large",
        "too_many_alerts",
        "unreadable",
        "version",
    ];
    assert_eq!(reasons, expected.into_iter().collect());
    // Of a body that never ends nothing is kept, but it is counted.
    let too_large = "alert_router_quarantined_total{reason=\"too_large\"}";
    assert_eq!(router.metric(too_large).await, 2.0);
    assert_eq!(router.metric("alert_router_panics_total").await, 0.0);
    assert_eq!(router.list("groups").await.len(), 0);
    assert!(peak_mib(&router) < 256, "{} MiB", peak_mib(&router));
    router.take(&[firing(&[("alertname", "Fine")])]).await;
}

#[tokio::test]
async fn f07_a_label_that_comes_twice_has_its_last_value() {
    let folder = Folder::new();
    let router = folder.start().await;
    let twice = r#"{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A","a":"1","a":"2"},"startsAt":"2026-01-24T08:00:00Z"}]}"#;
    assert_eq!(router.post(twice).await.status, 200);
    let group = router.list("groups").await[0].to_string();
    assert!(group.contains(r#"["a","2"]"#), "{group}");
}

#[tokio::test]
async fn f07_one_odd_alert_goes_to_quarantine_and_the_others_are_told() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let odd = json!({"status": "exploding", "labels": {"alertname": "Odd"}});
    let taken = router.take(&[firing(&[("alertname", "A")]), odd]).await;
    assert_eq!(taken["refused"][0]["alert"], 1, "{taken}");
    sink.until_heard("alertname", "+A").await;
    let kept = router.list("quarantine").await;
    assert_eq!((kept.len(), &kept[0]["reason"]), (1, &json!("alert")));
    let counted = "alert_router_quarantined_total{reason=\"alert\"}";
    assert_eq!(router.metric(counted).await, 1.0);
}

#[tokio::test]
async fn f10_a_post_that_a_redirect_turned_into_get_is_told_what_happened_and_counted() {
    let folder = Folder::new();
    let router = folder.start().await;
    let rejected = "alert_router_webhook_requests_total{outcome=\"rejected\"}";
    for path in ["/webhook", "/webhook/prod"] {
        let answer = router.get(path).await;
        assert_eq!(answer.status, 405, "{path}");
        assert!(
            answer.head.to_lowercase().contains("allow: post"),
            "{answer:?}"
        );
        assert!(
            answer
                .body
                .contains("a redirect on the way turns POST into GET"),
            "{answer:?}"
        );
    }
    assert_eq!(router.metric(rejected).await, 2.0);
}

#[tokio::test]
async fn f18_labels_that_differ_in_case_are_two_alerts() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let alerts = [("Instance", "a"), ("instance", "a"), ("instance", "A")]
        .map(|(name, value)| firing(&[("alertname", "Case"), (name, value)]));
    let taken = router.take(&alerts).await;
    assert_eq!(taken["changed"], 3);
    sink.until_heard("alertname", "+Case").await;
    assert_eq!(
        sink.messages()[0].body["alerts"].as_array().unwrap().len(),
        3
    );
}

/// The most memory that the process ever had, in MiB.
fn peak_mib(router: &Router) -> u64 {
    let path = format!("/proc/{}/status", router.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("it runs on Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak");
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("a number") >> 10
}

#[tokio::test]
async fn a_source_beyond_its_limit_is_told_to_come_again_and_costs_no_other() {
    let folder = Folder::with(
        "route: {receiver: page}\n\
         receivers: [{name: page, inbox_configs: [{}]}]\n\
         sources: {prod: {bearer_token: t0ken, rate_limit: {requests: 2, per: 1h}, formerly: [default]}}\n",
    );
    let router = folder.start().await;
    let alert = body(&[firing(&[("alertname", "A")])]);
    let post = async |path: &str, token: &str| {
        let token = format!("Bearer {token}");
        let headers = [("Authorization", token.as_str())];
        let answer = router.call("POST", path, &headers, alert.as_bytes()).await;
        answer.expect("it answers")
    };
    assert_eq!(post("/webhook/prod", "wrong").await.status, 401);
    assert_eq!(post("/webhook/prod", "t0ken").await.status, 200);
    assert_eq!(post("/webhook", "t0ken").await.status, 200, "formerly");
    for path in ["/webhook/prod", "/webhook"] {
        let limited = post(path, "t0ken").await;
        assert_eq!(limited.status, 503, "{limited:?}");
        assert!(limited.body.contains("rate_limit"), "{limited:?}");
        let head = limited.head.to_ascii_lowercase();
        let wait = head.split("retry-after: ").nth(1).expect("how long");
        let wait: u64 = wait.lines().next().unwrap().parse().unwrap();
        assert!((1..=1800).contains(&wait), "{head}");
    }
    assert_eq!(post("/webhook/other", "").await.status, 200);
    for (series, count) in [
        ("webhook_requests_total{outcome=\"limited\"}", 2.0),
        ("webhook_limited_total{source=\"prod\"}", 2.0),
    ] {
        assert_eq!(
            router.metric(&format!("alert_router_{series}")).await,
            count
        );
    }
}

#[tokio::test]
async fn a_sender_that_hangs_up_is_not_our_failure() {
    let folder = Folder::new();
    let router = folder.start().await;
    let mut sender = TcpStream::connect(router.address()).await.unwrap();
    let half =
        "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"version\"";
    sender.write_all(half.as_bytes()).await.unwrap();
    drop(sender);
    let outcome = |word| format!("alert_router_webhook_requests_total{{outcome=\"{word}\"}}");
    router.until_metric(&outcome("incomplete"), 1.0).await;
    assert_eq!(router.metric(&outcome("unavailable")).await, 0.0);
}

#[tokio::test]
async fn a_start_that_cannot_be_true_is_nobodys_wait() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let mut alert = firing(&[("alertname", "A")]);
    alert["startsAt"] = json!("0002-01-01T00:00:00Z");
    router.take(&[alert]).await;
    sink.until_heard("alertname", "+A").await;
    let sample = |of| {
        format!("alert_router_time_to_heard_seconds_{of}{{priority=\"normal\",receiver=\"room\"}}")
    };
    router.until_metric(&sample("count"), 1.0).await;
    let waited = router.metric(&sample("sum")).await;
    assert!(waited < 3600.0, "{waited} s");
}
