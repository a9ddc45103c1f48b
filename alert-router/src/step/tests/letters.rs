//! Dead letters keep the alerts that they spoke of; those that nobody cares for go, loudly, whatever
//! the store.

use std::collections::BTreeSet;

use alert_engine::DeliveryId;

use super::*;
use crate::dead_letter::{self, DeadLetter};
use crate::store::{SqliteSettings, SqliteStore};
use crate::{id, listing};

const DAY: Duration = Duration::from_secs(86_400);

/// A letter that was given up at the start, over `store`; what is told later arrives.
async fn given_up(store: Arc<dyn Store>, clock: Arc<ManualClock>, limits: &str) -> (Bench, Server) {
    let server = Server::start(|n, _| match n {
        0 => Reply::Http("400 Bad Request", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let config = one_hook(&server) + limits;
    let materials = Materials {
        store,
        ..materials(&clock)
    };
    let mut bench = Bench::over(&config, clock, materials).await;
    bench.post("A").await;
    assert_eq!(letters(&bench).await, 1);
    (bench, server)
}

async fn letters(bench: &Bench) -> usize {
    let page = listing::page::<DeadLetter>(&*bench.step.store, None).await;
    page.unwrap().records.len()
}

/// The only letter, with its content.
async fn letter(bench: &Bench) -> DeadLetter {
    let store = &*bench.step.store;
    let page = listing::page::<DeadLetter>(store, None).await.unwrap();
    let [listed] = &page.records[..] else {
        panic!("{:?}", page.records);
    };
    assert!(listed.raw.alerts.is_empty(), "lists are short");
    let id = DeliveryId(id::read(&listed.id).unwrap());
    dead_letter::find(store, id).await.unwrap().unwrap().0
}

fn names(letter: &DeadLetter) -> Vec<&str> {
    let alerts = letter.raw.alerts.iter();
    alerts
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_letter_keeps_the_alerts_as_they_came() {
    let refused = |_, _: &_| Reply::Ok(r#"{"errcode":40058,"errmsg":"no"}"#.to_owned());
    let server = Server::start(refused).await;
    let url = server.url("/cgi-bin/");
    let mut bench = Bench::new(&format!(
        "receivers: [{{name: room, wecom_configs: [{{bot: {{key: k, api_url: '{url}'}}}}]}}]\n\
         route: {{receiver: room, group_wait: 0s}}\n"
    ))
    .await;
    let mut alert = firing(&[("alertname", "A"), ("cluster", "上海")]);
    alert["annotations"] = serde_json::json!({"summary": "disk <full>"});
    alert["generatorURL"] = "http://prometheus/graph?g0.expr=1".into();
    alert["ticket"] = 7.into();
    bench.post_alerts("prod", &[alert.clone()]).await;
    bench.pass(Duration::from_secs(1)).await;
    let mut kept = letter(&bench).await.raw.alerts;
    let fingerprint = kept[0].as_object_mut().unwrap().remove("fingerprint");
    assert!(fingerprint.is_some_and(|found| found.is_string()));
    assert_eq!(kept, [alert]);
}

#[tokio::test]
async fn a_letter_after_the_last_attempt_keeps_them_too() {
    let fails = |_, _: &_| Reply::Http("503 Service Unavailable", String::new());
    let server = Server::start(fails).await;
    let mut bench = Bench::new(&one_hook(&server)).await;
    bench.post("A").await;
    for attempt in 1..30 {
        assert_eq!(letters(&bench).await, 0, "after attempt {attempt}");
        bench.pass(Duration::from_secs(10 * 60)).await;
    }
    assert_eq!(names(&letter(&bench).await), ["A"]);
}

/// A receiver that fails whatever comes, and operators elsewhere.
fn hook_and_operators(hook: &Server, operators: &Server) -> String {
    format!(
        "operators: ops\nreceivers:\n  - {{name: hook, webhook_configs: [{{url: '{}'}}]}}\n  \
         - {{name: ops, webhook_configs: [{{url: '{}'}}]}}\n\
         route: {{receiver: hook, group_by: [alertname], group_wait: 0s}}\n",
        hook.url("/hook"),
        operators.url("/ops"),
    )
}

/// What operators were told of.
fn told(operators: &Server) -> String {
    let seen = operators.seen().into_iter();
    seen.map(|seen| seen.body).collect()
}

#[tokio::test]
async fn a_last_attempt_that_died_with_the_process_leaves_a_letter_and_a_trouble() {
    let fails = |_, _: &_| Reply::Http("503 Service Unavailable", String::new());
    let server = Server::start(fails).await;
    let operators = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&hook_and_operators(&server, &operators)).await;
    bench.post("A").await;
    for _ in 1..29 {
        bench.pass(Duration::from_secs(10 * 60)).await;
    }
    bench.clock.advance(Duration::from_secs(10 * 60));
    bench.step(Waiting::default()).await;
    assert_eq!(
        bench.step.deliveries.len(),
        1,
        "the last attempt is under way"
    );
    let bench = bench.restart().await;
    let letter = letter(&bench).await;
    assert_eq!((names(&letter), &*letter.receiver), (vec!["A"], "hook"));
    assert_eq!(letter.reason, "lapsed");
    assert!(letter.rendered.is_some(), "it can be sent again as it was");
    everybody_knows(bench, &letter, "DeliveryGivenUp", &operators).await;
}

/// The operators hear of the letter of `hook`, it is counted, and the history has it.
async fn everybody_knows(mut bench: Bench, letter: &DeadLetter, trouble: &str, operators: &Server) {
    for _ in 0..2 {
        bench.pass(Duration::from_secs(10)).await;
    }
    let told = told(operators);
    assert!(
        told.contains(trouble) && told.contains(&letter.id),
        "{told}"
    );
    let counted = bench.value("dead_letters_total{receiver=\"hook\"}");
    assert_eq!(counted, Some(1.0));
    let history = events(&bench).await.concat();
    assert!(history.contains("gave_up"), "{history}");
}

/// A receiver of two destinations.
fn hook_of(paths: &[&str], server: &Server, operators: &Server) -> String {
    let urls = paths
        .iter()
        .map(|path| format!("{{url: '{}'}}", server.url(path)));
    let urls = urls.collect::<Vec<_>>().join(", ");
    let config = hook_and_operators(server, operators);
    config.replace(&format!("{{url: '{}'}}", server.url("/hook")), &urls)
}

#[tokio::test]
async fn what_a_destination_was_owed_when_it_left_the_config_becomes_a_letter_and_a_trouble() {
    let server = Server::start(|_, seen| match seen.head.contains(" /left ") {
        true => Reply::Http("503 Service Unavailable", String::new()),
        false => Reply::Ok(String::new()),
    })
    .await;
    let operators = Server::start(|_, _| Reply::Ok(String::new())).await;
    let config = |paths: &[&str]| hook_of(paths, &server, &operators);
    let mut bench = Bench::new(&config(&["/left", "/stays"])).await;
    bench.post("A").await;
    bench.reload(&config(&["/stays"])).await;
    bench.pass(Duration::from_secs(10)).await;
    let letter = letter(&bench).await;
    assert_eq!((names(&letter), &*letter.receiver), (vec!["A"], "hook"));
    assert_eq!(letter.answer, "its receiver hook left the configuration");
    assert!(
        letter.destination.contains("127.0.0.1"),
        "{}",
        letter.destination
    );
    everybody_knows(bench, &letter, "ReceiverLeft", &operators).await;
}

#[tokio::test]
async fn what_others_hear_in_the_place_of_a_destination_that_left_is_not_given_up() {
    let server = Server::start(|_, seen| match seen.head.contains(" /left ") {
        true => Reply::Http("503 Service Unavailable", String::new()),
        false => Reply::Ok(String::new()),
    })
    .await;
    let operators = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&hook_of(&["/left"], &server, &operators)).await;
    bench.post("A").await;
    bench
        .post_alerts("prod", &[over(firing(&[("alertname", "A")]))])
        .await;
    bench.reload(&hook_of(&["/new"], &server, &operators)).await;
    for _ in 0..3 {
        bench.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(
        server.count("/new"),
        1,
        "it may have arrived nowhere, and is told as missed"
    );
    assert_eq!(letters(&bench).await, 0);
    assert!(!told(&operators).contains("ReceiverLeft"));
}

#[tokio::test]
async fn a_letter_of_a_digest_keeps_the_alerts_of_all_its_groups() {
    let full = |n, _: &_| match n {
        0..9 => Reply::Ok(r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()),
        _ => Reply::Ok(r#"{"errcode":40058,"errmsg":"no"}"#.to_owned()),
    };
    let server = Server::start(full).await;
    let url = server.url("/cgi-bin/");
    let mut bench = Bench::new(&format!(
        "receivers: [{{name: room, wecom_configs: [{{bot: {{key: k, api_url: '{url}'}}}}]}}]\n\
         route: {{receiver: room, group_by: [alertname], group_wait: 0s}}\n"
    ))
    .await;
    for n in 0..9 {
        bench.post(&format!("early {n}")).await;
    }
    let late = ["late 1", "late 2"].map(|name| firing(&[("alertname", name)]));
    bench.post_alerts("prod", &late).await;
    // One slot for two groups.
    bench.pass(Duration::from_secs(7)).await;
    let letter = letter(&bench).await;
    assert_eq!(letter.lanes.len(), 2);
    assert_eq!(
        BTreeSet::from_iter(names(&letter)),
        BTreeSet::from(["late 1", "late 2"])
    );
}

async fn goes_when_it_is_old(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (mut bench, _server) = given_up(store, clock, "limits: {dead_letters: 3d}\n").await;
    for (day, left) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
        bench.pass(DAY).await;
        assert_eq!(letters(&bench).await, left, "after {day} days");
    }
    assert_eq!(bench.value("dead_letters_swept_total"), Some(1.0));
    let told = events(&bench).await.concat();
    assert!(told.contains("swept"), "{told}");
}

#[tokio::test]
async fn a_dead_letter_in_memory_goes_when_it_is_old() {
    let clock = Arc::new(ManualClock::at(START));
    let store = MemoryStore::new(Arc::clone(&clock) as _);
    goes_when_it_is_old(Arc::new(store), clock).await;
}

#[tokio::test]
async fn a_dead_letter_on_disk_goes_when_it_is_old() {
    let clock = Arc::new(ManualClock::at(START));
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("store.db"),
        max_bytes: None,
    };
    let store = SqliteStore::open(&settings, Arc::clone(&clock) as _).unwrap();
    goes_when_it_is_old(Arc::new(store), clock).await;
}

#[tokio::test]
async fn by_default_a_dead_letter_is_kept_as_long_as_history() {
    let clock = Arc::new(ManualClock::at(START));
    let store = Arc::clone(&materials(&clock).store);
    let (mut bench, _server) = given_up(store, clock, "limits: {history: 40d}\n").await;
    bench.pass(39 * DAY).await;
    assert_eq!(letters(&bench).await, 1);
    bench.pass(DAY).await;
    assert_eq!(letters(&bench).await, 0);
}
