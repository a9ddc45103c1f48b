//! Changing the config while it runs.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::json;

use crate::router::{Folder, Router, firing, resolved};
use crate::sink::Sink;
use crate::wait::until;

fn config(sink: &Sink, route: &str) -> String {
    let (room, other) = (sink.url("/room"), sink.url("/other"));
    format!(
        "route: {{receiver: room, group_interval: 100ms, {route}}}\n\
         receivers:\n\
         \x20 - {{name: room, webhook_configs: [{{url: \"{room}\"}}]}}\n\
         \x20 - {{name: other, webhook_configs: [{{url: \"{other}\"}}]}}\n"
    )
}

async fn reloads(router: &Router, outcome: &str, wanted: f64) {
    let sample = format!("alert_router_config_reloads_total{{outcome=\"{outcome}\"}}");
    router.until_metric(&sample, wanted).await;
}

#[tokio::test]
async fn a_reload_by_signal_or_request_takes_effect() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "group_wait: 50ms"));
    let router = folder.start().await;
    folder
        .configure(&config(&sink, "group_wait: 50ms").replace("receiver: room", "receiver: other"));
    router.signal(Signal::HUP);
    reloads(&router, "done", 1.0).await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+A").await;
    assert_eq!(sink.at("/other").len(), 1);

    folder.configure(&config(&sink, "group_wait: 60ms"));
    let answer = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["applied"], json!(["routes"]));
    router.take(&[firing(&[("alertname", "B")])]).await;
    sink.until_heard("alertname", "+B").await;
    // Room hears of A, too, which moved there: with B, or before it.
    let room = sink.at("/room");
    let says = room
        .iter()
        .map(|message| message.says("alertname").join(" "));
    assert!(
        says.clone().any(|line| line.contains("+B")),
        "{:?}",
        says.collect::<Vec<_>>()
    );
    assert_eq!(sink.at("/other").len(), 1);
}

#[tokio::test]
async fn f30_a_bad_config_leaves_the_old_one_running_and_is_shown_everywhere() {
    let sink = Sink::start().await;
    let good = config(&sink, "group_wait: 50ms");
    let folder = Folder::with(&good);
    let router = folder.start().await;
    folder.configure(&good.replace("receiver: room", "receiver: rooom"));

    router.signal(Signal::HUP);
    reloads(&router, "refused", 1.0).await;
    let answer = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("line 1: route.receiver") && error.contains("rooom"),
        "{error}"
    );
    reloads(&router, "refused", 2.0).await;
    let last = "alert_router_config_last_reload_successful";
    assert_eq!(router.metric(last).await, 0.0);
    let status = router.get("/api/v1/status").await.json();
    assert_eq!(status["config"]["ok"], false, "{status}");
    assert!(
        status["config"]["error"]
            .as_str()
            .unwrap()
            .contains("rooom"),
        "{status}"
    );
    let page = router.get("/view").await.body;
    assert!(
        page.contains("the last reload was refused") && page.contains("rooom"),
        "{page}"
    );
    assert!(
        router.said().contains("the old config stays"),
        "{}",
        router.said()
    );

    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+A").await;
    assert_eq!(sink.at("/room").len(), 1);

    folder.configure(&good);
    assert_eq!(
        router.ask("POST", "/-/reload", "").await.unwrap().status,
        200
    );
    assert_eq!(router.metric(last).await, 1.0);
    let status = router.get("/api/v1/status").await.json();
    assert_eq!(
        (&status["config"]["ok"], &status["config"]["error"]),
        (&json!(true), &json!(null))
    );
}

#[tokio::test]
async fn what_a_reload_cannot_change_is_said() {
    let sink = Sink::start().await;
    let good = config(&sink, "group_wait: 50ms");
    let folder = Folder::with(&good);
    let router = Router::start(folder.command(&["--listen", "127.0.0.1:0"])).await;
    folder.configure(&format!("{good}store: sqlite:elsewhere/x.db\n"));
    let answer = router.ask("POST", "/-/reload", "").await.unwrap().json();
    assert_eq!(answer["after_restart"], json!(["store"]), "{answer}");
    assert!(!folder.path().join("elsewhere").exists());
}

