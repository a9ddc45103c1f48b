//! The step against a provider that answers as told, on a clock that only the test moves: what
//! `/metrics` says while something waits.

mod busy;
mod heard;
mod letters;
mod mail;
mod places;
mod spans;
mod troubles;
mod wecom;

use tracing::Instrument;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::config::{Config, Flags, Outside};
use crate::receiver::scripted::{Reply, Server};
use crate::receiver::{AccessTokens, Materials};
use crate::render::Renderer;
use crate::store::MemoryStore;
use crate::webhook::payload::{BodyLimits, parse};

struct Bench {
    step: Step,
    handle: StepHandle,
    clock: Arc<ManualClock>,
    materials: Materials,
    plans: watch::Sender<Arc<Plan>>,
    wake: Option<Timestamp>,
}

/// When a bench begins.
const START: Timestamp = Timestamp::from_millis(1_767_268_800_000);

impl Bench {
    async fn new(config: &str) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let materials = materials(&clock);
        Self::over(config, clock, materials).await
    }

    async fn over(config: &str, clock: Arc<ManualClock>, materials: Materials) -> Self {
        let plans = watch::channel(Arc::new(plan(config, &materials))).0;
        Self::open(clock, materials, plans, Incarnation(1)).await
    }

    /// The next process over the same store; what was under way is lost.
    async fn restart(self) -> Self {
        let next = Incarnation(self.step.incarnation.0 + 1);
        Self::open(self.clock, self.materials, self.plans, next).await
    }

    async fn open(
        clock: Arc<ManualClock>,
        materials: Materials,
        plans: watch::Sender<Arc<Plan>>,
        incarnation: Incarnation,
    ) -> Self {
        let deps = Deps {
            store: Arc::clone(&materials.store),
            plan: plans.subscribe(),
            metrics: Arc::default(),
            incarnation,
            owners: Owners::Only(incarnation),
            changes: watch::channel(0).0,
        };
        let (step, handle) = Step::open(deps).await.unwrap();
        let wake = Some(clock.now());
        let mut bench = Self {
            step,
            handle,
            clock,
            materials,
            plans,
            wake,
        };
        bench.step(Waiting::default()).await;
        bench
    }

    async fn step(&mut self, mut work: Waiting) {
        self.step.gather(&mut work);
        self.wake = self.step.once(work, self.clock.now(), self.wake).await;
    }

    /// Posts one firing alert of source `prod`, and does what is due at once.
    async fn post(&mut self, name: &str) {
        self.post_as("prod", name).await;
    }

    async fn post_as(&mut self, source: &str, name: &str) {
        self.post_alerts(source, &[firing(&[("alertname", name)])])
            .await;
    }

    async fn post_alerts(&mut self, source: &str, alerts: &[serde_json::Value]) -> Taken {
        self.post_batch(SourceName::new(source), batch(alerts))
            .await
    }

    async fn post_batch(&mut self, source: SourceName, batch: Batch) -> Taken {
        let taken = self.take_in(source, batch).await;
        self.answers().await;
        taken
    }

    /// Posts a batch, and leaves the deliveries of what is due at once under way.
    async fn take_in(&mut self, source: SourceName, batch: Batch) -> Taken {
        let handle = self.handle.clone();
        let taken = async move { handle.observe(source, batch).await };
        let taken = tokio::spawn(taken.in_current_span());
        let command = self.step.commands.recv().await.unwrap();
        let mut work = Waiting::default();
        work.add(command);
        self.step(work).await;
        taken.await.unwrap().unwrap()
    }

    /// Lets all deliveries under way end, and steps over what became of them.
    async fn answers(&mut self) {
        while let Some(ended) = self.step.deliveries.join_next().await {
            let mut work = Waiting::default();
            work.ended.push(ended.unwrap());
            self.step(work).await;
        }
    }

    async fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.step(Waiting::default()).await;
        self.answers().await;
    }

    async fn reload(&mut self, config: &str) {
        self.plans
            .send_replace(Arc::new(plan(config, &self.materials)));
        self.step.plan.changed().await.unwrap();
        self.step.adopt_plan();
        self.step(Waiting::default()).await;
    }

    /// The value of a series, without the name's prefix; `None` if it does not exist.
    fn value(&self, series: &str) -> Option<f64> {
        let text = self.step.metrics.render();
        let series = format!("alert_router_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series))?;
        Some(value.parse().unwrap())
    }
}

fn batch(alerts: &[serde_json::Value]) -> Batch {
    let body = serde_json::json!({"alerts": alerts});
    let body = bytes::Bytes::from(body.to_string());
    parse(&body, &Default::default(), &BodyLimits::default()).unwrap()
}

/// An alert that fires.
fn firing(labels: &[(&str, &str)]) -> serde_json::Value {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    serde_json::json!({"status": "firing", "labels": labels, "annotations": {},
        "startsAt": "2026-01-01T11:59:00Z", "endsAt": "0001-01-01T00:00:00Z"})
}

