//! One chain, started in order and ended in the reverse, and what its people have read.

use serde_json::{Value, json};
use stack_tests::parts::{
    Alertmanager, Cluster, Mail, Mailserver, Prometheus, Router, Target, Webhook, folder,
    free_port, until,
};
use tempfile::TempDir;
use wecom_sim::{Clock, Config, Message, Sender, Sim};

/// Texts that must arrive as they were written.
pub(crate) const CLUSTER: &str = "华东一区";
pub(crate) const TEAM: &str = "数据库";

const RULES: &str = r#"
groups:
- name: disks
  rules:
  - alert: DiskFull
    expr: disk_used_percent > 90
    labels: {severity: critical, cluster: 华东一区, team: 数据库}
    annotations: {summary: "磁盘快满了: {{ $labels.host }}"}
"#;

/// A whole chain. Fields end in their order.
pub(crate) struct Stack {
    pub(crate) router: Router,
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanagers: Vec<Alertmanager>,
    pub(crate) mail: Mailserver,
    pub(crate) target: Target,
    pub(crate) sim: Sim,
    _folder: TempDir,
}

/// What differs between chains.
pub(crate) struct Wishes<'a> {
    /// How many Alertmanagers; more than one are a cluster.
    pub(crate) alertmanagers: usize,
    /// Who has a mailbox.
    pub(crate) users: &'a [&'a str],
    /// Whose mail the server refuses.
    pub(crate) refused: &'a [&'a str],
    /// Child routes, and the receivers beside `oncall`, which has a mailbox, a robot and an
    /// application.
    pub(crate) routes: Value,
    pub(crate) receivers: Vec<Value>,
}

impl Default for Wishes<'_> {
    fn default() -> Self {
        Self {
            alertmanagers: 1,
            users: &["oncall"],
            refused: &[],
            routes: json!([]),
            receivers: Vec::new(),
        }
    }
}

impl Stack {
    pub(crate) async fn start(wishes: Wishes<'_>) -> Self {
        let folder = folder();
        let at = folder.path();
        let world = Config {
            clock: Clock::system(),
            ..Config::demo()
        };
        let sim = Sim::start(world).await.expect("a port is free");
        let mail = Mailserver::start(at, wishes.users, wishes.refused).await;
        let (port, webhook) = Router::plan("prod");
        let config = config(&wishes, &mail, &sim, &webhook);
        let router = Router::start(at, port, &config).await;
        let gossip = free_port();
        let mut alertmanagers = Vec::new();
        for number in 0..wishes.alertmanagers {
            let cluster = match (wishes.alertmanagers, number) {
                (1, _) => Cluster::Alone,
                (_, 0) => Cluster::First(gossip),
                (_, _) => Cluster::Join(gossip),
            };
            let name = format!("alertmanager-{number}");
            alertmanagers.push(Alertmanager::start(at, &name, &webhook, cluster).await);
        }
        let target = Target::start().await;
        let addresses: Vec<_> = alertmanagers.iter().map(Alertmanager::address).collect();
        let prometheus = Prometheus::start(at, target.address(), RULES, &addresses).await;
        Self {
            router,
            prometheus,
            alertmanagers,
            mail,
            target,
            sim,
            _folder: folder,
        }
    }

    /// The mails of `user` and the robot's and the application's messages, once there are at least
    /// `count` of each.
    pub(crate) async fn heard(&self, count: usize) -> Heard {
        until(&format!("{count} messages on each channel"), async || {
            let mails = self.mail.mails("oncall").await?;
            let (robot, application) = self.phones();
            let counts = [mails.len(), robot.len(), application.len()];
            let heard = Heard {
                mails,
                robot,
                application,
            };
            if counts.iter().all(|found| *found >= count) {
                Ok(heard)
            } else {
                Err(format!("{counts:?}; refused: {:?}", self.sim.refusals()))
            }
        })
        .await
    }

    /// As [`Self::heard`], and exactly that many.
    pub(crate) async fn heard_exactly(&self, count: usize) -> Heard {
        let heard = self.heard(count).await;
        let counts = [
            heard.mails.len(),
            heard.robot.len(),
            heard.application.len(),
        ];
        assert_eq!(counts, [count; 3], "{heard:#?}");
        heard
    }

    fn phones(&self) -> (Vec<String>, Vec<String>) {
        let of = |robot: bool| {
            let messages = self.sim.messages();
            let own = |message: &&Message| matches!(message.sender, Sender::App(_)) != robot;
            messages.iter().filter(own).map(Message::text).collect()
        };
        (of(true), of(false))
    }
}

/// What people have heard, oldest first.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) mails: Vec<Mail>,
    pub(crate) robot: Vec<String>,
    pub(crate) application: Vec<String>,
}

impl Heard {
    /// Whether the message number `at` of every channel has all of `words`, and none of `not`.
    pub(crate) fn assert_says(&self, at: usize, words: &[&str], not: &[&str]) {
        let texts = [&self.mails[at].text, &self.robot[at], &self.application[at]];
        for text in texts {
            for word in words {
                assert!(text.contains(word), "no {word:?} in message {at}:\n{text}");
            }
            for word in not {
                assert!(!text.contains(word), "{word:?} in message {at}:\n{text}");
            }
        }
    }

    /// Whether the mails are one conversation that every mail program shows as one: the first begins
    /// it, and every later one names all before it.
    pub(crate) fn assert_one_thread(&self) {
        let mails = &self.mails;
        let first = &mails[0];
        for (at, mail) in mails.iter().enumerate() {
            assert_eq!(mail.defects, Vec::<String>::new(), "{}", mail.text);
            assert_eq!(mail.thread, first.thread, "{mails:#?}");
            assert_eq!(mail.subject, first.subject);
            let before = mails[..at].iter().map(|mail| mail.message_id.clone());
            let before: Vec<_> = before.collect();
            assert_eq!(mail.references, before, "mail {at} names all before");
            let last: Vec<_> = before.last().cloned().into_iter().collect();
            assert_eq!(mail.in_reply_to, last, "mail {at} answers the last");
        }
    }
}

fn config(wishes: &Wishes<'_>, mail: &Mailserver, sim: &Sim, webhook: &Webhook) -> Value {
    let oncall = json!({
        "name": "oncall",
        "email_configs": [{ "to": "值班 <oncall@mail.test>" }],
        "wecom_configs": [
            { "bot": { "webhook_url": sim.bot_url("sim-bot-key") } },
            { "app": {
                "api_url": sim.api_url(), "corp_id": "sim-corp", "secret": "sim-secret",
                "agent_id": 1_000_002, "to_user": "wangqing|lina",
            }},
        ],
    });
    let mut receivers = vec![
        oncall,
        json!({ "name": "operators", "inbox_configs": [{}] }),
    ];
    receivers.extend(wishes.receivers.iter().cloned());
    json!({
        "language": "zh-CN",
        "time_zone": "Asia/Shanghai",
        "operators": "operators",
        "global": mail.global(),
        "sources": { "prod": { "bearer_token": webhook.token } },
        "route": {
            "receiver": "oncall", "group_by": ["alertname", "cluster"],
            "group_wait": "1s", "group_interval": "2s", "repeat_interval": "4h",
            "routes": wishes.routes,
        },
        "receivers": receivers,
    })
}
