//! alert-router told to stop while alerts come in: whoever sends them tries again, as Alertmanager does,
//! and people hear each alert exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use stack_tests::parts::{Program, Router, Webhook, folder, tell, until};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::customers::client;
use crate::turn;

const ALERTS: usize = 120;
const PER_SECOND: u32 = 40;
/// Told to stop after so many.
const BEFORE: usize = 60;

/// More than a restart takes.
const TRIES: usize = 300;

/// How the posts of one alert went.
#[derive(Debug, Default)]
struct Posts {
    /// Nobody listened: the next try goes to whoever does.
    refused: usize,
    /// Taken and not answered, or answered with a failure.
    failed: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_router_that_stops_under_load_loses_no_alert() {
    let Some(_turn) = turn("alert-router stops under load", &[] as &[Program]).await else {
        return;
    };
    let folder = folder();
    let (port, webhook) = Router::plan("prod");
    let config = json!({
        "sources": { "prod": { "bearer_token": webhook.token } },
        "route": { "receiver": "people", "group_by": ["alertname"], "group_wait": "0s" },
        "receivers": [{ "name": "people", "inbox_configs": [{}] }],
    });
    let mut router = Router::start(folder.path(), port, &config).await;
    let (count, mut taken) = watch::channel(0);
    let (miss, mut missed) = watch::channel(0);
    let upstream = tokio::spawn(send_all(webhook, count, miss));
    let reached = taken.wait_for(|taken| *taken >= BEFORE).await;
    drop(reached.expect("alerts come"));
    tokio::task::block_in_place(|| router.terminate());
    // It would be back before the next alert comes.
    let somebody = missed.wait_for(|missed| *missed > 0).await;
    drop(somebody.expect("alerts come"));
    router.start_again().await;
    let posts = upstream.await.expect("no panic there");

    let refused: usize = posts.iter().map(|posts| posts.refused).sum();
    let failed: Vec<_> = posts.iter().flat_map(|posts| &posts.failed).collect();
    tell(&format!(
        "alert-router: {ALERTS} alerts, {refused} tries found nobody while it restarted"
    ));
    assert!(failed.is_empty(), "{failed:#?}");
    let expected: BTreeMap<String, usize> = (0..ALERTS)
        .map(|number| (format!("[prod] {}", name(number)), 1))
        .collect();
    until("each alert is heard once", async || {
        let mut heard = BTreeMap::new();
        for entry in router.list("inbox").await? {
            let title = entry["title"].as_str().unwrap_or_default().to_owned();
            *heard.entry(title).or_insert(0) += 1;
        }
        match heard == expected {
            true => Ok(()),
            false => Err(format!("{heard:?}")),
        }
    })
    .await;
}

fn name(number: usize) -> String {
    format!("Load{number:03}")
}

/// Posts each alert until it is taken, many at the same time.
async fn send_all(
    webhook: Webhook,
    count: watch::Sender<usize>,
    miss: watch::Sender<usize>,
) -> Vec<Posts> {
    let client = client();
    let mut tick = interval(Duration::from_secs(1) / PER_SECOND);
    let mut sending = JoinSet::new();
    for number in 0..ALERTS {
        tick.tick().await;
        let (client, webhook) = (client.clone(), webhook.clone());
        let (count, miss) = (count.clone(), miss.clone());
        sending.spawn(async move {
            let posts = send(&client, &webhook, &miss, number).await;
            count.send_modify(|taken| *taken += 1);
            posts
        });
    }
    sending.join_all().await
}

async fn send(
    client: &Client,
    webhook: &Webhook,
    miss: &watch::Sender<usize>,
    number: usize,
) -> Posts {
    let body = body(&name(number)).to_string();
    let mut posts = Posts::default();
    let mut again = interval(Duration::from_millis(200));
    for _ in 0..TRIES {
        again.tick().await;
        let post = client.post(&webhook.url).bearer_auth(&webhook.token);
        let post = post.header("content-type", "application/json");
        match post.body(body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => return posts,
            Ok(answer) => posts.failed.push(answer.status().to_string()),
            Err(error) if error.is_connect() => {
                posts.refused += 1;
                miss.send_modify(|missed| *missed += 1);
            }
            Err(error) => posts.failed.push(format!("{error:?}")),
        }
    }
    panic!("nobody takes alert {number}: {posts:?}");
}

/// As Alertmanager posts it.
fn body(alert: &str) -> Value {
    let labels = json!({ "alertname": alert });
    json!({
        "version": "4", "groupKey": format!("{{}}:{{alertname=\"{alert}\"}}"), "truncatedAlerts": 0,
        "status": "firing", "receiver": "router", "groupLabels": labels, "commonLabels": labels,
        "commonAnnotations": {}, "externalURL": "http://alertmanager.example.com",
        "alerts": [{
            "status": "firing", "labels": labels, "annotations": {},
            "startsAt": "2026-11-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.com/graph", "fingerprint": "",
        }],
    })
}
