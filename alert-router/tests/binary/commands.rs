//! All that people read on the command line, as snapshots. What differs from run to run is masked.

use crate::router::{Ended, Folder, Router, body, firing};
use crate::sink::Sink;

/// Everything of a command's end, with `masks` applied.
fn text(words: &[&str], ended: &Ended, masks: &[(&str, &str)]) -> String {
    let mut text = format!("$ alert-router {}\n{}", words.join(" "), ended.stdout);
    if !ended.stderr.is_empty() {
        text += &format!("--- stderr\n{}", ended.stderr);
    }
    text += &format!(
        "--- exit code {}\n",
        ended.code.expect("it ended by itself")
    );
    for (what, mask) in masks {
        text = text.replace(what, mask);
    }
    text
}

async fn run(folder: &Folder, words: &[&str], masks: &[(&str, &str)]) -> String {
    text(words, &folder.run(words).await, masks)
}

#[tokio::test]
async fn help() {
    let folder = Folder::new();
    for name in [
        "",
        "serve",
        "check",
        "route-test",
        "send-test",
        "doctor",
        "dead-letters",
        "dead-letters replay",
        "quarantine",
        "quarantine replay",
        "completions",
    ] {
        let mut words: Vec<&str> = name.split_whitespace().collect();
        words.push("--help");
        let said = run(&folder, &words, &[]).await;
        insta::assert_snapshot!(format!("help {name}").trim(), said);
    }
}

#[tokio::test]
async fn check_and_route_test() {
    let folder = Folder::with(
        "route:\n  receiver: ops\n  group_by: [alertname]\n  routes:\n    - {matchers: [severity=\"critical\"], receiver: room}\n\
         receivers:\n  - {name: ops, inbox_configs: [{}]}\n  - {name: room, webhook_configs: [{url: \"http://127.0.0.1:9/hook\"}]}\n",
    );
    insta::assert_snapshot!("check good", run(&folder, &["check"], &[]).await);
    let words = ["route-test", "severity=critical", "alertname=Disk"];
    insta::assert_snapshot!("route-test", run(&folder, &words, &[]).await);
    let words = ["route-test", "severity"];
    insta::assert_snapshot!("route-test wrong", run(&folder, &words, &[]).await);
    folder.configure("route:\n  receiver: opps\n  group_wait: 5\nreceivers: [{name: ops}]\n");
    insta::assert_snapshot!("check bad", run(&folder, &["check"], &[]).await);
}

#[tokio::test]
async fn send_test() {
    let sink = Sink::start().await;
    let address = sink.url("");
    let mask = [(address.as_str(), "http://<sink>")];
    let folder = Folder::with(&format!(
        "route: {{receiver: room}}\nreceivers: [{{name: room, webhook_configs: [{{url: \"{address}/room\"}}]}}]\n"
    ));
    let words = ["send-test", "--receiver", "room"];
    insta::assert_snapshot!("send-test delivered", run(&folder, &words, &mask).await);
    assert_eq!(sink.heard("alertname"), ["+AlertRouterTest"]);
    sink.answer("/room", 401);
    insta::assert_snapshot!("send-test refused", run(&folder, &words, &mask).await);
    let words = ["send-test", "--receiver", "rom"];
    insta::assert_snapshot!("send-test unknown", run(&folder, &words, &mask).await);
}

