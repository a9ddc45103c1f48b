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
async fn without_a_server_what_is_kept_can_be_read_and_dropped_but_not_replayed() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let letter = letter(&router, &sink).await;
    router.post("no JSON").await;
    router.stop().await;
    let listed = say(&folder, &["quarantine", "list"]).await;
    let body = listed.split(' ').next().unwrap();
    let shown = say(&folder, &["quarantine", "show", body]).await;
    assert!(shown.ends_with("no JSON\n"), "{shown}");
    for (what, id) in [("quarantine", body), ("dead-letters", &letter)] {
        let refused = folder.run(&[what, "replay", id]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let why = "no server runs on this data: start it";
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert_eq!(say(&folder, &[what, "drop", id]).await, "dropped\n");
        let gone = folder.run(&[what, "drop", id]).await;
        assert_eq!(gone.code, Some(1), "{gone:?}");
        assert!(gone.stderr.contains("has this id"), "{gone:?}");
    }
    let router = folder.start().await;
    assert_eq!(router.list("dead-letters").await.len(), 0);
    assert_eq!(router.list("quarantine").await.len(), 0);
    let history = router.list("history").await;
    let dropped = &history[0]["events"][0];
    assert_eq!(dropped["event"], "dropped", "{history:?}");
    assert_eq!(dropped["delivery"]["id"], *letter, "{history:?}");
    let about = json!({"group": null, "body": body, "events": [
        {"event": "left_quarantine", "source": "default", "reason": "unreadable", "replayed": false},
    ]});
    let mut left = history[1].clone();
    left.as_object_mut().unwrap().remove("at_ms");
    assert_eq!(left, about, "{history:?}");
    let wrong = folder.run(&["quarantine", "show", "x/../y"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test]
async fn a_list_of_more_than_one_page_is_read_to_its_end() {
    let folder = Folder::new();
    let router = folder.start().await;
    for n in 0..201 {
        assert_eq!(router.post(&format!("no JSON {n}")).await.status, 400);
    }
    let page = async |path: String| router.get(&path).await.json();
    let first = page("/api/v1/quarantine".to_owned()).await;
    let next = first["next"].as_str().expect("there is more");
    let second = page(format!("/api/v1/quarantine?after={next}")).await;
    let rows = |page: &serde_json::Value| page["records"].as_array().unwrap().clone();
    assert_eq!((rows(&first).len(), rows(&second).len()), (200, 1));
    assert_eq!(second["next"], json!(null));
    assert!(!rows(&first).contains(&rows(&second)[0]));
    let listed = say(&folder, &["quarantine", "list"]).await;
    assert_eq!(listed.lines().count(), 201);
    let wrong = router.get("/api/v1/quarantine?after=x").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    router.stop().await;
    assert_eq!(say(&folder, &["quarantine", "list"]).await, listed);
}

/// The form of the page whose address ends so, sent as a browser sends it.
async fn press(router: &Router, page: &str, form: &str) -> u16 {
    assert!(
        page.contains(&format!("action=\"{form}\"")),
        "no {form} in {page}"
    );
    let origin = format!("http://{}", router.address());
    let headers = [("Origin", origin.as_str())];
    let answer = router.call("POST", form, &headers, b"").await;
    let answer = answer.expect("it answers");
    if answer.status == 303 {
        assert!(answer.head.contains("location: /\r\n"), "{answer:?}");
    }
    answer.status
}

#[tokio::test]
async fn the_buttons_of_the_page_show_replay_and_drop_what_is_kept_and_lead_back() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let id = letter(&router, &sink).await;
    router.post("no JSON").await;
    let body = router.list("quarantine").await[0]["id"].clone();
    let body = body.as_str().unwrap();
    let page = router.get("/").await.body;
    for (path, part) in [
        (format!("/dead-letters/{id}"), "--- part"),
        (format!("/quarantine/{body}"), "no JSON"),
    ] {
        assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
        let shown = router.get(&path).await;
        assert!(shown.body.contains(part), "{shown:?}");
        assert!(shown.head.contains("text/plain"), "{shown:?}");
    }
    let foreign = [("Origin", "http://evil.example.com")];
    let drop = format!("/dead-letters/{id}/drop");
    let forged = router.call("POST", &drop, &foreign, b"").await.unwrap();
    assert_eq!(forged.status, 403, "{forged:?}");

    let again = format!("/dead-letters/{id}/replay?as_sent=true");
    assert_eq!(press(&router, &page, &again).await, 502, "it is refused");
    let replay = format!("/quarantine/{body}/replay");
    assert_eq!(press(&router, &page, &replay).await, 422, "it is no JSON");
    assert_eq!(press(&router, &page, &drop).await, 303);
    let drop = format!("/quarantine/{body}/drop");
    assert_eq!(press(&router, &page, &drop).await, 303);
    let history = router.get("/api/v1/history").await.body;
    assert!(history.contains("\"event\":\"dropped\""), "{history}");
    let page = router.get("/view").await.body;
    assert!(!page.contains("Given up") && !page.contains("Quarantine"));
}

#[tokio::test]
async fn the_replay_button_tells_the_present_truth() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let id = letter(&router, &sink).await;
    sink.answer("/room", 200);
    let page = router.get("/").await.body;
    let replay = format!("/dead-letters/{id}/replay");
    assert_eq!(press(&router, &page, &replay).await, 303);
    sink.until_heard("id", "+a").await;
    assert_eq!(router.list("dead-letters").await.len(), 0);
}