/// Whoever reads a pipe waits until somebody writes into it.
#[tokio::test]
async fn a_pipe_in_the_place_of_the_config_holds_up_no_reload() {
    let folder = Folder::with("receivers: [{name: a}]\nroute: {receiver: a}\n");
    let router = folder.start().await;
    let config = folder.path().join("alert-router.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&config).status();
    assert!(made.unwrap().success());
    let answer = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("no regular file"), "{answer:?}");
    std::fs::remove_file(&config).unwrap();
    folder.configure(&text);
    let answer = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Each group is posted whole, so each message must hold all three alerts of its group, and each
/// group must be told exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_a_hundred_reloads_while_deliveries_are_in_flight_lose_and_repeat_nothing() {
    const GROUPS: usize = 100;
    let sink = Sink::start().await;
    let route = |wait: usize| {
        config(
            &sink,
            &format!("group_by: [alertname], group_wait: {wait}ms"),
        )
    };
    let folder = Folder::with(&route(20));
    let router = folder.start().await;
    let in_flight = "alert_router_deliveries_in_flight";
    for n in 0..GROUPS {
        let is_held = n % 4 != 3;
        sink.hold(is_held);
        let name = format!("Group{n:03}");
        let alerts = ["a", "b", "c"].map(|id| firing(&[("alertname", &name), ("id", id)]));
        router.take(&alerts).await;
        // It came to a closed gate, so it is under way in this reload and in the next two.
        if n % 4 == 0 {
            sink.until_heard("alertname", &format!("+{name}")).await;
        }
        folder.configure(&route(20 + n % 7));
        if n % 2 == 0 {
            router.signal(Signal::HUP);
        } else {
            assert_eq!(
                router.ask("POST", "/-/reload", "").await.unwrap().status,
                200
            );
        }
        assert!(!is_held || router.metric(in_flight).await >= 1.0);
    }
    sink.hold(false);
    reloads_at_least(&router, GROUPS / 2).await;
    let last = format!("+Group{:03}", GROUPS - 1);
    sink.until_heard("alertname", &last).await;
    router.until_metric(in_flight, 0.0).await;
    until("every group is told", async || {
        let told = sink.messages().len();
        (told >= GROUPS).then_some(()).ok_or(told.to_string())
    })
    .await;
    router
        .take(&[firing(&[("alertname", "Marker"), ("id", "a")])])
        .await;
    sink.until_heard("alertname", "+Marker").await;
    let mut told: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for message in sink.messages() {
        let group = message.body["groupLabels"]["alertname"]
            .as_str()
            .unwrap()
            .to_owned();
        told.entry(group).or_default().push(message.says("id"));
    }
    assert_eq!(told.remove("Marker").map(|told| told.len()), Some(1));
    assert_eq!(told.len(), GROUPS);
    for (group, messages) in told {
        assert_eq!(messages, [["+a", "+b", "+c"]], "{group}");
    }
}

/// Signals that come while one is being handled are one signal, so of those only the sum is sure.
async fn reloads_at_least(router: &Router, wanted: usize) {
    let done = router
        .metric("alert_router_config_reloads_total{outcome=\"done\"}")
        .await;
    assert!(done >= wanted as f64, "{done} reloads");
    assert_eq!(
        router
            .metric("alert_router_config_reloads_total{outcome=\"refused\"}")
            .await,
        0.0
    );
}

#[tokio::test]
async fn f29_editing_matchers_and_group_by_notifies_nobody_again() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "group_by: [alertname], group_wait: 200ms"));
    let router = folder.start().await;
    let names: Vec<String> = (0..30).map(|n| format!("Disk{n:02}")).collect();
    let labels = |name: &'static str| [("alertname", name), ("cluster", "sh")];
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let alerts: Vec<_> = names.iter().map(|name| firing(&labels(name))).collect();
    router.take(&alerts).await;
    until("all are told", async || {
        let told = sink.messages().len();
        (told == names.len()).then_some(()).ok_or(told.to_string())
    })
    .await;

    let edits = [
        "group_by: [alertname, cluster], group_wait: 200ms",
        "group_by: [cluster], group_wait: 200ms",
        "group_by: [alertname], group_wait: 200ms, \
         routes: [{receiver: room, matchers: [cluster=~\"s.*\"]}]",
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        folder.configure(&config(&sink, edit));
        assert_eq!(
            router.ask("POST", "/-/reload", "").await.unwrap().status,
            200
        );
        router.take(&alerts).await;
        let marker = format!("Marker{n}");
        router
            .take(&[firing(&[("alertname", &marker), ("cluster", &marker)])])
            .await;
        sink.until_heard("alertname", &format!("+{marker}")).await;
    }
    let told = sink.heard("alertname");
    assert_eq!(told.len(), names.len() + edits.len(), "{told:?}");

    // Whoever heard the beginning hears the end, once.
    router.take(&[resolved(&labels(names[7]))]).await;
    sink.until_heard("alertname", "-Disk07").await;
    let ends = sink
        .heard("alertname")
        .iter()
        .filter(|line| line.contains("-Disk07"))
        .count();
    assert_eq!(ends, 1);
}
