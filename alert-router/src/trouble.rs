//! Our own troubles as alerts of the source `alert-router`: they take the same way as all others,
//! so they are grouped, repeated and resolved like them.

pub(crate) mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{AlertKey, LaneKey, SourceName, Timestamp};
use bytes::Bytes;

use crate::dead_letter::{GivenUp, RECEIVER_LEFT};
use crate::receiver::Destination;
use crate::render::{Language, Phrase};
use crate::step::groups::home_key;
use crate::store::{Store, StoreError};
use crate::turn::deliver::Settled;
use crate::webhook::payload::{Batch, BodyLimits, parse};

const BLOCKED: &str = "DestinationBlocked";
const UNBLOCKED: Phrase = Phrase::fixed(
    "the destination takes messages again",
    "该目的地已恢复接收消息",
);
const GIVEN_UP: &str = "DeliveryGivenUp";
const RECIPIENTS: &str = "RecipientsRefused";
const LEFT_OWED: &str = "ReceiverLeft";
const RELOAD_FAILED: &str = "ConfigReloadFailed";
const FULL: &str = "StoreFull";

const LEFT: Phrase = Phrase::fixed("the destination left the config", "该目的地已从配置中移除");
const RETURNED: Phrase = Phrase::fixed(
    "the destination is in the config again; what was given up is still among the dead letters: \
     alert-router dead-letters list",
    "该目的地已重新加入配置；此前放弃的消息仍在死信中：alert-router dead-letters list",
);

/// How long refused recipients are an open trouble: nothing says that they are taken again but that
/// they are not refused with the messages that follow.
const REFUSED_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// How long it is an open trouble that a receiver left the config while it was owed something,
/// unless it comes back: what is told cannot be mended, only known.
const LEFT_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The labels: `alertname` and what it is about.
    labels: BTreeMap<&'static str, String>,
    /// What happened, and what to do.
    summary: Phrase,
    firing: bool,
    /// Of a block: which circuit says whether it is so, and since when or until when.
    circuit: Option<(LaneKey, Timestamp)>,
    /// It is over when it was not said again for so long; `None`: when we say so.
    lasts: Option<Duration>,
}

impl Trouble {
    fn begins(labels: BTreeMap<&'static str, String>, summary: Phrase) -> Self {
        Self {
            labels,
            summary,
            firing: true,
            circuit: None,
            lasts: None,
        }
    }

    fn ends(labels: BTreeMap<&'static str, String>, summary: Phrase) -> Self {
        Self {
            firing: false,
            ..Self::begins(labels, summary)
        }
    }

    /// A destination takes nothing until somebody changes something.
    pub(crate) fn blocked(settled: &Settled, since: Timestamp) -> Self {
        let error = settled.result.as_ref().err();
        let answer = Phrase::verbatim(error.map_or("", |error| &error.answer));
        let fix = error.and_then(|error| error.fix.as_ref());
        Self {
            summary: explain(&settled.outlet.name, &answer, fix),
            ..Self::still_blocked(settled.outlet.receiver.destination(), since)
        }
    }

    /// A destination takes nothing, and the reason is not known any more.
    pub(crate) fn still_blocked(destination: &Destination, since: Timestamp) -> Self {
        let summary = Phrase::fixed(
            "the destination takes no messages: the last answer from it said that something must \
             be changed first; its history shows that answer",
            "该目的地不接收任何消息：它最近一次的应答表明必须先修正某项设置；历史记录中有该应答",
        );
        Self {
            circuit: Some((destination.key, since)),
            ..Self::begins(about(BLOCKED, destination), summary)
        }
    }

    /// It takes deliveries again. The end is not before the beginning, or it would be that of an
    /// earlier block.
    pub(crate) fn unblocked(destination: &Destination, at: Timestamp) -> Self {
        Self {
            circuit: Some((destination.key, at)),
            ..Self::ends(about(BLOCKED, destination), UNBLOCKED)
        }
    }

    /// The end of a block.
    pub(crate) fn over(&self, now: Timestamp) -> Self {
        Self {
            circuit: self.circuit.map(|(key, since)| (key, now.max(since))),
            ..Self::ends(self.labels.clone(), UNBLOCKED)
        }
    }

