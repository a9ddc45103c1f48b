//! SIGKILL at random moments: every alert that got a 2xx is heard in the end, whatever was under way.
//!
//! `CRASH_KILLS=1000 cargo test -p stack-tests --test crash` for more kills than the usual 12.

mod router;
mod sink;

use std::collections::BTreeSet;
use std::time::Duration;

use router::Router;
use sink::Sink;

/// Groups that are told apart, so that several deliveries are under way at each kill.
const GROUPS: u32 = 12;
/// How long everybody may take to hear everything after the last restart.
const ALL_HEARD_WITHIN: Duration = Duration::from_secs(60);

/// A small generator: the moments differ from run to run only if the seed does.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_alert_is_heard_after_kills_at_random_moments() {
    let kills: u32 = std::env::var("CRASH_KILLS").map_or(12, |n| n.parse().expect("a number"));
    let mut random = Random(u64::from(kills) ^ 0x5eed);
    let sink = Sink::start().await;
    let mut router = Router::start(sink.url()).await;
    let mut acknowledged = BTreeSet::new();
    let mut in_flight = 0;
    for round in 0..kills {
        // The sink answers late, so kills fall between its answer and our commit, too.
        sink.answer_after(Duration::from_millis(random.below(80)));
        let load = router.post_for(
            round,
            GROUPS,
            Duration::from_millis(200 + random.below(900)),
        );
        acknowledged.extend(load.await);
        in_flight += sink.under_way();
        router.kill_and_restart().await;
    }
    sink.answer_after(Duration::ZERO);
    let heard = sink.heard_all(&acknowledged, ALL_HEARD_WITHIN).await;
    let missing: Vec<_> = acknowledged.difference(&heard).collect();
    assert!(
        missing.is_empty(),
        "{} of {} were not heard: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    assert!(
        acknowledged.len() > kills as usize * 10,
        "only {} alerts",
        acknowledged.len()
    );
    let repeated = sink.repeated();
    assert!(
        repeated <= in_flight,
        "{repeated} deliveries were repeated, but only {in_flight} were under way at a kill"
    );
    router::say(&format!(
        "{kills} kills: {} alerts acknowledged and heard; {in_flight} deliveries under way at a kill, {repeated} repeated",
        acknowledged.len()
    ));
}
