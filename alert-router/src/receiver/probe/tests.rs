//! What `doctor` finds out about the ways of whole configs.

use wecom_sim::{Api, Config as Corp, ErrCode, Fault, Sim};

use super::*;
use crate::clock::ManualClock;
use crate::config::{Flags, Outside};
use crate::receiver::MailServer;
use crate::receiver::scripted::{Reply, Server};
use crate::render::samples;

fn config(receivers: &str) -> Config {
    let outside = Outside {
        env: &|_| None,
        read: &|_| unreachable!("no file is named"),
    };
    let text = format!("receivers:\n{receivers}\nroute: {{receiver: one}}\n");
    let file = std::path::Path::new("test.yaml");
    Config::parse(file, &text, &Flags::default(), &outside).unwrap()
}

/// What is printed of all ways of a config.
async fn report(config: &Config) -> String {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(samples::NOW));
    let mut report = String::new();
    for way in ways(config) {
        report += &format!("{way}\n{}", way.probe(&clock).await);
    }
    report
}

#[test]
fn receivers_that_share_a_way_are_named_together() {
    let mail = |name: &str, user: &str| {
        format!(
            "  - {{name: {name}, email_configs: [{{to: {name}@x.test, from: r@x.test, smarthost: 'mx.x.test:587', \
             auth_username: {user}, auth_password: p}}]}}\n"
        )
    };
    let hook = |name: &str, path: &str| {
        format!("  - {{name: {name}, webhook_configs: [{{url: 'http://hook.test/{path}'}}]}}\n")
    };
    let names = ["one", "two", "three", "four", "five", "six", "seven"];
    let mut receivers: String = names.iter().map(|name| mail(name, "us")).collect();
    receivers += &mail("alone", "them");
    receivers += &(hook("a", "a") + &hook("b", "b"));
    let config = config(&receivers);
    let titles: Vec<_> = ways(&config).iter().map(Way::to_string).collect();
    assert_eq!(
        titles,
        [
            "mail account us at mx.x.test:587, for one, two, three, four, five and 2 more",
            "mail account them at mx.x.test:587, for alone",
            "webhook http://hook.test/…, for a, b",
        ]
    );
}

/// A receiver that is an application, and one that is a robot.
fn corporation(api: &str, secret: &str) -> Config {
    config(&format!(
        "  - {{name: one, wecom_configs: [{{app: {{corp_id: sim-corp, secret: {secret}, agent_id: 1000002, \
         to_user: lina, api_url: '{api}'}}}}]}}\n\
         \x20 - {{name: room, wecom_configs: [{{bot: {{key: k, api_url: '{api}'}}}}]}}"
    ))
}

#[tokio::test]
async fn an_application_says_whether_it_gets_a_token_and_a_robot_says_how_to_try_it() {
    let sim = Sim::start(Corp::demo()).await.unwrap();
    let api = sim.api_url();
    let good = report(&corporation(&api, "sim-secret")).await;
    let wrong = report(&corporation(&api, "planted-secret")).await;
    let code = ErrCode::IP_NOT_TRUSTED;
    sim.fault(Fault::Errcode { code }.on(Api::GetToken));
    let foreign = report(&corporation(&api, "sim-secret")).await;
    assert!(sim.messages().is_empty(), "nothing is sent");
    // The simulator's hints are numbered and dated.
    let shown = format!("{good}\n{wrong}\n{foreign}");
    let masked = shown.lines().map(|line| match line.split_once("hint: [") {
        Some((before, after)) => {
            let (_, after) = after.split_once(']').unwrap_or_default();
            format!("{before}hint: […]{after}\n")
        }
        None => format!("{line}\n"),
    });
    let masked: String = masked.collect();
    assert!(masked.contains("WeCom saw 127.0.0.1"), "{masked}");
    assert!(!masked.contains("planted-secret"), "{masked}");
    insta::assert_snapshot!("wecom", masked);
}

#[tokio::test]
async fn a_webhook_is_connected_to_and_hears_nothing() {
    let server = Server::start(|_, _| Reply::Close).await;
    let url = server.url("/hook?token=planted");
    let port = url.port().unwrap().to_string();
    let hook = |name: &str, url: &str| {
        format!("  - {{name: {name}, webhook_configs: [{{url: '{url}'}}]}}\n")
    };
    let plain = MailServer::new().listen().await.to_string();
    let secure = format!("https://127.0.0.1:{plain}/");
    let proxied = format!(
        "  - {{name: three, webhook_configs: [{{url: 'http://far.test/', http_config: {{proxy_url: 'http://u:planted@127.0.0.1:{port}'}}}}]}}"
    );
    let config = config(&(hook("one", url.as_str()) + &hook("two", &secure) + &proxied));
    let said = report(&config).await;
    let said = said.replace(&port, "<port>").replace(&plain, "<plain>");
    assert!(!said.contains("planted"), "{said}");
    insta::assert_snapshot!("webhooks", said);
}