/// The same alert, over.
fn over(mut alert: serde_json::Value) -> serde_json::Value {
    alert["status"] = "resolved".into();
    alert["endsAt"] = "2026-01-01T12:00:00Z".into();
    alert
}

/// Over an empty store.
pub(crate) fn materials(clock: &Arc<ManualClock>) -> Materials {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    Materials {
        renderer: Arc::new(Renderer::built_in()),
        store: Arc::new(MemoryStore::new(Arc::clone(&clock))),
        clock,
        tokens: AccessTokens::default(),
    }
}

pub(crate) fn plan(config: &str, materials: &Materials) -> Plan {
    let outside = Outside {
        env: &|_| None,
        read: &|_| unreachable!("no file is named"),
    };
    let file = std::path::Path::new("test.yaml");
    let config = Config::parse(file, config, &Flags::default(), &outside).unwrap();
    Plan::new(config, materials).unwrap()
}

fn one_hook(server: &Server) -> String {
    let url = server.url("/hook");
    format!(
        "receivers:\n  - name: hook\n    webhook_configs: [{{url: '{url}'}}]\n\
         route: {{receiver: hook, group_by: [alertname], group_wait: 0s}}\n\
         sources:\n  prod: {{silent_after: 10m}}\n"
    )
}

#[tokio::test]
async fn a_blocked_destination_shows_until_it_answers() {
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("401 Unauthorized", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let config = one_hook(&server);
    let mut bench = Bench::new(&config).await;
    let destination = bench.step.plan.borrow().outlets_of("hook")[0]
        .receiver
        .destination()
        .label
        .clone();
    let blocked = format!(
        "destination_blocked{{channel=\"webhook\",destination=\"{destination}\",receiver=\"hook\"}}"
    );
    assert_eq!(bench.value(&blocked), Some(0.0));
    let heard = "time_to_heard_seconds_count{priority=\"normal\",receiver=\"hook\"}";
    assert_eq!(
        bench.value(heard),
        Some(0.0),
        "the first one is an increase"
    );
    bench.post("A").await;
    assert_eq!(bench.value(&blocked), Some(1.0));
    let waiting = "lanes_waiting{receiver=\"hook\",why=\"slot\"}";
    bench.post("B").await;
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(
        bench.value(waiting),
        Some(2.0),
        "{}",
        bench.step.metrics.render()
    );
    bench.reload(&config).await;
    assert_eq!(
        bench.value(&blocked),
        Some(1.0),
        "a reload mends nothing, but lets one try"
    );
    bench.answers().await;
    assert_eq!(bench.value(&blocked), Some(0.0));
    bench.answers().await;
    assert_eq!(
        bench.value(waiting),
        Some(0.0),
        "the others wait no longer than the probe"
    );
    assert_eq!(
        server.count("/hook"),
        3,
        "the refused one, the probe, the rest"
    );
}

#[tokio::test]
async fn the_first_failure_of_a_receiver_is_an_increase() {
    let server = Server::start(|_, _| Reply::Http("503 Service Unavailable", String::new())).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    let of = |reason| {
        format!(
            "delivery_failures_total{{channel=\"webhook\",reason=\"{reason}\",receiver=\"hook\"}}"
        )
    };
    for reason in ["auth", "connect", "http_status", "timeout"] {
        assert_eq!(bench.value(&of(reason)), Some(0.0), "{reason}");
    }
    assert_eq!(
        bench.value(&of("too_many_recipients")),
        None,
        "of mails only"
    );
    bench.post("A").await;
    assert_eq!(bench.value(&of("http_status")), Some(1.0));
}

#[tokio::test]
async fn receivers_of_one_destination_show_its_circuit_alike() {
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("401 Unauthorized", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let url = server.url("/hook");
    let config = format!(
        "receivers:\n  - {{name: a, webhook_configs: [{{url: '{url}'}}]}}\n  - {{name: b, webhook_configs: [{{url: '{url}'}}]}}\n\
         route: {{receiver: a, group_by: [alertname], group_wait: 0s, routes: [{{receiver: b, matchers: [alertname=B]}}]}}\n"
    );
    let mut bench = Bench::new(&config).await;
    let shown = |bench: &Bench| -> Vec<String> {
        let text = bench.step.metrics.render();
        let lines = text.lines().filter(|l| l.contains("destination_blocked{"));
        let tail = |line: &str| line.rsplit("receiver=").next().unwrap().to_owned();
        lines.map(tail).collect()
    };
    assert_eq!(shown(&bench), ["\"a\"} 0", "\"b\"} 0"]);
    bench.post("A").await;
    assert_eq!(shown(&bench), ["\"a\"} 1", "\"b\"} 1"]);
    bench.post("B").await;
    bench.pass(Duration::from_secs(16 * 60)).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(shown(&bench), ["\"a\"} 0", "\"b\"} 0"]);
    let heard = |receiver| {
        format!("time_to_heard_seconds_count{{priority=\"normal\",receiver=\"{receiver}\"}}")
    };
    assert_eq!(["a", "b"].map(|r| bench.value(&heard(r))), [Some(1.0); 2]);
}

#[tokio::test]
async fn a_destination_that_left_the_config_leaves_the_metrics() {
    let server = Server::start(|_, _| Reply::Http("401 Unauthorized", String::new())).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    bench.post("A").await;
    assert!(bench.step.metrics.render().contains("receiver=\"hook\"} 1"));
    bench
        .reload("receivers: [{name: page, inbox_configs: [{}]}]\nroute: {receiver: page}\n")
        .await;
    let text = bench.step.metrics.render();
    let blocked = text
        .lines()
        .filter(|line| line.contains("destination_blocked{"));
    let blocked: Vec<&str> = blocked.collect();
    assert!(
        blocked.iter().all(|line| !line.contains("hook")),
        "{blocked:?}"
    );
}

#[tokio::test]
async fn the_oldest_news_tells_since_when_people_wait() {
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("503 Service Unavailable", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    let oldest = "oldest_waiting_timestamp_seconds{receiver=\"hook\"}";
    let retry = "lanes_waiting{receiver=\"hook\",why=\"retry\"}";
    let now = bench.clock.now().as_millis() as f64 / 1000.0;
    bench.post("A").await;
    assert_eq!(bench.value(retry), Some(1.0));
    assert_eq!(bench.value(oldest), Some(now));
    bench.pass(Duration::from_secs(600)).await;
    assert_eq!(bench.value(retry), Some(0.0));
    assert_eq!(bench.value(oldest), Some(0.0));
}

#[tokio::test]
async fn a_silent_source_shows_until_it_speaks_again() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    bench.post("A").await;
    let silent = "source_silent{source=\"prod\"}";
    bench.pass(Duration::from_secs(11 * 60)).await;
    assert_eq!(bench.value(silent), Some(1.0));
    bench.post("B").await;
    assert_eq!(bench.value(silent), Some(0.0));
}

/// The names of all events so far, oldest first.
async fn events(bench: &Bench) -> Vec<String> {
    let query = crate::store::HistoryQuery {
        limit: 100,
        ..Default::default()
    };
    let page = bench.materials.store.history(query).await.unwrap();
    let events = page.records.iter().rev().flat_map(|record| {
        let events: Vec<serde_json::Value> = serde_json::from_slice(&record.bytes).unwrap();
        events
    });
    events
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_source_that_got_a_name_is_the_one_that_it_was() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let before = one_hook(&server).replace("prod: {silent", "other: {silent");
    let mut bench = Bench::new(&before).await;
    bench.post_as("default", "A").await;
    let renamed = one_hook(&server).replace("{silent", "{formerly: [default], silent");
    bench.reload(&renamed).await;
    bench.post_as("prod", "A").await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(server.count("/hook"), 1, "nobody is told twice");
    // An alert of the old URL is one of the new URL, too.
    bench.post_as("prod", "B").await;
    bench.post_as("default", "B").await;
    assert_eq!(server.count("/hook"), 2);
}

#[tokio::test]
async fn history_tells_where_alerts_went_after_a_reload() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    bench.post("A").await;
    let together = one_hook(&server).replace("group_by: [alertname]", "group_by: []");
    bench.reload(&together).await;
    bench.pass(Duration::from_secs(1)).await;
    let events = events(&bench).await;
    for event in ["config", "joined", "moved"] {
        assert!(
            events.iter().any(|e| e == event),
            "no {event} in {events:?}"
        );
    }
    assert_eq!(server.count("/hook"), 1, "nobody is told twice");
}

#[tokio::test]
async fn a_reload_moves_the_alerts_of_more_groups_than_a_page_has() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let routes = |order: [&str; 3]| {
        let routes = order.map(|label| format!("{{matchers: [{label}=y]}}"));
        let routes = format!("group_wait: 0s, routes: [{}]}}", routes.join(", "));
        one_hook(&server).replace("group_wait: 0s}", &routes)
    };
    let mut bench = Bench::new(&routes(["a", "b", "c"])).await;
    let names: Vec<String> = (0..60).map(|n| format!("A{n}")).collect();
    for labels in [["a", "b"], ["b", "c"]] {
        let alert = |name: &String| {
            let [first, second] = labels;
            firing(&[("alertname", name), (first, "y"), (second, "y")])
        };
        let alerts: Vec<_> = names.iter().map(alert).collect();
        bench.post_alerts("prod", &alerts).await;
    }
    // Each of the first moves to where one of the second lives, which moves on.
    bench.reload(&routes(["c", "b", "a"])).await;
    bench.pass(Duration::ZERO).await;
    bench.pass(Duration::ZERO).await;
    let scan = crate::store::Scan {
        kind: crate::store::Kind::Group,
        after: Default::default(),
        limit: 1_000,
    };
    let found = bench.materials.store.scan(scan).await.unwrap();
    let groups = found.docs.iter().flatten();
    let alerts = groups.map(|doc| groups::read_group(doc).unwrap().alerts.len());
    assert_eq!(alerts.collect::<Vec<_>>(), [1; 120]);
}

