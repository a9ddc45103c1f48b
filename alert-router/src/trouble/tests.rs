//! What operators read.

use std::sync::Arc;

use alert_engine::{DeliveryId, GroupId};

use super::*;
use crate::clock::ManualClock;
use crate::receiver::{Failure, Progress, Receipt, RefusedRecipient, SendError};
use crate::step::tests::{materials, plan};
use crate::turn::lanes::Lanes;

const AT: Timestamp = Timestamp::from_millis(1_767_268_800_000);

/// Every trouble there is, and every end of one.
fn every_trouble() -> Vec<Trouble> {
    let materials = materials(&Arc::new(ManualClock::at(AT)));
    let config = "receivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:9/a'}]}]\n\
                  route: {receiver: hook}\n";
    let outlet = Arc::clone(&plan(config, &materials).outlets_of("hook")[0]);
    let destination = outlet.receiver.destination().clone();
    let settled = |result| Settled {
        outlet: Arc::clone(&outlet),
        id: DeliveryId([7; 16]),
        number: 0,
        lanes: Lanes::of(vec![(GroupId([1; 16]), destination.key)]).unwrap(),
        result,
        took: 0.0,
        span: None,
    };
    let blocked = settled(Err(SendError {
        failure: Failure::Refused,
        reason: "auth",
        code: Some("401".to_owned()),
        answer: "HTTP status 401 Unauthorized: no".to_owned(),
        fix: Some(Phrase::fixed("correct it", "请更正")),
        progress: Progress::new(),
    }));
    let refused = RefusedRecipient {
        recipient: "b@example.com".to_owned(),
        reason: "550 no such user".to_owned(),
    };
    let partly = settled(Ok(Receipt {
        refused: vec![refused],
        ..Receipt::default()
    }));
    let left = GivenUp {
        reason: RECEIVER_LEFT,
        answer: Phrase::fixed(
            "its receiver hook left the configuration",
            "其接收方 hook 已从配置中移除",
        ),
        ..GivenUp::of(&blocked)
    };
    let mut troubles = vec![
        Trouble::blocked(&blocked, AT),
        Trouble::still_blocked(&destination, AT),
        Trouble::unblocked(&destination, AT),
        Trouble::given_up(&GivenUp::of(&blocked)),
        Trouble::given_up(&left),
        Trouble::heard_again(&partly),
        Trouble::refused_recipients(&partly),
        Trouble::config_refused("line 3: no receiver is called dbteam"),
        Trouble::config_taken(),
        Trouble::store_full("data"),
        Trouble::store_has_room(),
        Trouble::silent(&SourceName::ours(), true),
    ];
    troubles.extend(Trouble::left(&destination));
    troubles.push(Trouble::returned(&destination));
    troubles
}

#[test]
fn troubles_say_the_same_in_both_languages() {
    let said = every_trouble().into_iter().map(|trouble| {
        let name = &trouble.labels["alertname"];
        let state = if trouble.fires() { "firing" } else { "over" };
        let chinese = trouble.summary.in_language(Language::Chinese);
        format!("{name} {state}\n  {}\n  {chinese}\n", trouble.summary)
    });
    insta::assert_snapshot!(said.collect::<String>());
}

#[test]
fn the_language_of_a_trouble_is_no_part_of_its_identity() {
    for trouble in every_trouble() {
        let of = |language| trouble.batch(AT, language).alerts[0].identity;
        assert_eq!(of(Language::English), of(Language::Chinese));
    }
}
