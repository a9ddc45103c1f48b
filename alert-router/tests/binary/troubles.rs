//! Channels that fail: who is told, and who is not told twice.

use serde_json::json;

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;
use crate::wait::until;

/// Two receivers hear every alert; operators hear of our own troubles.
fn config(sink: &Sink) -> String {
    let [good, bad, ops] = ["/good", "/bad", "/ops"].map(|path| sink.url(path));
    format!(
        "operators: ops\n\
         route:\n\
         \x20 receiver: good\n\
         \x20 group_by: [alertname]\n\
         \x20 group_wait: 50ms\n\
         \x20 group_interval: 100ms\n\
         \x20 routes: [{{receiver: bad, continue: true}}, {{receiver: good}}]\n\
         receivers:\n\
         \x20 - {{name: good, webhook_configs: [{{url: \"{good}\"}}]}}\n\
         \x20 - {{name: bad, webhook_configs: [{{url: \"{bad}\"}}]}}\n\
         \x20 - {{name: ops, webhook_configs: [{{url: \"{ops}\"}}]}}\n"
    )
}

#[tokio::test]
async fn f59_a_channel_that_fails_makes_nobody_post_again_and_the_other_hears_once() {
    let sink = Sink::start().await;
    sink.answer("/bad", 500);
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    let alert = body(&[firing(&[("alertname", "A")])]);
    assert_eq!(router.post(&alert).await.status, 200);
    let failures = "alert_router_delivery_failures_total{channel=\"webhook\",reason=\"http_status\",receiver=\"bad\"}";
    router.until_metric(failures, 1.0).await;
    // Somebody posts again all the same.
    let again = router.post(&alert).await;
    assert_eq!((again.status, &again.json()["changed"]), (200, &json!(0)));
    router.take(&[firing(&[("alertname", "Marker")])]).await;
    sink.until_heard("alertname", "+Marker").await;
    until("the good channel hears the marker", async || {
        let told = sink.at("/good");
        (told.len() == 2).then_some(()).ok_or(format!("{told:?}"))
    })
    .await;
    let told: Vec<_> = sink
        .at("/good")
        .iter()
        .map(|told| told.says("alertname"))
        .collect();
    assert_eq!(told, [["+A"], ["+Marker"]]);
}

#[tokio::test]
async fn f60_a_delivery_that_is_given_up_is_reported_elsewhere_and_counted() {
    let sink = Sink::start().await;
    sink.answer("/bad", 400);
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+DeliveryGivenUp").await;
    assert_eq!(
        sink.at("/bad").len(),
        1,
        "what can never succeed is tried once"
    );
    let notice = sink.at("/ops")[0].clone();
    let alert = &notice.body["alerts"][0];
    let letter = router.list("dead-letters").await[0].clone();
    let summary = alert["annotations"]["summary"].as_str().expect("an id");
    assert!(summary.contains("receiver bad: "), "{summary}");
    assert!(
        summary.contains(letter["id"].as_str().expect("an id")),
        "{summary}"
    );
    assert_eq!(
        router
            .metric("alert_router_dead_letters_total{receiver=\"bad\"}")
            .await,
        1.0
    );
    let failures = "alert_router_delivery_failures_total{channel=\"webhook\",reason=\"http_status\",receiver=\"bad\"}";
    assert_eq!(router.metric(failures).await, 1.0);
    let found = async |filter: &str| {
        let path = format!("/api/v1/history?{filter}");
        router.get(&path).await.json()["records"].clone()
    };
    let records = found("receiver=bad").await;
    let events: Vec<_> = records.as_array().unwrap().iter().collect();
    assert_eq!(events.len(), 1, "{records}");
    assert_eq!(events[0]["events"][0]["event"], "gave_up", "{records}");
    assert_eq!(found("receiver=nobody").await, json!([]));
    assert_eq!(found("recipient=nobody").await, json!([]));
}

#[tokio::test]
async fn f60_a_destination_that_refuses_our_credentials_is_reported_elsewhere_and_shown() {
    let sink = Sink::start().await;
    sink.answer("/bad", 401);
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+DestinationBlocked").await;
    let notice = sink.at("/ops")[0].clone();
    let summary = notice.body["alerts"][0]["annotations"]["summary"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        summary.contains("correct http_config.authorization"),
        "{summary}"
    );
    assert_eq!(sink.at("/bad").len(), 1, "no login storm");
    let failures = "alert_router_delivery_failures_total{channel=\"webhook\",reason=\"auth\",receiver=\"bad\"}";
    assert_eq!(router.metric(failures).await, 1.0);
}

