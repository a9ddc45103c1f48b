//! Our own troubles: when operators hear of them, and of their ends.

use super::*;

/// One destination that answers 401 so often, and operators elsewhere.
struct Blocked {
    bench: Bench,
    _broken: Server,
    operators: Server,
}

impl Blocked {
    async fn new(refusals: usize) -> Self {
        let broken = Server::start(move |n, _| match n < refusals {
            true => Reply::Http("401 Unauthorized", String::new()),
            false => Reply::Ok(String::new()),
        })
        .await;
        let operators = Server::start(|_, _| Reply::Ok(String::new())).await;
        let (a, b) = (broken.url("/a"), operators.url("/b"));
        let config = format!(
            "operators: ops\nreceivers:\n  - name: hook\n    webhook_configs: [{{url: '{a}'}}]\n  \
             - name: ops\n    webhook_configs: [{{url: '{b}'}}]\n\
             route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\n"
        );
        Self {
            bench: Bench::new(&config).await,
            _broken: broken,
            operators,
        }
    }

    /// As a router that died before it told of its troubles, and started again.
    async fn forget_and_start(&mut self) {
        self.bench.step.troubles.clear();
        self.bench.step.circuits_shown = false;
        for _ in 0..3 {
            self.bench.pass(Duration::from_secs(10)).await;
        }
    }

    /// What operators heard last of the block.
    fn told(&self) -> Option<&'static str> {
        let seen = self.operators.seen();
        let last = seen
            .iter()
            .rfind(|it| it.body.contains("DestinationBlocked"))?;
        let firing = last.body.contains("\"status\":\"firing\"");
        Some(if firing { "firing" } else { "over" })
    }
}