/// The lines of a report that no machine shares with another.
fn without_machine(said: &str) -> String {
    let of_machine = |line: &&str| line.contains("compare it with") || line.contains("MiB free");
    let lines = said
        .lines()
        .map(|line| if of_machine(&line) { "  …" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn doctor() {
    let sink = Sink::start().await;
    let address = sink.url("");
    let mask = [
        (address.as_str(), "http://<sink>"),
        (address.trim_start_matches("http://"), "<sink>"),
    ];
    let page = "{name: page, inbox_configs: [{}]}";
    let folder = Folder::with(&format!(
        "route: {{receiver: page}}\nreceivers: [{page}, {{name: room, webhook_configs: [{{url: \"{address}/room\"}}]}}]\n"
    ));
    let said = run(&folder, &["doctor"], &mask).await;
    insta::assert_snapshot!("doctor good", without_machine(&said));
    assert!(sink.heard("alertname").is_empty(), "nothing is sent");
    folder.configure(&format!(
        "route: {{receiver: page}}\nreceivers: [{page}, {{name: mail, email_configs: [{{to: a@x.test, from: r@x.test, \
         smarthost: '127.0.0.1:1', require_tls: false}}]}}]\n"
    ));
    let said = run(&folder, &["doctor"], &mask).await;
    insta::assert_snapshot!("doctor wrong", without_machine(&said));
    let said = run(&folder, &["doctor", "--receiver", "mail"], &mask).await;
    insta::assert_snapshot!("doctor used wrongly", said);
}

#[tokio::test]
async fn send_test_to_an_inbox_says_that_nobody_would_see_it() {
    let sink = Sink::start().await;
    let address = sink.url("");
    let mask = [(address.as_str(), "http://<sink>")];
    let folder = Folder::with(&format!(
        "route: {{receiver: page}}\nreceivers: [{{name: page, inbox_configs: [{{}}], webhook_configs: [{{url: \"{address}/room\"}}]}}]\n"
    ));
    let words = ["send-test", "--receiver", "page"];
    insta::assert_snapshot!("send-test inbox", run(&folder, &words, &mask).await);
    assert_eq!(
        sink.heard("alertname"),
        ["+AlertRouterTest"],
        "the others do"
    );
}

#[tokio::test]
async fn send_test_through_the_server_says_what_the_provider_answered() {
    let sink = Sink::start().await;
    let address = sink.url("");
    let folder = Folder::with(&format!(
        "route: {{receiver: room}}\nreceivers: [{{name: room one, webhook_configs: [{{url: \"{address}/room\"}}]}}, {{name: room}}]\n"
    ));
    let router = folder.start().await;
    let path = "/api/v1/receivers/room%20one/test";
    let form = async || {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = b"receiver=room+one";
        let answer = router.call("POST", "/send-test", &headers, body).await;
        answer.unwrap().body.replace(&address, "http://<sink>")
    };
    let page = router.get("/").await.body;
    assert!(page.contains("<option>room one</option>"), "{page}");
    assert!(!page.contains("<option>room</option>"), "it has no channel");

    let tested = router.ask("POST", path, "").await.unwrap();
    assert_eq!(tested.status, 200, "{tested:?}");
    assert_eq!(tested.json()["destinations"][0]["delivered"], true);
    assert_eq!(form().await, "webhook http://<sink>/…: delivered ()\n");
    assert_eq!(
        sink.heard("alertname"),
        ["+AlertRouterTest", "+AlertRouterTest"]
    );

    sink.answer("/room", 401);
    let tested = router.ask("POST", path, "").await.unwrap().json();
    let one = &tested["destinations"][0];
    assert_eq!(one["delivered"], false, "{tested}");
    assert_eq!(
        (&one["reason"], &one["code"]),
        (&"auth".into(), &"401".into())
    );
    assert!(one["fix"].is_string(), "{tested}");
    assert!(form().await.contains("not delivered: auth 401"));
    let unknown = "/api/v1/receivers/nobody/test";
    assert_eq!(router.ask("POST", unknown, "").await.unwrap().status, 404);
    assert_eq!(router.ask("GET", path, "").await.unwrap().status, 405);
}

#[tokio::test]
async fn what_is_kept() {
    let sink = Sink::start().await;
    sink.answer("/room", 400);
    let address = sink.url("");
    let folder = Folder::with(&format!(
        "route: {{receiver: room, group_wait: 50ms}}\nreceivers: [{{name: room, webhook_configs: [{{url: \"{address}/room\"}}]}}]\n"
    ));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "Disk")])]).await;
    router
        .until_metric("alert_router_dead_letters_total{receiver=\"room\"}", 1.0)
        .await;
    let letter = router.list("dead-letters").await[0].clone();
    let id = letter["id"].as_str().unwrap();
    let at = time(&letter);
    let masks = [(id, "<id>"), (&*at, "<time>"), (&*address, "http://<sink>")];
    insta::assert_snapshot!(
        "dead-letters list",
        run(&folder, &["dead-letters", "list"], &masks).await
    );
    insta::assert_snapshot!(
        "dead-letters show",
        run(&folder, &["dead-letters", "show", id], &masks).await
    );

    router.post(r#"{"version":"1","alerts":[]}"#).await;
    let kept = router.list("quarantine").await[0].clone();
    let id = kept["id"].as_str().unwrap();
    let at = time(&kept);
    let masks = [(id, "<id>"), (&*at, "<time>")];
    insta::assert_snapshot!(
        "quarantine list",
        run(&folder, &["quarantine", "list"], &masks).await
    );
    insta::assert_snapshot!(
        "quarantine show",
        run(&folder, &["quarantine", "show", id], &masks).await
    );
}

fn time(kept: &serde_json::Value) -> String {
    let millis = kept["at_ms"].as_i64().expect("milliseconds");
    jiff::Timestamp::from_millisecond(millis)
        .expect("an instant")
        .to_string()
}

#[tokio::test]
async fn starting() {
    let folder = Folder::new();
    let router = folder.start().await;
    let lines: String = router
        .said()
        .lines()
        .filter(|l| !l.starts_with('{'))
        .map(|l| format!("{l}\n"))
        .collect();
    let address = router.address().to_owned();
    let place = folder.path().display().to_string();
    insta::assert_snapshot!(
        "start",
        lines
            .replace(&address, "<address>")
            .replace(&place, "<folder>")
    );

    let words = ["serve", "--listen", "127.0.0.1:0"];
    let pid = router.pid().as_raw_nonzero().to_string();
    let masks = [(address.as_str(), "<address>"), (pid.as_str(), "<pid>")];
    insta::assert_snapshot!(
        "start in a folder in use",
        run(&folder, &words, &masks).await
    );
    let words = ["serve", "--listen", &address];
    insta::assert_snapshot!(
        "start on a port in use",
        run(&Folder::new(), &words, &masks).await
    );
    let words = ["serve", "--listen", "192.0.2.1:9095"];
    insta::assert_snapshot!(
        "start on an open address",
        run(&Folder::new(), &words, &[]).await
    );
    router.post(&body(&[])).await;
    Router::stop(router).await;
}
