//! The page as people would read it, and as an attacker would like to write it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use axum::http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::world::{Api, Call, Fault};

const NOW: Timestamp = Timestamp::constant(1_767_574_800, 0);

fn call(world: &mut World, path: &str, query: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let query: BTreeMap<_, _> = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let call = Call {
        method: Method::POST,
        path: format!("/cgi-bin/{path}"),
        query,
        body: body.to_string().into_bytes(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    match world.call(NOW, &call) {
        crate::world::Reply::Send { sent, .. } => sent.body,
        crate::world::Reply::Close | crate::world::Reply::Hang => Vec::new(),
    }
}

fn bot(world: &mut World, body: &Value) {
    call(world, "webhook/send", &[("key", "sim-bot-key")], body);
}

fn app(world: &mut World, body: &Value) {
    let query = [("corpid", "sim-corp"), ("corpsecret", "sim-secret")];
    let answer = call(world, "gettoken", &query, &Value::Null);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    call(world, "message/send", &[("access_token", token)], body);
}

#[test]
fn each_conversation_is_a_phone_and_troubles_stand_apart() {
    let mut world = World::new(&Config::demo());
    let content = "# 2 firing\n>级别 <font color=\"warning\">critical</font>\n[面板](https://g.example/d)\n<@wangqing>\n- x";
    bot(
        &mut world,
        &json!({ "msgtype": "markdown", "markdown": { "content": content } }),
    );
    let called = ["wangqing", "nobody", "@all"];
    let text = json!({ "content": "磁盘将满", "mentioned_list": called });
    bot(&mut world, &json!({ "msgtype": "text", "text": text }));
    let card = json!({
        "card_type": "text_notice", "source": { "desc": "alert-router", "desc_color": 2 },
        "main_title": { "title": "DiskFull", "desc": "prod / host-1" },
        "emphasis_content": { "title": "93%", "desc": "used" }, "sub_title_text": "since 09:00",
        "quote_area": { "title": "runbook", "quote_text": "free some space" },
        "horizontal_content_list": [
            { "keyname": "panel", "value": "open", "type": 1, "url": "https://g.example/d" },
            { "keyname": "owner", "value": "王青", "type": 3, "userid": "wangqing" },
        ],
        "jump_list": [{ "type": 1, "title": "Grafana", "url": "https://g.example" }],
        "card_action": { "type": 1, "url": "https://g.example" },
    });
    bot(
        &mut world,
        &json!({ "msgtype": "template_card", "template_card": card }),
    );
    let twice = json!({
        "msgtype": "text", "agentid": 1_000_002, "touser": "lina|wangqing",
        "enable_duplicate_check": 1,
        "text": { "content": "see <a href=\"https://g.example\">Grafana</a>" },
    });
    world.faults.add(Fault::LoseReply.on(Api::MessageSend));
    app(&mut world, &twice);
    app(&mut world, &twice);
    bot(
        &mut world,
        &json!({ "msgtype": "text", "text": { "content": "" } }),
    );
    world.faults.add(
        Fault::Status {
            status: 503,
            retry_after: None,
        }
        .on(Api::WebhookSend),
    );
    bot(
        &mut world,
        &json!({ "msgtype": "text", "text": { "content": "unheard" } }),
    );
    assert_snapshot!(conversations(&world));
}

#[test]
fn a_message_cannot_write_the_page() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut config = Config::demo();
    config.bots[0].name = evil.into();
    config.apps[0].name = evil.into();
    config.directory.members.get_mut("wangqing").unwrap().name = evil.into();
    let mut world = World::new(&config);
    let card = json!({
        "card_type": "text_notice", "main_title": { "title": evil, "desc": evil },
        "source": { "desc": evil }, "emphasis_content": { "title": evil, "desc": evil },
        "sub_title_text": evil, "quote_area": { "title": evil, "quote_text": evil },
        "horizontal_content_list": [
            { "keyname": evil, "value": evil, "type": 1, "url": evil },
            { "keyname": evil, "value": evil },
        ],
        "jump_list": [{ "type": 1, "title": evil, "url": format!("https://x/{evil}") }],
        "card_action": { "type": 1, "url": evil }, "task_id": "t",
        "card_image": { "url": evil },
        "image_text_area": { "title": evil, "desc": evil, "image_url": evil },
        "vertical_content_list": [{ "title": evil, "desc": evil }],
    });
    for part in [
        json!({ "msgtype": "text", "text": { "content": evil, "mentioned_list": [evil, "wangqing"],
            "mentioned_mobile_list": [evil] } }),
        json!({ "msgtype": "markdown", "markdown": { "content": format!("# {evil}\n<@wangqing>") } }),
        json!({ "msgtype": "markdown_v2", "markdown_v2": { "content": format!("- {evil}\n```{evil}\n{evil}") } }),
        json!({ "msgtype": "template_card", "template_card": card }),
        json!({ "msgtype": evil }),
    ] {
        bot(&mut world, &part);
        let mut to_member = part;
        to_member["touser"] = "wangqing".into();
        to_member["agentid"] = 1_000_002.into();
        app(&mut world, &to_member);
    }
    assert_eq!(world.outbox.messages().count(), 7);
    let html = conversations(&world);
    assert!(
        !html.contains("<script") && !html.contains("<img") && !html.contains("\"'"),
        "{html}"
    );
}

#[test]
fn a_phone_shows_the_latest_messages_and_counts_the_rest() {
    let mut config = Config::demo();
    config.rules.bot_per_minute = 1000;
    let mut world = World::new(&config);
    for n in 0..52 {
        bot(
            &mut world,
            &json!({ "msgtype": "text", "text": { "content": format!("n{n}.") } }),
        );
    }
    let html = conversations(&world);
    assert!(html.contains("2 older messages not shown"));
    assert!(!html.contains("n1.") && html.contains("n2.") && html.contains("n51."));
}

#[test]
fn an_empty_page_says_what_to_do() {
    let html = page(&World::new(&Config::demo()), NOW);
    assert!(html.contains("No message yet. Send one and it appears here."));
    assert!(html.contains("01-05 09:00:00"));
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "nothing from elsewhere"
    );
}
