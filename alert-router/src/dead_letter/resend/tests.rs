//! Letters that are sent again, to a robot that takes 18 a minute.

use alert_engine::{GroupId, LaneKey, Timestamp};

use super::super::RawAlerts;
use super::*;
use crate::clock::ManualClock;
use crate::receiver::Part;
use crate::receiver::scripted::{Reply, Server};
use crate::step::tests::{materials, plan};

fn letter(number: u8, lane: LaneKey) -> Write {
    let id = DeliveryId([number; 16]);
    let part = Part {
        id: "1".to_owned(),
        body: r#"{"msgtype":"text","text":{"content":"old"}}"#.into(),
        recipients: Vec::new(),
    };
    let delivery = Delivery {
        id,
        attempt: 1,
        created: Timestamp::from_millis(0),
        parts: vec![part],
        progress: Progress::new(),
    };
    let letter = DeadLetter {
        id: id.to_string(),
        at_ms: 0,
        receiver: "room".to_owned(),
        channel: "wecom_bot".to_owned(),
        destination: "a room".to_owned(),
        reason: "timeout".to_owned(),
        code: None,
        answer: String::new(),
        fix: None,
        fix_zh: None,
        lanes: vec![(GroupId([9; 16]).to_string(), lane.to_string())],
        raw: RawAlerts::default(),
        rendered: serde_json::from_slice(&parts::write(&delivery)).ok(),
    };
    Write::Keep {
        key: letter_key(id),
        wake_at: None,
        bytes: letter.bytes(),
    }
}

#[tokio::test]
async fn letters_sent_again_pass_the_budget_of_their_destination() {
    let answer = || Reply::Ok(r#"{"errcode":0,"errmsg":"ok"}"#.to_owned());
    let server = Server::start(move |_, _| answer()).await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_767_268_800_000)));
    let materials = materials(&clock);
    let config = format!(
        "receivers: [{{name: room, wecom_configs: [{{bot: {{key: k, api_url: '{}'}}}}]}}]\n\
         route: {{receiver: room}}\n",
        server.url("/cgi-bin/")
    );
    let plan = Arc::new(plan(&config, &materials));
    let lane = plan.outlets_of("room")[0].receiver.destination().key;
    let unit = Unit {
        writes: (1..=12).map(|number| letter(number, lane)).collect(),
        history: Vec::new(),
    };
    materials.store.commit(vec![unit]).await.unwrap();
    let resender = Resender::new(
        Arc::clone(&materials.store),
        Arc::default(),
        Arc::clone(&clock) as _,
    );
    let mut late = Vec::new();
    for number in 1..=12 {
        let result = resender
            .resend(Arc::clone(&plan), DeliveryId([number; 16]))
            .await;
        late.extend(result.err().map(|error| (number, error.to_string())));
    }
    assert_eq!(server.count("/webhook/send"), 9, "half of its window");
    assert_eq!(late.len(), 3);
    let (number, said) = &late[0];
    assert_eq!(
        said,
        "its destination takes no more messages now: try again in 7 s"
    );
    clock.advance(Duration::from_secs(7));
    let again = resender.resend(plan, DeliveryId([*number; 16])).await;
    assert!(again.is_ok(), "{again:?}");
}
