//! A disk that is full, and a process that is killed.

use rustix::process::{Resource, Rlimit, prlimit};

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;

fn config(sink: &Sink, wait: &str) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: {wait}, group_interval: 100ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    )
}

/// No file of the router may grow, as on a full disk; or all may again.
fn disk_is_full(router: &Router, full: bool) {
    let before = prlimit(
        Some(router.pid()),
        Resource::Fsize,
        Rlimit {
            current: None,
            maximum: None,
        },
    );
    let maximum = before.expect("it runs").maximum;
    let current = if full { Some(0) } else { maximum };
    prlimit(
        Some(router.pid()),
        Resource::Fsize,
        Rlimit { current, maximum },
    )
    .expect("it runs");
}

#[tokio::test]
async fn f08_a_full_disk_is_503_and_the_retry_succeeds_once() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "50ms"));
    // A file over its limit is a signal, too.
    let router = folder.start().await;
    disk_is_full(&router, true);
    let alert = body(&[firing(&[("alertname", "A")])]);
    for posted in [alert.as_str(), "unreadable", alert.as_str()] {
        let answer = router.post(posted).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.json()["status"], "unavailable", "{answer:?}");
    }
    assert_eq!(router.get("/-/healthy").await.status, 200);
    let unavailable = "alert_router_webhook_requests_total{outcome=\"unavailable\"}";
    assert_eq!(router.metric(unavailable).await, 3.0);

    disk_is_full(&router, false);
    let retried = router.post(&alert).await;
    assert_eq!(
        (retried.status, &retried.json()["changed"]),
        (200, &1.into()),
        "{retried:?}"
    );
    sink.until_heard("alertname", "+A").await;
    router.take(&[firing(&[("alertname", "Marker")])]).await;
    sink.until_heard("alertname", "+Marker").await;
    assert_eq!(sink.heard("alertname"), ["+A", "+Marker"]);
}

/// The process could go on writing to a file that is in no folder, and all would be gone with it.
#[tokio::test]
async fn a_store_that_somebody_removed_takes_nothing_more() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "50ms"));
    let router = folder.start().await;
    let alert = body(&[firing(&[("alertname", "A")])]);
    assert_eq!(router.post(&alert).await.status, 200);
    let data = folder.path().join("data");
    let aside = folder.path().join("aside");
    std::fs::rename(&data, &aside).unwrap();
    let answer = router.post(&body(&[firing(&[("alertname", "B")])])).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let ready = router.get("/-/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("put its folder back"), "{ready:?}");
    std::fs::rename(&aside, &data).unwrap();
    assert_eq!(router.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn f25_what_got_a_2xx_is_heard_after_a_kill_before_its_delivery() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "2s"));
    let router = folder.start().await;
    router.take(&[firing(&[("alertname", "A")])]).await;
    router.kill().await;
    assert_eq!(
        sink.messages().len(),
        0,
        "it was killed before the group spoke"
    );
    let router = folder.start().await;
    sink.until_heard("alertname", "+A").await;
    router.take(&[firing(&[("alertname", "Marker")])]).await;
    sink.until_heard("alertname", "+Marker").await;
    assert_eq!(sink.heard("alertname"), ["+A", "+Marker"]);
}