/// Two label names with the same FNV-1a.
const TWINS: [&str; 2] = ["8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"];

async fn strangers_with_one_fingerprint(together: bool) {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&one_hook(&server).replace("[alertname]", "['...']")).await;
    let [a, b] = TWINS.map(|twin| firing(&[(twin, "x"), ("alertname", "A")]));
    if together {
        bench.post_alerts("prod", &[a.clone(), b.clone()]).await;
    } else {
        bench.post_alerts("prod", std::slice::from_ref(&a)).await;
        // As after a restart: whose the fingerprint is stands in the store only.
        bench.step.identities = identity::Identities::default();
        bench.post_alerts("prod", std::slice::from_ref(&b)).await;
    }
    let fires = |twin: &str| {
        let of_twin = |seen: &crate::receiver::scripted::Seen| seen.body.contains(twin);
        let told: Vec<_> = server.seen().into_iter().filter(of_twin).collect();
        told.last()
            .map(|it| it.body.contains("\"status\":\"firing\""))
    };
    assert_eq!(TWINS.map(fires), [Some(true), Some(true)]);
    // The end of one is not the end of the other.
    bench.post_alerts("prod", &[over(a)]).await;
    bench.pass(Duration::from_secs(600)).await;
    assert_eq!(TWINS.map(fires), [Some(false), Some(true)]);
    bench.post_alerts("prod", std::slice::from_ref(&b)).await;
    bench.post_alerts("prod", &[over(b)]).await;
    bench.pass(Duration::from_secs(600)).await;
    assert_eq!(TWINS.map(fires), [Some(false), Some(false)]);
    assert_eq!(server.count("/hook"), 4);
}

