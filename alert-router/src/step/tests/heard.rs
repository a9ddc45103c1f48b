//! What is known of who posts: from the first post on, over restarts, and for no write more.

use super::super::sources::source_key;
use super::super::upstream::Post;
use super::*;
use crate::store::{Revision, Write};
use crate::webhook::payload::Envelope;

const HOUR: Duration = Duration::from_secs(3_600);

fn prod() -> SourceName {
    SourceName::new("prod")
}

/// One alert of a body that upstream cut.
fn cut(name: &str) -> Batch {
    let mut batch = batch(&[firing(&[("alertname", name)])]);
    batch.envelope.truncated = 5;
    batch
}

async fn bench() -> (Bench, Server) {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let config = one_hook(&server).replace("silent_after: 10m", "");
    (Bench::new(&config).await, server)
}

impl Bench {
    fn known(&self) -> Known {
        let mut all = self.step.sources.all(self.clock.now());
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn advised(&self) -> Vec<&'static str> {
        let advice = self.known().advice;
        advice.iter().map(|advice| advice.key).collect()
    }

    async fn stored(&self) -> Revision {
        let keys = vec![source_key(&prod())];
        let docs = self.materials.store.load(keys).await.unwrap().docs;
        docs[0].as_ref().expect("it is stored").revision
    }
}

#[tokio::test]
async fn a_source_is_greeted_with_its_first_post_and_known_after_a_restart() {
    let (mut bench, _server) = bench().await;
    let alerts = ["A", "B"].map(|name| firing(&[("alertname", name)]));
    bench.post_alerts("prod", &alerts).await;
    bench.post("C").await;
    let first = bench.known().upstream.first.unwrap();
    assert_eq!((first.at(), first.alerts, first.groups), (START, 2, 2));
    assert_eq!(bench.known().upstream.posts, 2);
    bench.post_batch(prod(), cut("C")).await;
    assert_eq!(bench.advised(), ["max_alerts"]);
    bench.pass(HOUR * 2).await;
    bench.post("C").await;
    let mut bench = bench.restart().await;
    bench.post("D").await;
    assert_eq!(bench.known().upstream.first, Some(first));
    assert_eq!(bench.advised(), ["max_alerts"]);
    assert!(bench.known().upstream.is_new(START + HOUR * 23));
    assert!(!bench.known().upstream.is_new(START + HOUR * 24));
}

#[tokio::test]
async fn what_a_post_shows_of_its_source_costs_no_write() {
    let (mut bench, _server) = bench().await;
    bench.post("A").await;
    let written = bench.stored().await;
    for _ in 0..3 {
        bench.pass(HOUR / 4).await;
        bench.post_batch(prod(), cut("A")).await;
        bench
            .post_alerts("prod", &[over(firing(&[("alertname", "A")]))])
            .await;
    }
    assert_eq!(bench.stored().await, written);
    bench.pass(HOUR / 2).await;
    bench.post("A").await;
    assert!(bench.stored().await > written, "an eighth of 8 h is over");
}

#[tokio::test]
async fn a_source_of_an_earlier_version_is_no_new_one() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let clock = Arc::new(ManualClock::at(START));
    let materials = materials(&clock);
    let before = START.as_millis() - 60_000;
    let old = serde_json::json!({"name": "prod", "last_ms": before, "alive_since_ms": before,
        "repeats_every_ms": 14_400_000, "silent": false, "external_url": "http://am"});
    let write = Write::Put {
        key: source_key(&prod()),
        expected: Revision::NONE,
        wake_at: None,
        bytes: old.to_string().into(),
    };
    materials.store.commit(vec![write.into()]).await.unwrap();
    let mut bench = Bench::over(&one_hook(&server), clock, materials).await;
    bench.post("A").await;
    let known = bench.known();
    assert_eq!(known.external_url, "http://am");
    assert_eq!((known.upstream.first, known.upstream.posts), (None, 1));
}

#[tokio::test]
async fn ends_that_its_alertmanager_never_tells_show_that_it_does_not_send_them() {
    let (mut bench, _server) = bench().await;
    for hours in (0..=190).step_by(5) {
        match hours {
            0 | 25 | 50 => bench.post(&format!("A{hours}")).await,
            _ => bench.post("Watchdog").await,
        }
        let closed = hours >= 50 + 130;
        let advised: &[&str] = if closed { &["send_resolved"] } else { &[] };
        assert_eq!(bench.advised(), advised, "after {hours} h");
        bench.pass(HOUR * 5).await;
    }
    let watchdog = firing(&[("alertname", "Watchdog")]);
    bench.post_alerts("prod", &[over(watchdog)]).await;
    assert_eq!(bench.advised(), [""; 0]);
}

#[tokio::test]
async fn a_source_that_repeats_itself_every_12_hours_is_not_silent_in_between() {
    let (mut bench, _server) = bench().await;
    let silent = "source_silent{source=\"prod\"}";
    bench.post("A").await;
    let mut called = Vec::new();
    for _ in 0..6 {
        bench.pass(HOUR * 9).await;
        called.push(bench.value(silent));
        bench.pass(HOUR * 3).await;
        bench.post("A").await;
    }
    let (before, measured) = (Some(1.0), Some(0.0));
    let expected = [before, before, measured, measured, measured, measured];
    assert_eq!(called, expected, "two pauses show the interval");
    assert_eq!(bench.known().silent_after, HOUR * 24);
    let mut bench = bench.restart().await;
    assert_eq!(bench.known().silent_after, HOUR * 24, "it is stored");
    bench.pass(HOUR * 23).await;
    assert_eq!(bench.value(silent), Some(0.0));
    bench.pass(HOUR).await;
    assert_eq!(bench.value(silent), Some(1.0));
}

#[tokio::test]
async fn an_odd_field_of_a_source_is_named_once() {
    let (mut bench, _server) = bench().await;
    bench.post("A").await;
    let envelope = Envelope {
        odd: vec!["truncatedAlerts"],
        ..Envelope::default()
    };
    let post = Post {
        envelope: &envelope,
        alerts: 1,
        resolved: false,
        groups: 1,
        says: 0,
    };
    let mut named = || bench.step.sources.learn(&prod(), &post, START).odd;
    assert_eq!([named(), named()], [vec!["truncatedAlerts"], vec![]]);
}
