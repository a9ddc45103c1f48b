//! The rules of the service as tables: one per interface, limits at their byte, time moved by hand.

mod app;
mod bot;
mod card;
mod token;
mod trouble;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, Reply, World};
use crate::config::{App, Bot, Config, Rules, Standing};

const START: Timestamp = Timestamp::constant(1_767_574_800, 0);
const KEY: &str = "sim-bot-key";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// A world with its time, as a client sees it.
struct Bench {
    world: World,
    now: Timestamp,
    peer: IpAddr,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::demo();
        config.bots.push(Bot {
            standing: Standing::Disabled,
            ..Bot::new("off", "停用")
        });
        config.bots.push(Bot {
            standing: Standing::NotInGroup,
            ..Bot::new("out", "离群")
        });
        config.bots.push(Bot::new("other", "另一个"));
        config
            .apps
            .push(App::new(1_000_003, "other-secret", "other"));
        config.apps.push(App {
            enabled: false,
            ..App::new(1_000_004, "off-secret", "off")
        });
        let member = config.directory.members.get_mut("zhaolei").unwrap();
        member.licensed = false;
        config
            .directory
            .tags
            .insert("7".into(), ["lina".to_owned()].into());
        change(&mut config);
        Self {
            world: World::new(&config),
            now: START,
            peer: PEER,
        }
    }

    fn rules(change: impl FnOnce(&mut Rules)) -> Self {
        Self::with(|config| change(&mut config.rules))
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn raw(&mut self, method: Method, path_and_query: &str, body: &[u8]) -> Reply {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<_, _> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (path, body) = (format!("/cgi-bin/{path}"), body.to_vec());
        let call = Call {
            method,
            path,
            query,
            body,
            peer: self.peer,
        };
        self.world.call(self.now, &call)
    }

    /// The JSON of an answer.
    fn answer(&mut self, method: Method, path_and_query: &str, body: &[u8]) -> Value {
        match self.raw(method, path_and_query, body) {
            Reply::Send { sent, .. } => serde_json::from_slice(&sent.body).unwrap(),
            other @ (Reply::Close | Reply::Hang) => panic!("no answer: {other:?}"),
        }
    }

    /// A bot's message; the answer's `errcode`.
    fn bot(&mut self, key: &str, body: &Value) -> i64 {
        self.bot_bytes(key, body.to_string().as_bytes())
    }

    fn bot_bytes(&mut self, key: &str, body: &[u8]) -> i64 {
        code(&self.answer(Method::POST, &format!("webhook/send?key={key}"), body))
    }

    fn token(&mut self) -> String {
        self.token_of("sim-secret")
    }

    fn token_of(&mut self, secret: &str) -> String {
        let answer = self.get_token("sim-corp", secret);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn get_token(&mut self, corp_id: &str, secret: &str) -> Value {
        let query = format!("gettoken?corpid={corp_id}&corpsecret={secret}");
        self.answer(Method::GET, &query, b"")
    }

    /// An application's message with a fresh token.
    fn app(&mut self, body: &Value) -> Value {
        let token = self.token();
        self.app_with(&token, body)
    }

    fn app_with(&mut self, token: &str, body: &Value) -> Value {
        let path = format!("message/send?access_token={token}");
        self.answer(Method::POST, &path, body.to_string().as_bytes())
    }
}

fn code(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap()
}

fn message(msgtype: &str, part: Value) -> Value {
    json!({ "msgtype": msgtype, msgtype: part })
}

fn text(content: &str) -> Value {
    message("text", json!({ "content": content }))
}

fn markdown(content: &str) -> Value {
    message("markdown", json!({ "content": content }))
}

/// An application's message to one member.
fn to(user: &str, content: &str) -> Value {
    let mut body = text(content);
    body["touser"] = user.into();
    body["agentid"] = 1_000_002.into();
    body
}