    /// A delivery became a dead letter.
    pub(crate) fn given_up(given_up: &GivenUp) -> Self {
        let why = explain(&given_up.receiver, &given_up.answer, given_up.fix.as_ref());
        let id = given_up.id;
        let summary = Phrase::new(
            format!("{why}; look at it: alert-router dead-letters show {id}"),
            format!(
                "{}；查看详情：alert-router dead-letters show {id}",
                why.in_language(Language::Chinese)
            ),
        );
        let destination = &given_up.destination;
        match given_up.reason {
            // No delivery to it will end the trouble.
            RECEIVER_LEFT => Self {
                lasts: Some(LEFT_LASTS),
                ..Self::begins(about(LEFT_OWED, destination), summary)
            },
            _ => Self::begins(about(GIVEN_UP, destination), summary),
        }
    }

    /// A destination for which a delivery was given up has heard one. The dead letter stays.
    pub(crate) fn heard_again(settled: &Settled) -> Self {
        let summary = Phrase::fixed(
            "the destination hears us again; what was given up is still among the dead letters: \
             alert-router dead-letters list",
            "该目的地又能收到消息了；此前放弃的消息仍在死信中：alert-router dead-letters list",
        );
        let destination = settled.outlet.receiver.destination();
        Self::ends(about(GIVEN_UP, destination), summary)
    }

    /// Some recipients never get a message that others got.
    pub(crate) fn refused_recipients(settled: &Settled) -> Self {
        let refused = settled
            .result
            .as_ref()
            .map(|receipt| &receipt.refused[..])
            .unwrap_or(&[]);
        let lines: Vec<String> = refused
            .iter()
            .map(|r| format!("{}: {}", r.recipient, r.reason))
            .collect();
        let (receiver, lines) = (&settled.outlet.name, lines.join("; "));
        let summary = Phrase::new(
            format!("receiver {receiver}: these recipients were refused: {lines}"),
            format!("接收方 {receiver}：以下收件人被拒绝：{lines}"),
        );
        let destination = settled.outlet.receiver.destination();
        Self {
            lasts: Some(REFUSED_LASTS),
            ..Self::begins(about(RECIPIENTS, destination), summary)
        }
    }

    /// What was open about a destination is over: it left the config, so it gets nothing any more.
    fn left(destination: &Destination) -> [Self; 3] {
        [BLOCKED, GIVEN_UP, RECIPIENTS].map(|alertname| {
            let labels = about(alertname, destination);
            Self::ends(labels, LEFT)
        })
    }

    /// A destination that left while it was owed something is in the config again.
    fn returned(destination: &Destination) -> Self {
        Self::ends(about(LEFT_OWED, destination), RETURNED)
    }

    /// A changed config cannot be used.
    fn config_refused(why: &str) -> Self {
        let summary = Phrase::new(
            format!(
                "the changed config was refused, and the old one stays in effect: {why}; \
                 mend it (alert-router check says what is wrong), then reload again"
            ),
            format!(
                "修改后的配置被拒绝，旧配置仍然有效：{why}；\
                 请修正（alert-router check 会指出问题）后重新加载"
            ),
        );
        Self::begins(general(RELOAD_FAILED), summary)
    }

    /// The config in the file is the one in effect.
    fn config_taken() -> Self {
        Self::ends(
            general(RELOAD_FAILED),
            Phrase::fixed("the config of the file is in effect", "文件中的配置已生效"),
        )
    }

    /// Nothing can be written: webhooks are answered 503, and nobody is told anything.
    pub(crate) fn store_full(place: &str) -> Self {
        let summary = Phrase::new(
            format!(
                "there was no space left for the store in {place}: while that lasts, alerts are \
                 answered 503 and wait in Alertmanager; free space on that disk, or give it more"
            ),
            format!(
                "{place} 中的存储空间已用尽：在此期间 webhook 的应答是 503，告警在 Alertmanager 中等待；\
                 请清理所在磁盘或扩容"
            ),
        );
        Self::begins(general(FULL), summary)
    }

    /// The store takes what it is given.
    pub(crate) fn store_has_room() -> Self {
        Self::ends(
            general(FULL),
            Phrase::fixed("the store has room again", "存储空间已恢复"),
        )
    }

