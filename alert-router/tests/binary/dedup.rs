//! What is the same alert, and what is no news.

use serde_json::json;

use crate::router::{Folder, Router, body, firing, resolved};
use crate::sink::Sink;
use crate::wait::until;

/// A group waits a second before it speaks and a second between news, so that a marker that is
/// posted last is heard after everything that would have been said before it.
fn config(sink: &Sink) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 4h}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    )
}

/// Posts an alert of a group of its own, and waits until it is heard.
async fn mark(router: &Router, sink: &Sink) {
    router
        .take(&[firing(&[("alertname", "Marker"), ("id", "marker")])])
        .await;
    sink.until_heard("id", "+marker").await;
}

async fn until_messages(sink: &Sink, wanted: &[&str]) {
    until("these messages are heard", async || {
        let heard = sink.heard("id");
        (heard == wanted).then_some(()).ok_or(heard.join("; "))
    })
    .await;
}

#[tokio::test]
async fn f12_the_same_notification_of_two_alertmanagers_is_one_message() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let post = async |url: &str| {
        let alerts = [firing(&[("alertname", "A"), ("id", "a")])];
        let posted = json!({"version": "4", "externalURL": url, "alerts": alerts});
        router.post(&posted.to_string()).await.json()
    };
    // Twins, retries and repeats are one count: no body says which of them it is.
    let seen = "alert_router_alerts_observed_total{effect=\"seen\"}";
    assert_eq!(post("http://am-1:9093").await["changed"], 1);
    assert_eq!(router.metric(seen).await, 0.0);
    assert_eq!(post("http://am-2:9093").await["unchanged"], 1);
    assert_eq!(router.metric(seen).await, 1.0, "the twin");
    sink.until_heard("id", "+a").await;
    assert_eq!(post("http://am-2:9093").await["unchanged"], 1);
    mark(&router, &sink).await;
    assert_eq!(sink.heard("id"), ["+a", "+marker"]);
    assert_eq!(router.metric(seen).await, 2.0, "and its repeat");
}

#[tokio::test]
async fn f17_alerts_with_the_same_text_are_two_and_an_end_closes_its_own() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let alert = |id: &'static str| [("alertname", "SameText"), ("id", id)];
    router
        .take(&[firing(&alert("a")), firing(&alert("b"))])
        .await;
    until_messages(&sink, &["+a +b"]).await;
    router.take(&[firing(&alert("c"))]).await;
    until_messages(&sink, &["+a +b", "+a +b +c"]).await;
    assert_eq!(
        router.list("groups").await.len(),
        1,
        "a new member opens no new group"
    );
    router.take(&[resolved(&alert("b"))]).await;
    until_messages(&sink, &["+a +b", "+a +b +c", "+a +c -b"]).await;
    let group = &router.list("groups").await[0];
    assert_eq!(group["firing"], 2, "{group}");
}

#[tokio::test]
async fn f20_a_label_that_changes_with_each_evaluation_ends_once_per_value() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let alert = |id: &'static str| [("alertname", "Rank"), ("id", id)];
    router.take(&[firing(&alert("1"))]).await;
    until_messages(&sink, &["+1"]).await;
    router
        .take(&[resolved(&alert("1")), firing(&alert("2"))])
        .await;
    until_messages(&sink, &["+1", "+2 -1"]).await;
    // Upstream says every end again until it forgets.
    router
        .take(&[
            resolved(&alert("1")),
            resolved(&alert("2")),
            firing(&alert("3")),
        ])
        .await;
    until_messages(&sink, &["+1", "+2 -1", "+3 -2"]).await;
    router
        .take(&[
            resolved(&alert("1")),
            resolved(&alert("2")),
            firing(&alert("3")),
        ])
        .await;
    mark(&router, &sink).await;
    until_messages(&sink, &["+1", "+2 -1", "+3 -2", "+marker"]).await;
}

#[tokio::test]
async fn f23_upstreams_repeat_is_no_news_and_ours_is_marked_as_one() {
    let sink = Sink::start().await;
    let config = config(&sink) + "priority: []\n";
    let folder = Folder::with(&config);
    let router = folder.start().await;
    let alert = firing(&[("alertname", "A"), ("id", "a")]);
    router.take(std::slice::from_ref(&alert)).await;
    sink.until_heard("id", "+a").await;
    for _ in 0..3 {
        let posted = json!({
            "version": "4", "notification_reason": "repeat interval elapsed", "alerts": [alert],
        });
        assert_eq!(
            router.post(&posted.to_string()).await.json()["unchanged"],
            1
        );
    }
    mark(&router, &sink).await;
    assert_eq!(sink.heard("id"), ["+a", "+marker"]);

    folder.configure(&config.replace("repeat_interval: 4h", "repeat_interval: 2s"));
    assert_eq!(
        router.ask("POST", "/-/reload", "").await.unwrap().status,
        200
    );
    until("the reminder comes", async || {
        let reasons: Vec<String> = sink
            .messages()
            .iter()
            .filter(|message| message.says("id") == ["+a"])
            .map(|message| {
                message.body["notification_reason"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let reminded = reasons
            .get(1)
            .is_some_and(|reason| reason == "repeat interval elapsed");
        reminded.then_some(()).ok_or(format!("{reasons:?}"))
    })
    .await;
}

#[tokio::test]
async fn what_two_upstream_groups_agree_on_goes_on_with_their_one_message() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    for (id, room) in [("1", "a"), ("2", "b")] {
        let mut alert = firing(&[("alertname", "A"), ("id", id)]);
        alert["ticket"] = json!(id);
        let posted = json!({
            "version": "4", "routeLabels": {"team": "db", "room": room}, "of_this_body": 1,
            "notification_reason": "new alerts added", "alerts": [alert],
        });
        assert_eq!(router.post(&posted.to_string()).await.json()["changed"], 1);
    }
    sink.until_heard("id", "+2").await;
    let messages = sink.messages();
    let told = &messages.last().unwrap().body;
    assert_eq!(told["alerts"].as_array().unwrap().len(), 2);
    assert_eq!(told["routeLabels"], json!({"team": "db"}));
    for alert in told["alerts"].as_array().unwrap() {
        assert_eq!(alert["ticket"], alert["labels"]["id"]);
    }
    assert_eq!(
        told["of_this_body"],
        json!(null),
        "it is said of another body"
    );
}

#[tokio::test]
async fn f24_an_end_that_is_taken_back_at_once_is_no_pair_of_messages() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let labels = [("alertname", "Blink"), ("id", "a")];
    router.take(&[firing(&labels)]).await;
    sink.until_heard("id", "+a").await;
    let mut end = resolved(&labels);
    end["endsAt"] = json!("2026-01-24T09:00:00Z");
    let mut again = firing(&labels);
    again["startsAt"] = json!("2026-01-24T09:00:01Z");
    assert_eq!(router.post(&body(&[end])).await.json()["changed"], 1);
    assert_eq!(router.post(&body(&[again])).await.json()["changed"], 1);
    mark(&router, &sink).await;
    assert_eq!(sink.heard("id"), ["+a", "+marker"]);
}