#[tokio::test]
async fn a_block_whose_end_another_router_learned_before_it_was_stored_ends_all_the_same() {
    let mut world = Blocked::new(0).await;
    let bench = &mut world.bench;
    let hook = bench.step.plan.borrow().outlets_of("hook");
    let block = Trouble::still_blocked(hook[0].receiver.destination(), bench.clock.now());
    bench.step.report([block].into_iter());
    for _ in 0..3 {
        bench.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(world.told(), Some("over"));
}

#[tokio::test]
async fn what_operators_were_not_told_before_a_death_they_are_told_after_the_start() {
    let mut world = Blocked::new(1).await;
    world.bench.post("A").await;
    assert_eq!(world.told(), None);
    world.forget_and_start().await;
    assert_eq!(world.told(), Some("firing"));
    world.bench.clock.advance(Duration::from_secs(16 * 60));
    world.bench.step(Waiting::default()).await;
    world.bench.answers().await;
    assert_eq!(world.told(), Some("firing"), "its end is not told yet");
    world.forget_and_start().await;
    assert_eq!(world.told(), Some("over"));
}

/// What operators were told of a trouble: how often it fires, how often it is over.
fn told_of(server: &Server, alertname: &str) -> (usize, usize) {
    let seen = server.seen();
    let about: Vec<_> = seen
        .iter()
        .filter(|it| it.body.contains(alertname))
        .collect();
    let over = |it: &&&crate::receiver::scripted::Seen| it.body.contains("\"status\":\"resolved\"");
    let ends = about.iter().filter(over).count();
    (about.len() - ends, ends)
}

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// Several groups for one destination, which answers as told.
async fn groups_of(server: &Server, names: &[&str]) -> Bench {
    let mut bench = Bench::new(&one_hook(server)).await;
    for name in names {
        bench.post(name).await;
    }
    bench
}

#[tokio::test]
async fn one_message_probes_a_blocked_destination_each_quarter_and_all_follow_once_it_answers() {
    let server = Server::start(|n, _| match n {
        0 | 1 => Reply::Http("401 Unauthorized", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let mut bench = groups_of(&server, &["A", "B", "C"]).await;
    let mut seen = vec![server.count("/hook")];
    for wait in [QUARTER - Duration::from_secs(1), Duration::from_secs(1)] {
        bench.pass(wait).await;
        seen.push(server.count("/hook"));
    }
    assert_eq!(seen, [1, 1, 2], "the probe is refused");
    bench.pass(QUARTER - Duration::from_secs(1)).await;
    assert_eq!(server.count("/hook"), 2, "so nobody tries before the next");
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(
        server.count("/hook"),
        5,
        "one tries, is taken, and the others follow at once"
    );
}

#[tokio::test]
async fn after_a_reload_a_blocked_destination_is_probed_at_once() {
    let server = Server::start(|n, _| match n {
        0 | 1 => Reply::Http("401 Unauthorized", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let mut bench = groups_of(&server, &["A", "B", "C"]).await;
    let config = one_hook(&server);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(server.count("/hook"), 1, "nobody tries for a quarter");
    bench.reload(&config).await;
    bench.answers().await;
    assert_eq!(server.count("/hook"), 2, "one tries, and is refused");
    bench.pass(QUARTER - Duration::from_secs(1)).await;
    assert_eq!(server.count("/hook"), 2, "and so it is blocked as before");
    bench.reload(&config).await;
    bench.answers().await;
    assert_eq!(
        server.count("/hook"),
        5,
        "one tries, is taken, and the others follow at once"
    );
    let told = events(&bench).await;
    assert_eq!(told.last().map(String::as_str), Some("told"));
    let shown = bench.step.metrics.render();
    let blocked = shown
        .lines()
        .find(|line| line.contains("destination_blocked{"));
    assert!(
        blocked.is_some_and(|line| line.ends_with(" 0")),
        "{blocked:?}"
    );
}

#[tokio::test]
async fn failures_in_a_row_open_no_circuit() {
    let server = Server::start(|n, _| match n {
        0..9 => Reply::Http("503 Busy", String::new()),
        _ => Reply::Ok(String::new()),
    })
    .await;
    let mut bench = groups_of(&server, &["A", "B", "C"]).await;
    for _ in 0..8 {
        bench.pass(Duration::from_secs(10)).await;
    }
    let outlet = Arc::clone(&bench.step.plan.borrow().outlets_of("hook")[0]);
    let key = crate::turn::account::account_key(outlet.receiver.destination().key);
    let account = bench.materials.store.load(vec![key]).await.unwrap().docs;
    assert!(
        !account
            .iter()
            .flatten()
            .any(crate::turn::account::is_blocked)
    );
    assert_eq!(
        server.count("/hook"),
        12,
        "each failed three times, and was taken"
    );
}

#[tokio::test]
async fn a_full_store_is_told_once_and_is_over_when_it_had_room_for_a_while() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&format!("operators: hook\n{}", one_hook(&server))).await;
    let full = StoreError::Full {
        place: "data".to_owned(),
    };
    bench.step.count_store_error(&full);
    bench.step.count_store_error(&full);
    bench.pass(Duration::from_secs(1)).await;
    bench.pass(Duration::from_secs(10)).await;
    assert_eq!(told_of(&server, "StoreFull"), (1, 0));
    assert_eq!(bench.value("store_full"), Some(1.0));
    bench.pass(Duration::from_secs(5 * 60)).await;
    assert_eq!(bench.value("store_full"), Some(0.0));
    bench.pass(Duration::from_secs(5 * 60)).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(told_of(&server, "StoreFull"), (1, 1));
}

#[tokio::test]
async fn we_are_never_silent_and_our_troubles_end_only_when_we_say_so() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&format!("operators: hook\n{}", one_hook(&server))).await;
    bench.step.count_store_error(&StoreError::Full {
        place: "data".to_owned(),
    });
    bench.pass(Duration::from_secs(1)).await;
    // Nobody ever says that it is over.
    bench.step.room = Room::default();
    for _ in 0..200 {
        bench.pass(Duration::from_secs(3_600)).await;
    }
    let (fires, ends) = told_of(&server, "StoreFull");
    assert!(fires > 10 && ends == 0, "{fires} {ends}");
    assert_eq!(told_of(&server, "SourceSilent"), (0, 0));
}

#[tokio::test]
async fn a_silent_source_is_told_and_is_over_when_it_speaks() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&format!("operators: hook\n{}", one_hook(&server))).await;
    bench.post("A").await;
    for _ in 0..12 {
        bench.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(told_of(&server, "SourceSilent"), (1, 0));
    bench.post("A").await;
    for _ in 0..6 {
        bench.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(told_of(&server, "SourceSilent"), (1, 1));
}

#[tokio::test]
async fn operators_who_are_the_receiver_of_the_root_leave_its_timers_alone() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&format!("operators: hook\n{}", one_hook(&server))).await;
    bench.post("A").await;
    assert_eq!(server.count("/hook"), 1, "group_wait is 0s");
}

#[tokio::test]
async fn an_alert_of_the_test_button_is_over_by_itself_and_its_source_is_never_silent() {
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let mut bench = Bench::new(&format!("operators: hook\n{}", one_hook(&server))).await;
    let mut test = batch(&[firing(&[("alertname", "TestAlert")])]);
    test.alerts[0].expires = Some(bench.clock.now() + Duration::from_secs(60));
    bench.post_batch(crate::config::test_button(), test).await;
    assert_eq!(told_of(&server, "TestAlert"), (1, 0));
    bench.pass(Duration::from_secs(21)).await;
    bench.pass(Duration::from_secs(5 * 60)).await;
    assert_eq!(told_of(&server, "TestAlert"), (1, 1));
    for _ in 0..10 {
        bench.pass(Duration::from_secs(3_600)).await;
    }
    assert_eq!(told_of(&server, "SourceSilent"), (0, 0));
}

#[tokio::test]
async fn refused_recipients_are_told_and_forgotten_when_none_was_refused_for_a_day() {
    let app = Server::start(|_, seen| {
        let token = r#"{"errcode":0,"access_token":"t","expires_in":7200}"#;
        let refused = r#"{"errcode":0,"errmsg":"ok","invaliduser":"left"}"#;
        let line = seen.head.lines().next().unwrap();
        let asks = line.contains("/gettoken?");
        Reply::Ok(if asks { token } else { refused }.to_owned())
    })
    .await;
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let (api, ops) = (app.url("/cgi-bin/"), server.url("/ops"));
    let app =
        format!("{{corp_id: c, secret: s, agent_id: 1, to_user: 'here|left', api_url: '{api}'}}");
    let mut bench = Bench::new(&format!(
        "operators: ops\nreceivers:\n  - {{name: app, wecom_configs: [{{app: {app}}}]}}\n  \
         - {{name: ops, webhook_configs: [{{url: '{ops}'}}]}}\n\
         route: {{receiver: app, group_wait: 0s, repeat_interval: 30d}}\n"
    ))
    .await;
    bench.post("A").await;
    for _ in 0..2 {
        bench.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(told_of(&server, "RecipientsRefused"), (1, 0));
    for _ in 0..5 {
        bench.pass(Duration::from_secs(6 * 3_600)).await;
    }
    let (_, ends) = told_of(&server, "RecipientsRefused");
    assert_eq!(ends, 1);
}