    /// A source has not spoken for too long, or is back.
    pub(crate) fn silent(source: &SourceName, firing: bool) -> Self {
        let name = source.as_str().to_owned();
        let mut labels = general("SourceSilent");
        labels.insert("silent_source", name.clone());
        let summary = Phrase::new(
            format!(
                "nothing came from source {name} for its `silent_after`; its alerts stay open. \
                 Is its Alertmanager up, and does its `url` still point here?"
            ),
            format!(
                "来源 {name} 已超过其 `silent_after` 没有任何消息；它的告警保持未关闭。\
                 它的 Alertmanager 是否在运行，`url` 是否仍指向这里？"
            ),
        );
        Self {
            firing,
            ..Self::begins(labels, summary)
        }
    }

    /// Whether it is so now, and not over.
    pub(crate) fn fires(&self) -> bool {
        self.firing
    }

    /// Whether it says that a destination takes nothing.
    pub(crate) fn is_block(&self) -> bool {
        self.firing && self.circuit.is_some()
    }

    /// The destination whose circuit says whether it is so.
    pub(crate) fn destination(&self) -> Option<LaneKey> {
        self.circuit.map(|(key, _)| key)
    }

    /// The trouble as a batch, as if an Alertmanager had posted it. The language is no part of its
    /// identity.
    pub(crate) fn batch(&self, now: Timestamp, language: Language) -> Batch {
        let now = self.circuit.map_or(now, |(_, at)| at);
        let at = jiff::Timestamp::from_millisecond(now.as_millis())
            .unwrap_or_default()
            .to_string();
        let status = if self.firing { "firing" } else { "resolved" };
        let ends_at = if self.firing {
            "0001-01-01T00:00:00Z"
        } else {
            &at
        };
        let body = serde_json::json!({"version": "4", "alerts": [{
            "status": status,
            "labels": self.labels,
            "annotations": {"summary": self.summary.in_language(language)},
            "startsAt": at,
            "endsAt": ends_at,
        }]});
        let mut batch = parse(
            &Bytes::from(body.to_string()),
            &BTreeSet::new(),
            &BodyLimits::default(),
        )
        .expect("what this function writes is a webhook body");
        for alert in &mut batch.alerts {
            alert.expires = self.lasts.map(|lasts| now + lasts);
        }
        batch
    }
}

/// What it is about is the destination: a receiver may be renamed before the trouble is over, and
/// two receivers may reach the same destination.
fn about(alertname: &str, destination: &Destination) -> BTreeMap<&'static str, String> {
    let mut labels = general(alertname);
    labels.extend([
        ("channel", destination.channel.to_owned()),
        ("destination", destination.label.clone()),
        (DESTINATION_ID, destination_id(destination.key)),
    ]);
    labels
}

fn general(alertname: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("alertname", alertname.to_owned()),
        ("severity", "warning".to_owned()),
    ])
}

/// Tells destinations apart that look alike once their secrets are hidden: two webhooks of one
/// server, two robots.
pub(crate) const DESTINATION_ID: &str = "destination_id";

/// The value of the label [`DESTINATION_ID`].
pub(crate) fn destination_id(destination: LaneKey) -> String {
    let mut id = destination.to_string();
    id.truncate(8);
    id
}

/// Of each trouble, whether there is an alert of it.
pub(crate) async fn known(
    store: &dyn Store,
    troubles: &[Trouble],
    now: Timestamp,
) -> Result<Vec<bool>, StoreError> {
    let homes = troubles.iter().map(|trouble| {
        let fingerprint = trouble.batch(now, Language::default()).alerts[0].identity;
        home_key(&AlertKey {
            source: SourceName::ours(),
            fingerprint,
        })
    });
    let homes = store.load(homes.collect()).await?.docs;
    Ok(homes.iter().map(Option::is_some).collect())
}

fn explain(receiver: &str, answer: &Phrase, fix: Option<&Phrase>) -> Phrase {
    let say = |language, receives: &str, colon: &str, between: &str| {
        let answer = answer.in_language(language);
        let fix = fix.map_or_else(String::new, |fix| {
            format!("{between}{}", fix.in_language(language))
        });
        format!("{receives} {receiver}{colon}{answer}{fix}")
    };
    Phrase::new(
        say(Language::English, "receiver", ": ", "; "),
        say(Language::Chinese, "接收方", "：", "；"),
    )
}

#[cfg(test)]
mod tests;
