//! More destinations are due at once than this process may talk to at once.

use super::*;

/// How many may be under way: in these tests few.
const MOST: usize = 8;

/// One destination for each alert.
fn destinations(server: &Server, count: usize) -> String {
    let url = |n: usize| server.url(&format!("/d{n}."));
    let receiver = |n| {
        format!(
            "  - {{name: d{n}, webhook_configs: [{{url: '{}'}}]}}\n",
            url(n)
        )
    };
    let route = |n| format!("    - {{receiver: d{n}, matchers: [n=\"{n}\"]}}\n");
    let receivers: String = (0..count).map(receiver).collect();
    let routes: String = (0..count).map(route).collect();
    format!("receivers:\n{receivers}route:\n  receiver: d0\n  group_wait: 0s\n  routes:\n{routes}")
}

fn alert(n: usize, severity: &str) -> serde_json::Value {
    firing(&[
        ("alertname", "A"),
        ("n", &n.to_string()),
        ("severity", severity),
    ])
}

async fn bench(server: &Server, count: usize) -> Bench {
    let mut bench = Bench::new(&destinations(server, count)).await;
    bench.step.places = Places::of(MOST);
    bench
}

/// Takes alerts in, and returns how many deliveries are under way then.
async fn take_in(bench: &mut Bench, alerts: &[serde_json::Value]) -> usize {
    bench.take_in(SourceName::new("prod"), batch(alerts)).await;
    bench.step.deliveries.len()
}

#[tokio::test]
async fn what_finds_no_place_waits_for_one_and_fails_never() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = bench(&server, 30).await;
    let alerts: Vec<_> = (0..30).map(|n| alert(n, "warning")).collect();
    assert_eq!(take_in(&mut bench, &alerts).await, MOST - 1);
    for wave in 1..=5 {
        bench.answers().await;
        assert_eq!(server.seen().len(), 30.min(wave * (MOST - 1)));
        let wake = bench.wake.filter(|_| wave < 5);
        bench
            .clock
            .advance(wake.map_or(Duration::ZERO, |at| at.since(bench.clock.now())));
        bench.step(Waiting::default()).await;
    }
    for n in 0..30 {
        assert_eq!(server.count(&format!("/d{n}.")), 1, "d{n}");
    }
    let text = bench.step.metrics.render();
    let failures = text
        .lines()
        .filter(|line| line.contains("delivery_failures_total{"));
    let failed: Vec<&str> = failures.filter(|line| !line.ends_with(" 0")).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn prioritised_ones_find_a_place_first_and_when_others_hold_all_of_theirs() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = bench(&server, 12).await;
    let severity = |n| if n == 10 { "critical" } else { "warning" };
    let alerts: Vec<_> = (0..11).map(|n| alert(n, severity(n))).collect();
    assert_eq!(take_in(&mut bench, &alerts).await, MOST - 1);
    assert_eq!(take_in(&mut bench, &[alert(11, "critical")]).await, MOST);
    bench.answers().await;
    assert_eq!(server.seen().len(), MOST);
    assert_eq!([10, 11].map(|n| server.count(&format!("/d{n}."))), [1, 1]);
}
