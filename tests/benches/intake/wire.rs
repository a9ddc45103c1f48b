//! From a webhook's first byte to the notification at its receiver, with `group_wait: 0s`, at a
//! hundred notifications a second: each alert is a group of its own, so each is one notification.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use super::alertmanager;
use super::alerts::{Api, now};
use super::load::{instant, post_body};
use super::server::Server;
use super::table::Table;

const PER_SECOND: u32 = 100;
const NOTIFICATIONS: usize = 1_500;
/// The first ones warm up connections and files.
const WARM: usize = 100;
const TARGET: Duration = Duration::from_millis(50);
/// When all must have arrived after the last was sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who was told what, and when.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<BTreeMap<usize, Instant>>>);

/// How long notifications took, in order.
struct Latencies(Vec<Duration>);

pub(crate) async fn measure(table: &mut Table) -> Result<(), String> {
    let peer = {
        let sink = Sink::default();
        let config = config(&sink.listen().await?, "send_resolved: false, ");
        match alertmanager(&config).await {
            Some(server) => Some(run(&server, Api::Alertmanager, &sink).await?),
            None => None,
        }
    };
    let sink = Sink::default();
    let server = Server::router(&config(&sink.listen().await?, "")).await?;
    let ours = run(&server, Api::Webhook, &sink).await?;
    for (name, share) in [("p50", 50), ("p99", 99)] {
        let of_peer = peer.as_ref().map(|peer| peer.percentile(share));
        let (took, target) = (ours.percentile(share), TARGET);
        let ratio = of_peer.map(|of_peer| of_peer.as_secs_f64() / took.as_secs_f64());
        println!("{name}: router {took:?}, Alertmanager {of_peer:?}, times faster: {ratio:.2?}");
        let aimed = share == 99;
        table.row(
            format!("webhook to wire at {PER_SECOND}/s, {name}"),
            if aimed { "<= 50 ms" } else { "-" },
            format!("{:.1} ms", took.as_secs_f64() * 1e3),
            of_peer.map(|of_peer| format!("{:.1} ms", of_peer.as_secs_f64() * 1e3)),
            aimed.then_some(took <= target),
        );
    }
    Ok(())
}

async fn run(server: &Server, api: Api, sink: &Sink) -> Result<Latencies, String> {
    let mut sent = Vec::with_capacity(NOTIFICATIONS);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..NOTIFICATIONS {
        ticks.tick().await;
        let mut stream = server.connect().await?;
        let (path, body) = (server.path(api), body(api, number));
        sent.push(instant());
        requests.spawn(async move { post_body(&mut stream, path, &body).await });
    }
    while let Some(answer) = requests.join_next().await {
        answer.map_err(|error| error.to_string())??;
    }
    sink.has(NOTIFICATIONS).await?;
    let told = sink.0.lock().map_err(|_| "a panic in the sink")?;
    let took = sent.iter().enumerate().skip(WARM);
    let took = took.filter_map(|(number, sent)| Some(*told.get(&number)? - *sent));
    let mut took: Vec<Duration> = took.collect();
    took.sort_unstable();
    Ok(Latencies(took))
}

/// One alert that is a group of its own.
fn body(api: Api, number: usize) -> String {
    let start = now();
    let alert = format!(
        r#""labels":{{"alertname":"Wire{number}","instance":"10.0.0.1:8080","severity":"warning"}},"annotations":{{"summary":"the error rate is above its objective"}},"startsAt":"{start}""#
    );
    match api {
        Api::Webhook => format!(
            r#"{{"version":"4","status":"firing","alerts":[{{"status":"firing",{alert},"endsAt":"0001-01-01T00:00:00Z"}}]}}"#
        ),
        Api::Alertmanager => format!("[{{{alert}}}]"),
    }
}

fn config(sink: &str, more: &str) -> String {
    format!(
        "route: {{receiver: sink, group_by: [alertname], group_wait: 0s, group_interval: 5m}}\n\
         receivers: [{{name: sink, webhook_configs: [{{{more}url: \"{sink}\"}}]}}]\n"
    )
}

impl Latencies {
    fn percentile(&self, share: usize) -> Duration {
        let at = self.0.len() * share / 100;
        self.0.get(at).copied().unwrap_or(Duration::MAX)
    }
}

impl Sink {
    /// Listens; returns its URL.
    async fn listen(&self) -> Result<String, String> {
        let app = axum::Router::new()
            .route("/", post(tell))
            .with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(format!("http://{address}/"))
    }

    /// Returns when it was told all.
    async fn has(&self, count: usize) -> Result<(), String> {
        let told = || self.0.lock().map_or(0, |told| told.len());
        let all = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while told() < count {
                ticks.tick().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, all).await;
        in_time.map_err(|_| format!("only {} of {count} notifications arrived", told()))
    }
}

async fn tell(State(sink): State<Sink>, body: String) {
    let at = instant();
    let numbers = body.split("\"alertname\":\"Wire").skip(1);
    let numbers = numbers.filter_map(|rest| rest.split('"').next()?.parse().ok());
    if let Ok(mut told) = sink.0.lock() {
        for number in numbers {
            told.entry(number).or_insert(at);
        }
    }
}