/// Waits until the trouble of this name is over; operators hear that with their next message.
async fn until_over(router: &Router, alertname: &str) {
    until(&format!("{alertname} is over"), async || {
        let groups = router.list("groups").await;
        let about = |group: &&serde_json::Value| group["alerts"][0]["name"] == alertname;
        let group = groups.iter().find(about);
        let counts = group.map(|group| (group["firing"].clone(), group["over"].clone()));
        let over = counts == Some((json!(0), json!(1)));
        over.then_some(()).ok_or(format!("{counts:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_refused_reload_is_told_with_its_error_and_ends_with_the_next_good_one() {
    let sink = Sink::start().await;
    let good = config(&sink);
    let folder = Folder::with(&good);
    let router = folder.start().await;
    folder.configure(&good.replace("receiver: good\n", "receiver: goood\n"));
    let reload = async || {
        router
            .ask("POST", "/-/reload", "")
            .await
            .expect("it answers")
            .status
    };
    assert_eq!(reload().await, 400);
    sink.until_heard("alertname", "+ConfigReloadFailed").await;
    let notice = sink.at("/ops")[0].clone();
    let summary = &notice.body["alerts"][0]["annotations"]["summary"];
    let summary = summary.as_str().expect("an id");
    assert!(
        summary.contains("line 3: route.receiver") && summary.contains("goood"),
        "{summary}"
    );
    folder.configure(&good);
    assert_eq!(reload().await, 200);
    until_over(&router, "ConfigReloadFailed").await;
}

#[tokio::test]
async fn a_refused_reload_ends_with_a_restart_on_a_good_config() {
    let sink = Sink::start().await;
    let good = config(&sink);
    let folder = Folder::with(&good);
    let router = folder.start().await;
    folder.configure("receivers: nonsense\n");
    let answer = router
        .ask("POST", "/-/reload", "")
        .await
        .expect("it answers");
    assert_eq!(answer.status, 400);
    sink.until_heard("alertname", "+ConfigReloadFailed").await;
    router.stop().await;
    folder.configure(&good);
    let router = folder.start().await;
    until_over(&router, "ConfigReloadFailed").await;
}

#[tokio::test]
async fn what_was_open_about_a_destination_ends_when_it_leaves_the_config() {
    let sink = Sink::start().await;
    sink.answer("/bad", 401);
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    sink.until_heard("alertname", "+DestinationBlocked").await;
    let page = router.get("/view").await.body;
    assert!(page.contains("send-test --receiver bad"), "{page}");
    folder.configure(&config(&sink).replace("/bad", "/elsewhere"));
    let answer = router
        .ask("POST", "/-/reload", "")
        .await
        .expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    until_over(&router, "DestinationBlocked").await;
}

/// A router whose receiver `/bad` left the config while it was owed an alert that others heard, and
/// the config with it.
async fn without_bad(sink: &Sink, folder: &Folder) -> (Router, String) {
    sink.answer("/bad", 503);
    let without = config(sink).replace("/bad", "/other");
    let (other, bad) = (sink.url("/other"), sink.url("/bad"));
    let url = |url: &str| format!("{{url: \"{url}\"}}");
    let both = format!("{}, {}", url(&other), url(&bad));
    let with = without.replace(&url(&other), &both);
    folder.configure(&with);
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    until("everybody was told, or could not be", async || {
        let untold = ["/good", "/other", "/bad"].map(|path| sink.at(path).is_empty());
        (untold == [false; 3])
            .then_some(())
            .ok_or_else(|| format!("{untold:?}"))
    })
    .await;
    // Whoever may still have to hear of it would be told in the place of /bad.
    let in_flight = "alert_router_deliveries_in_flight";
    router.until_metric(in_flight, 0.0).await;
    reload(&router, folder, &without).await;
    sink.until_heard("alertname", "+ReceiverLeft").await;
    (router, with)
}

async fn reload(router: &Router, folder: &Folder, config: &str) {
    folder.configure(config);
    let answer = router
        .ask("POST", "/-/reload", "")
        .await
        .expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn that_a_receiver_left_which_was_owed_something_is_over_when_it_is_back() {
    let sink = Sink::start().await;
    let folder = Folder::new();
    let (router, with) = without_bad(&sink, &folder).await;
    reload(&router, &folder, &with).await;
    until_over(&router, "ReceiverLeft").await;
}

#[tokio::test]
async fn whoever_replays_a_letter_of_which_nothing_is_left_to_tell_reads_that() {
    for (path, form) in [("/api/v1", false), ("", true)] {
        let sink = Sink::start().await;
        let folder = Folder::new();
        let (router, _) = without_bad(&sink, &folder).await;
        let letter = router.list("dead-letters").await[0]["id"].clone();
        let replay = format!(
            "{path}/dead-letters/{}/replay",
            letter.as_str().expect("an id")
        );
        let answer = router.ask("POST", &replay, "").await.expect("it answers");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.body.contains("nothing is left to tell"),
            "{answer:?}"
        );
        assert_eq!(answer.body.contains("nothing_to_tell"), !form, "{answer:?}");
        assert_eq!(router.list("dead-letters").await.len(), 0);
    }
}

#[tokio::test]
async fn a_command_says_that_a_letter_has_nothing_left_to_tell() {
    let sink = Sink::start().await;
    let folder = Folder::new();
    let (router, _) = without_bad(&sink, &folder).await;
    let letter = router.list("dead-letters").await[0]["id"].clone();
    let ended = folder
        .run(&["dead-letters", "replay", letter.as_str().expect("an id")])
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("nothing is left to tell"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_page_counts_what_was_given_up_and_what_is_in_quarantine_and_offers_to_replay() {
    let sink = Sink::start().await;
    sink.answer("/bad", 400);
    let folder = Folder::with(&config(&sink));
    let router = folder.start().await;
    assert_eq!(router.post("unreadable").await.status, 400);
    router.take(&[firing(&[("alertname", "A")])]).await;
    let letters = "alert_router_dead_letters_total{receiver=\"bad\"}";
    router.until_metric(letters, 1.0).await;
    let letter = router.list("dead-letters").await[0]["id"].clone();
    let body = router.list("quarantine").await[0]["id"].clone();
    let (letter, body) = (letter.as_str().expect("an id"), body.as_str().unwrap());
    let page = router.get("/view").await.body;
    for part in [
        "Given up: 1 ".to_owned(),
        format!("action=\"/dead-letters/{letter}/replay\""),
        format!("action=\"/dead-letters/{letter}/replay?as_sent=true\""),
        "Quarantine: 1 ".to_owned(),
        format!("action=\"/quarantine/{body}/replay\""),
    ] {
        assert!(page.contains(&part), "no {part} in {page}");
    }
}