#[tokio::test]
async fn alerts_with_one_fingerprint_and_other_labels_stay_two() {
    strangers_with_one_fingerprint(false).await;
}

#[tokio::test]
async fn alerts_with_one_fingerprint_stay_two_in_one_request() {
    strangers_with_one_fingerprint(true).await;
}

#[tokio::test]
async fn operators_never_hear_of_a_destination_through_itself() {
    let broken = Server::start(|n, _| match n {
        0 => Reply::Http("401 Unauthorized", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let sound = Server::start(|_, _| Reply::Ok(String::new())).await;
    let (a, b) = (broken.url("/a"), sound.url("/b"));
    let config = format!(
        "operators: ops\nreceivers:\n  - name: ops\n    webhook_configs: [{{url: '{a}'}}, {{url: '{b}'}}]\n\
         route: {{receiver: ops, group_wait: 0s}}\n"
    );
    let mut bench = Bench::new(&config).await;
    bench.post("A").await;
    let told = |server: &Server| {
        let seen = server.seen();
        let about = seen
            .iter()
            .filter(|it| it.body.contains("DestinationBlocked"));
        let ends = about
            .clone()
            .filter(|it| it.body.contains("\"status\":\"resolved\""));
        (about.count(), ends.count())
    };
    for _ in 0..4 {
        bench.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(told(&sound), (1, 0));
    for _ in 0..40 {
        bench.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(told(&sound), (2, 1), "its end is told, too");
    assert_eq!(told(&broken), (0, 0));
    assert_eq!(broken.count("/a"), 2, "the alert, refused and then taken");
}

#[tokio::test]
async fn an_alert_that_its_group_has_no_room_for_is_handed_back() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let config = one_hook(&server);
    let mut bench = Bench::new(&config).await;
    let alert = |number: usize| firing(&[("alertname", "A"), ("number", &number.to_string())]);
    let most = alert_engine::limits::ALERTS_PER_GROUP;
    let all: Vec<serde_json::Value> = (0..most).map(alert).collect();
    let taken = bench.post_alerts("prod", &all).await;
    assert_eq!((taken.changed, taken.refused.len()), (most, 0));
    let taken = bench.post_alerts("prod", &[alert(0), alert(most)]).await;
    assert_eq!((taken.unchanged, taken.refused.len()), (1, 1));
    assert_eq!(taken.refused[0].index, 1);
    let raw = String::from_utf8_lossy(&taken.refused[0].raw);
    assert!(raw.contains("\"20000\""), "{raw}");
    assert_eq!(bench.value("group_full_total"), Some(1.0));
}
