//! What people read when they check a file.

use std::sync::Arc;

use alert_engine::{LaneKey, Timestamp};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::config::{Flags, Outside};
use crate::message::Says;
use crate::receiver::{Delivery, Destination, Limits, Part, Receipt, RenderError, SendError};
use crate::render::Language;
use crate::step::tests::{materials, plan};

fn read(text: &str) -> Result<Config, ConfigError> {
    let outside = Outside {
        env: &|_| Some("x".to_owned()),
        read: &|path| {
            let bot = path.ends_with("bot");
            let url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k";
            Ok(if bot { url } else { "x" }.to_owned())
        },
    };
    Config::parse(
        Path::new("alert-router.yaml"),
        text,
        &Flags::default(),
        &outside,
    )
}

fn check(text: &str) -> Report {
    config(Path::new("alert-router.yaml"), read(text).as_ref())
}

#[test]
fn a_good_file_is_summed_up_with_its_warnings() {
    let text = include_str!("../../testdata/config/full.yaml");
    let text = text.replace(
        "smtp_auth_username: alerts@",
        "smtp_auth_username: someone@",
    );
    let text = text.replace("receiver: night\n", "receiver: room\n");
    let report = check(&text);
    assert!(report.good);
    insta::assert_snapshot!(report.text);
}

#[test]
fn a_bad_file_lists_every_problem() {
    let report = check("route: {receiver: db, group_wait: 5}\nreceivers: [{name: dba, to: x}]\n");
    assert!(!report.good);
    insta::assert_snapshot!(report.text);
}

#[test]
fn of_too_many_problems_the_first_are_listed_and_the_others_counted() {
    let unknown: String = (0..123).map(|n| format!("x{n}: 1\n")).collect();
    let good = "route: {receiver: a}\nreceivers: [{name: a}]\n";
    let text = check(&format!("{unknown}{good}")).text;
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    let more = "alert-router.yaml: 23 more not shown: mend these first";
    assert_eq!(last, ["123 problems", more]);
    assert_eq!(text.lines().count(), 102);
}

/// A channel that takes so many parts, and no digest.
struct Fussy(Destination, Limits, usize);

impl Receiver for Fussy {
    fn destination(&self) -> &Destination {
        &self.0
    }

    fn limits(&self) -> &Limits {
        &self.1
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        if matches!(rendering.message.says, Says::Digest(_)) && self.2 == 1 {
            return Err(RenderError {
                channel: "test",
                why: "a digest is too long: make the channel take more".to_owned(),
            });
        }
        let part = Part {
            id: "1".to_owned(),
            body: Bytes::from_static(b"text"),
            recipients: Vec::new(),
        };
        Ok(vec![part; self.2])
    }

    fn send<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        unreachable!("check sends nothing")
    }
}

#[test]
fn every_sample_is_rendered_for_every_receiver() {
    let fussy = |parts| {
        let destination = Destination {
            channel: "test",
            key: LaneKey::of(&[]),
            label: "test".to_owned(),
        };
        let limits = Limits {
            windows: Vec::new(),
            shared: Vec::new(),
            deadline: std::time::Duration::from_secs(1),
            priority_exempt_hourly: false,
        };
        Fussy(destination, limits, parts)
    };
    let (good, strict, chatty) = (fussy(2), fussy(1), fussy(4));
    let locale = Locale {
        language: Language::English,
        zone: jiff::tz::TimeZone::UTC,
    };
    let built =
        [("good", &good), ("strict", &strict), ("chatty", &chatty)].map(|(name, receiver)| Built {
            name,
            receiver,
            locale: &locale,
        });
    let samples = samples("x", Timestamp::from_millis(1_700_000_000_000));
    let report = rendering(&built, &samples);
    assert!(!report.good);
    insta::assert_snapshot!(report.text);
    assert!(rendering(&built[..1], &samples).good);
}

#[test]
fn what_looks_alike_is_rendered_once_for_all_and_each_address_all_the_same() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let config = "receivers:\n  \
        - {name: a, webhook_configs: [{url: 'http://127.0.0.1:9/a'}]}\n  \
        - {name: b, webhook_configs: [{url: 'http://127.0.0.1:9/b'}]}\n  \
        - {name: few, webhook_configs: [{url: 'http://127.0.0.1:9/c', max_alerts: 7}]}\n  \
        - {name: bot, wecom_configs: [{bot: {key: k1}}]}\n  \
        - {name: same, wecom_configs: [{bot: {key: k2}}]}\n  \
        - {name: text, wecom_configs: [{bot: {key: k3}, format: text}]}\n  \
        - {name: two, webhook_configs: [{url: 'http://127.0.0.1:9/d', max_alerts: 9}, {url: 'http://127.0.0.1:9/e', max_alerts: 9}]}\n  \
        - {name: zh, language: zh, wecom_configs: [{bot: {key: k4}}]}\n\
        route: {receiver: a}\n";
    let plan = plan(config, &materials(&clock));
    let names = ["a", "b", "few", "bot", "same", "text", "two", "zh"];
    let outlets: Vec<_> = names
        .iter()
        .flat_map(|name| plan.outlets_of(name))
        .collect();
    let built: Vec<_> = outlets.iter().map(|outlet| Built::of(outlet)).collect();
    let report = rendering(&built, &samples("x", clock.now()));
    assert!(report.good, "{}", report.text);
    let alike = report
        .text
        .lines()
        .filter(|line| line.contains("renders like"));
    let alike: Vec<&str> = alike.collect();
    let expected = [
        "b: webhook: renders like a",
        "same: wecom_bot: renders like bot",
        "two: webhook: renders like the one above",
    ];
    assert_eq!(alike, expected, "{}", report.text);
}
