//! What waits for a person, through the commands: dead letters and unreadable bodies.

use serde_json::json;

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;
use crate::wait::until;

fn config(sink: &Sink) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: 50ms, group_interval: 100ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    )
}

/// An alert that was given up; returns the letter's id.
async fn letter(router: &Router, sink: &Sink) -> String {
    sink.answer("/room", 400);
    router
        .take(&[firing(&[("alertname", "A"), ("id", "a")])])
        .await;
    until("there is a dead letter", async || {
        let letters = router.list("dead-letters").await;
        let id = letters
            .first()
            .and_then(|letter| letter["id"].as_str())
            .map(str::to_owned);
        id.ok_or_else(|| "none".to_owned())
    })
    .await
}

async fn say(folder: &Folder, words: &[&str]) -> String {
    let ended = folder.run(words).await;
    assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    ended.stdout
}

#[tokio::test]
async fn a_letter_that_is_replayed_as_sent_leaves_with_the_same_bytes_and_is_history() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let id = letter(&router, &sink).await;
    // The present truth is another by now.
    router
        .take(&[firing(&[("alertname", "A"), ("id", "b")])])
        .await;

    let refused = folder
        .run(&["dead-letters", "replay", &id, "--as-sent"])
        .await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("not delivered: http_status 400"),
        "{refused:?}"
    );
    assert!(
        say(&folder, &["dead-letters", "list"]).await.contains(&id),
        "the letter stays"
    );

    sink.answer("/room", 200);
    let before = sink.messages().len();
    let said = say(&folder, &["dead-letters", "replay", &id, "--as-sent"]).await;
    assert_eq!(said, "delivered again as it was\n");
    let (first, again) = (&sink.messages()[0], &sink.messages()[before]);
    assert_eq!(first.text, again.text);
    assert_eq!(again.says("id"), ["+a"]);
    assert!(!say(&folder, &["dead-letters", "list"]).await.contains(&id));
    let history = router.get("/api/v1/history").await.body;
    assert!(history.contains("\"event\":\"resent\""), "{history}");
    let counted = "alert_router_notifications_total{channel=\"webhook\",outcome=\"heard\",reason=\"as_sent\",receiver=\"room\"}";
    assert_eq!(router.metric(counted).await, 1.0);
}

#[tokio::test]
async fn a_letter_that_is_replayed_says_the_present_truth() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let id = letter(&router, &sink).await;
    sink.answer("/room", 200);
    say(&folder, &["dead-letters", "replay", &id]).await;
    until("it is told again", async || {
        let heard = sink.heard("id");
        (heard == ["+a", "+a"])
            .then_some(())
            .ok_or(heard.join("; "))
    })
    .await;
    assert_eq!(
        say(&folder, &["dead-letters", "list"]).await,
        "no delivery was given up\n"
    );
}

#[tokio::test]
async fn a_letter_larger_than_any_providers_answer_is_shown() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    sink.answer("/room", 400);
    let mut alerts = ["a", "b", "c"].map(|id| firing(&[("alertname", "Long"), ("id", id)]));
    for alert in &mut alerts {
        alert["annotations"]["description"] = json!("x".repeat(50_000));
    }
    router.take(&alerts).await;
    let counted = "alert_router_dead_letters_total{receiver=\"room\"}";
    router.until_metric(counted, 1.0).await;
    let id = router.list("dead-letters").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = say(&folder, &["dead-letters", "show", &id]).await;
    assert!(shown.len() > 150_000, "{}", shown.len());
    assert!(
        say(&folder, &["dead-letters", "drop", &id])
            .await
            .contains("dropped")
    );
    let gone = folder.run(&["dead-letters", "show", &id]).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
}

#[tokio::test]
async fn a_body_in_quarantine_is_shown_replayed_once_it_can_be_read_and_gone_then() {
    let sink = Sink::start().await;
    let folder = Folder::with(&(config(&sink) + "limits: {alerts_per_request: 1}\n"));
    let router = folder.start().await;
    let alerts = ["a", "b"].map(|id| firing(&[("alertname", "Many"), ("id", id)]));
    assert_eq!(router.post(&body(&alerts)).await.status, 422);
    let listed = say(&folder, &["quarantine", "list"]).await;
    assert!(listed.contains("too_many_alerts"), "{listed}");
    let id = listed.split(' ').next().unwrap();
    let shown = say(&folder, &["quarantine", "show", id]).await;
    assert!(shown.contains(&body(&alerts)), "{shown}");

    let still = folder.run(&["quarantine", "replay", id]).await;
    assert_eq!(still.code, Some(1), "{still:?}");
    assert!(
        still.stderr.contains("it still cannot be taken in"),
        "{still:?}"
    );
    assert!(
        say(&folder, &["quarantine", "list"]).await.contains(id),
        "it stays"
    );

    folder.configure(&config(&sink));
    assert_eq!(
        router.ask("POST", "/-/reload", "").await.unwrap().status,
        200
    );
    let said = say(&folder, &["quarantine", "replay", id]).await;
    assert_eq!(said, "taken in: 2 changed something, 0 were known\n");
    sink.until_heard("id", "+b").await;
    assert_eq!(sink.heard("id"), ["+a +b"]);
    assert_eq!(
        say(&folder, &["quarantine", "list"]).await,
        "nothing is in quarantine\n"
    );
    let gone = folder.run(&["quarantine", "replay", id]).await;
    assert!(gone.stderr.contains("404"), "{gone:?}");
}

#[tokio::test]
async fn a_single_alert_in_quarantine_is_replayed_alone_and_what_was_cut_is_not() {
    let folder = Folder::with(
        "route: {receiver: inbox}\nreceivers: [{name: inbox, inbox_configs: [{}]}]\n\
         limits: {labels_per_alert: 2}\n",
    );
    let router = folder.start().await;
    router
        .take(&[firing(&[("alertname", "A"), ("b", "1"), ("c", "2")])])
        .await;
    let alert = router.list("quarantine").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    folder.configure("route: {receiver: inbox}\nreceivers: [{name: inbox, inbox_configs: [{}]}]\n");
    assert_eq!(
        router.ask("POST", "/-/reload", "").await.unwrap().status,
        200
    );
    let said = say(&folder, &["quarantine", "replay", &alert]).await;
    assert_eq!(said, "taken in: 1 changed something, 0 were known\n");
    assert_eq!(router.list("groups").await.len(), 1);

    assert_eq!(router.post(&"x".repeat(300_000)).await.status, 400);
    let cut = router.list("quarantine").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = folder.run(&["quarantine", "replay", &cut]).await;
    assert!(refused.stderr.contains("only the start"), "{refused:?}");
    assert!(
        say(&folder, &["quarantine", "drop", &cut])
            .await
            .contains("dropped")
    );
}

#[tokio::test]
async fn without_a_server_what_is_kept_can_be_read_but_not_changed() {
    let folder = Folder::new();
    let router = folder.start().await;
    router.post("no JSON").await;
    router.stop().await;
    let listed = say(&folder, &["quarantine", "list"]).await;
    let id = listed.split(' ').next().unwrap();
    assert!(
        say(&folder, &["quarantine", "show", id])
            .await
            .ends_with("no JSON\n")
    );
    for words in [["quarantine", "replay", id], ["dead-letters", "drop", id]] {
        let refused = folder.run(&words).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("no server runs on this data: start it"),
            "{refused:?}"
        );
    }
    let wrong = folder.run(&["quarantine", "show", "x/../y"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
