//! Mails that share an account's window, on a clock that only the test moves.

use super::*;
use crate::receiver::{MailAct, MailServer};

/// One group for each alert, told to `to` through an account that takes what `limits` says.
async fn bench(server: &MailServer, to: &str, more: &str) -> Bench {
    let port = server.listen().await;
    let config = format!(
        "global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: a@x.test, smtp_require_tls: false}}\n\
         receivers: [{{name: ops, email_configs: [{{to: '{to}', {more}}}]}}]\n\
         route: {{receiver: ops, group_by: [alertname], group_wait: 0s}}\n"
    );
    Bench::new(&config).await
}

/// Whom the mails went to so far, with how many each got.
fn told(server: &MailServer) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for line in &server.log().lines {
        if let Some(to) = line.strip_prefix("RCPT TO:") {
            *told.entry(to.to_owned()).or_default() += 1;
        }
    }
    told
}

const FOUR: &str = "a@x.test, b@x.test, c@x.test, d@x.test";

#[tokio::test]
async fn all_addresses_of_an_account_share_its_window() {
    let server = MailServer::new();
    let limits = "account_limits: [{mails: 4, per: 10m}]";
    let mut bench = bench(&server, FOUR, limits).await;
    bench.post("A").await;
    // Half of a window is kept for later, in even steps.
    assert_eq!(told(&server).values().sum::<usize>(), 2);
    for (minutes, mails) in [(5, 3), (5, 4)] {
        bench.pass(Duration::from_secs(60 * minutes)).await;
        assert_eq!(told(&server).values().sum::<usize>(), mails);
    }
    bench.pass(Duration::from_secs(600)).await;
    assert_eq!(told(&server).len(), 4, "each has heard once");
    assert_eq!(told(&server).values().sum::<usize>(), 4);
}

#[tokio::test]
async fn a_shared_mail_counts_once_for_each_recipient() {
    let server = MailServer::new();
    let limits = "recipients: shared, account_limits: [{mails: 16, per: 10m}]";
    let mut bench = bench(&server, FOUR, limits).await;
    for name in ["A", "B", "C", "D"] {
        bench.post(name).await;
    }
    assert_eq!(told(&server)["<a@x.test>"], 2, "8 of 16 at once");
}

#[tokio::test]
async fn a_mail_to_more_than_the_window_holds_leaves_when_it_is_empty() {
    let server = MailServer::new();
    let limits = "recipients: shared, account_limits: [{mails: 2, per: 10m}]";
    let mut bench = bench(&server, FOUR, limits).await;
    bench.post("A").await;
    bench.post("B").await;
    assert_eq!(told(&server)["<a@x.test>"], 1);
    bench.pass(Duration::from_secs(600)).await;
    assert_eq!(told(&server)["<a@x.test>"], 2);
}

#[tokio::test]
async fn what_is_urgent_finds_a_place_in_an_account_that_others_have_filled() {
    let server = MailServer::new();
    let limits = "account_limits: [{mails: 8, per: 10m}, {mails: 8, per: 24h}]";
    let mut bench = bench(&server, FOUR, limits).await;
    for name in ["A", "B"] {
        bench.post(name).await;
    }
    assert_eq!(told(&server).values().sum::<usize>(), 4);
    let urgent = firing(&[("alertname", "C"), ("severity", "critical")]);
    bench.post_alerts("prod", &[urgent]).await;
    assert_eq!(
        told(&server).values().sum::<usize>(),
        7,
        "an eighth is kept"
    );
}

/// Each mail's id, and what it refers to.
fn ids(server: &MailServer) -> Vec<(String, Option<String>)> {
    let header = |mail: &str, name: &str| {
        let value = mail
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_owned)
    };
    let read = |mail: &Vec<u8>| {
        let mail = String::from_utf8_lossy(mail);
        (
            header(&mail, "Message-ID").expect("every mail has one"),
            header(&mail, "References"),
        )
    };
    server.log().mails.iter().map(read).collect()
}

