//! The receivers under test, each with a provider that behaves as told.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Url;

use super::{Behaviour, Stage, Subject};
use crate::clock::ManualClock;
use crate::config::{self, AppFormat, BotFormat, HttpAuth, Secret, SecretUrl, Trust};
use crate::receiver::scripted::{Reply, Seen, Server};
use crate::receiver::{Applications, Inbox, Webhook, WecomApp, WecomBot};
use crate::render::{Renderer, samples};
use crate::store::{
    Committed, Depth, Due, Fault, HistoryPage, HistoryQuery, Keep, Loaded, MemoryStore, Scan,
    Store, StoreError, Unit, Verb,
};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(samples::NOW))
}

fn renderer() -> Arc<Renderer> {
    Arc::new(Renderer::built_in())
}

fn proxy(password: &str) -> Option<SecretUrl> {
    let url = format!("http://user:{password}@127.0.0.1:9/");
    Some(SecretUrl::new(Url::parse(&url).unwrap()))
}

/// A provider over HTTP; `accept` is its answer when it takes a message.
async fn provider(behaviour: Behaviour, accept: &'static str) -> Server {
    let behave = move |_: usize, seen: &Seen| match behaviour {
        _ if seen.head.contains("/gettoken?") => {
            let token = r#"{"errcode":0,"access_token":"planted-token","expires_in":7200}"#;
            Reply::Ok(token.to_owned())
        }
        Behaviour::Accept => Reply::Ok(accept.to_owned()),
        Behaviour::HangBeforeAnswer => Reply::Hang,
        Behaviour::HangInAnswer => Reply::HangInBody,
        Behaviour::LoseAnswer => Reply::Close,
        Behaviour::Echo => Reply::Http("200 OK", echo(seen)),
    };
    Server::start(behave).await
}

/// As WeCom refuses, with all that it knows.
fn echo(seen: &Seen) -> String {
    let errmsg = format!("{} {}", seen.head, seen.body);
    serde_json::json!({"errcode": 93000, "errmsg": errmsg}).to_string()
}

fn stage(
    receiver: impl crate::receiver::Receiver + std::fmt::Debug,
    server: Server,
    path: &'static str,
) -> Stage {
    Stage {
        debug: format!("{receiver:?}"),
        receiver: Box::new(receiver),
        sent: Box::new(move || server.count(path)),
    }
}

pub(super) struct WecomBotSubject;

impl Subject for WecomBotSubject {
    const SECRETS: &'static [&'static str] = &["planted-key", "planted-proxy"];

    async fn stage(behaviour: Behaviour) -> Stage {
        let server = provider(behaviour, r#"{"errcode":0,"errmsg":"ok"}"#).await;
        let config = config::WecomBot {
            key: Secret::new("planted-key"),
            api_url: server.url("/cgi-bin/"),
            format: BotFormat::Markdown,
            mention: config::People {
                users: vec!["wangqing".into()],
                mobiles: Vec::new(),
            },
            mention_when: Vec::new(),
            mention_text: true,
            text_copy: false,
            proxy_url: proxy("planted-proxy"),
        };
        let bot = WecomBot::new(&config, renderer(), clock()).unwrap();
        stage(bot, server, "webhook/send")
    }
}

pub(super) struct WecomAppSubject;

impl Subject for WecomAppSubject {
    const SECRETS: &'static [&'static str] = &["planted-secret", "planted-token", "planted-proxy"];

    async fn stage(behaviour: Behaviour) -> Stage {
        let server = provider(behaviour, r#"{"errcode":0,"errmsg":"ok","msgid":"m"}"#).await;
        let config = config::WecomApp {
            corp_id: "ww1".into(),
            secret: Secret::new("planted-secret"),
            agent_id: 7,
            to_user: vec!["wangqing".into(), "lina".into()],
            to_party: Vec::new(),
            to_tag: Vec::new(),
            text_copy: config::TextCopy::Members(vec!["lina".into()]),
            format: AppFormat::Markdown,
            api_url: server.url("/cgi-bin/"),
            proxy_url: proxy("planted-proxy"),
        };
        let applications = Applications::of([&config], clock()).unwrap();
        let app = WecomApp::new(&config, &applications, renderer()).unwrap();
        stage(app, server, "message/send")
    }
}

pub(super) struct WebhookSubject;

impl Subject for WebhookSubject {
    const SECRETS: &'static [&'static str] = &[
        "planted-query",
        "planted-path",
        "planted-password",
        "cGxhbnRlZC1wYXNzd29yZA",
    ];

    async fn stage(behaviour: Behaviour) -> Stage {
        let server = Server::start(move |_, seen| match behaviour {
            Behaviour::Accept => Reply::Ok("ok".to_owned()),
            Behaviour::HangBeforeAnswer => Reply::Hang,
            Behaviour::HangInAnswer => Reply::HangInBody,
            Behaviour::LoseAnswer => Reply::Close,
            Behaviour::Echo => Reply::Http("400 Bad Request", echo(seen)),
        })
        .await;
        let config = config::Webhook {
            url: SecretUrl::new(server.url("/hook/planted-path?token=planted-query")),
            // Three bytes of a name and its colon keep the password's base64 in one piece.
            auth: Some(HttpAuth::Basic {
                username: "us".into(),
                password: Secret::new("planted-password"),
            }),
            proxy_url: None,
            trust: Trust::default(),
            timeout: Duration::from_secs(10),
            max_alerts: 0,
        };
        stage(Webhook::new(&config).unwrap(), server, "/hook/")
    }
}

pub(super) struct InboxSubject;

impl Subject for InboxSubject {
    const SECRETS: &'static [&'static str] = &[];

    async fn stage(behaviour: Behaviour) -> Stage {
        let store = MemoryStore::new(clock());
        let page = store.handle();
        let lose = matches!(behaviour, Behaviour::LoseAnswer | Behaviour::Echo);
        store.fail(move |verb| match verb {
            Verb::Commit if lose => Fault::AnswerLost,
            Verb::Load
            | Verb::Due
            | Verb::Scan
            | Verb::Commit
            | Verb::History
            | Verb::Sweep
            | Verb::Depth => Fault::None,
        });
        let hangs = matches!(
            behaviour,
            Behaviour::HangBeforeAnswer | Behaviour::HangInAnswer
        );
        let store: Arc<dyn Store> = if hangs {
            Arc::new(Silent)
        } else {
            Arc::new(store)
        };
        let inbox = Inbox::new("inbox", renderer(), store);
        Stage {
            debug: format!("{inbox:?}"),
            receiver: Box::new(inbox),
            sent: Box::new(move || {
                let entries = crate::receiver::newest(&page, usize::MAX);
                futures_util::FutureExt::now_or_never(entries)
                    .unwrap()
                    .unwrap()
                    .len()
            }),
        }
    }
}

/// A store that never answers.
struct Silent;

impl Store for Silent {
    fn load(&self, _: Vec<crate::store::DocKey>) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn due(&self, _: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn scan(&self, _: Scan) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn commit(&self, _: Vec<Unit>) -> BoxFuture<'_, Result<Vec<Committed>, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn history(&self, _: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn sweep(&self, _: Keep) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, StoreError>> {
        Box::pin(std::future::pending())
    }
}