/// After mail `A`, of which the server thinks as `act` says, `B` comes into the group.
async fn two_contents(act: MailAct, tries: usize) -> MailServer {
    let server = MailServer::new().at(".", act);
    let port = server.listen().await;
    let config = format!(
        "global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: a@x.test, smtp_require_tls: false}}\n\
         receivers: [{{name: ops, email_configs: [{{to: b@x.test}}]}}]\n\
         route: {{receiver: ops, group_wait: 0s, group_interval: 1s}}\n"
    );
    let mut bench = Bench::new(&config).await;
    bench.post("A").await;
    for _ in 1..tries {
        bench.pass(Duration::from_secs(120)).await;
    }
    bench.post("B").await;
    bench.pass(Duration::from_secs(3600)).await;
    server
}

#[tokio::test]
async fn a_first_mail_that_may_have_arrived_keeps_its_id_for_itself() {
    let server = two_contents(MailAct::Close, 3).await;
    let ids = ids(&server);
    let (root, none) = &ids[0];
    assert!(root.starts_with("<g.") && none.is_none(), "{ids:?}");
    assert_eq!(ids[1], ids[0], "a retry is the same mail");
    let later: Vec<_> = ids.iter().filter(|(id, _)| id != root).collect();
    assert!(!later.is_empty(), "{ids:?}");
    assert!(
        later
            .iter()
            .all(|(_, refers)| refers.as_ref() == Some(root))
    );
}

#[tokio::test]
async fn a_first_mail_that_was_refused_is_no_mail_that_another_may_pose_as() {
    let refused = MailAct::Say(b"554 5.7.1 spam\r\n".to_vec());
    let server = two_contents(refused, 1).await;
    let ids = ids(&server);
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_ne!(ids[0].0, ids[1].0);
    assert_eq!(
        ids[1].1.as_ref(),
        Some(&ids[0].0),
        "one thread all the same"
    );
}

/// How long the stalled one is waited for is up to the receiver; here nobody waits for it.
#[tokio::test]
async fn f49_a_server_that_never_greets_holds_up_nobody_elses_mail() {
    let (dead, good) = (
        MailServer::new().at("(connect)", MailAct::Hang),
        MailServer::new(),
    );
    let mail = |to: &str, port| {
        format!(
            "email_configs: [{{to: {to}@x.test, from: r@x.test, smarthost: '127.0.0.1:{port}', require_tls: false}}]"
        )
    };
    let (to_dead, to_good) = (
        mail("a", dead.listen().await),
        mail("b", good.listen().await),
    );
    let config = format!(
        "receivers:\n  - {{name: dead, {to_dead}}}\n  - {{name: good, {to_good}}}\n\
         route:\n  receiver: good\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 1s\n  \
         routes: [{{receiver: dead, continue: true}}, {{receiver: good}}]\n"
    );
    let mut bench = Bench::new(&config).await;
    for (nth, name) in ["A", "B", "C"].into_iter().enumerate() {
        let news = batch(&[firing(&[("alertname", name)])]);
        bench.take_in(SourceName::new("prod"), news).await;
        // The one of these that ends is the good one's.
        let ended = bench.step.deliveries.join_next().await.unwrap();
        let mut work = Waiting::default();
        work.ended.push(ended.unwrap());
        bench.step(work).await;
        bench.clock.advance(Duration::from_secs(1));
        let heard = good.log().mails.len();
        assert_eq!(
            heard,
            nth + 1,
            "{name} is heard while the other server stalls"
        );
        let heard = "notifications_total{channel=\"email\",outcome=\"heard\",reason=\"first\",receiver=\"good\"}";
        assert_eq!(
            bench.value(heard),
            Some(nth as f64 + 1.0),
            "{}",
            bench.step.metrics.render()
        );
    }
    assert!(
        !bench.step.deliveries.is_empty(),
        "the stalled ones are still under way"
    );
    assert_eq!(dead.log().mails.len(), 0);
    assert!(dead.log().lines.iter().all(|line| line == "(connect)"));
}
