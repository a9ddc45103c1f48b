//! Our own troubles as alerts of the source `alert-router`: they take the same way as all others,
//! so they are grouped, repeated and resolved like them.

pub(crate) mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{AlertKey, LaneKey, SourceName, Timestamp};
use bytes::Bytes;

use crate::receiver::Destination;
use crate::step::groups::home_key;
use crate::store::{Store, StoreError};
use crate::turn::deliver::Settled;
use crate::webhook::payload::{Batch, BodyLimits, parse};

const BLOCKED: &str = "DestinationBlocked";
const UNBLOCKED: &str = "the destination takes messages again";
const GIVEN_UP: &str = "DeliveryGivenUp";
const RECIPIENTS: &str = "RecipientsRefused";
const RELOAD_FAILED: &str = "ConfigReloadFailed";
const FULL: &str = "StoreFull";

/// How long refused recipients are an open trouble: nothing says that they are taken again but that
/// they are not refused with the messages that follow.
const REFUSED_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The labels: `alertname` and what it is about.
    labels: BTreeMap<&'static str, String>,
    /// What happened, and what to do.
    summary: String,
    firing: bool,
    /// Of a block: which circuit says whether it is so, and since when or until when.
    circuit: Option<(LaneKey, Timestamp)>,
    /// It is over when it was not said again for so long; `None`: when we say so.
    lasts: Option<Duration>,
}

impl Trouble {
    fn begins(labels: BTreeMap<&'static str, String>, summary: String) -> Self {
        Self {
            labels,
            summary,
            firing: true,
            circuit: None,
            lasts: None,
        }
    }

    fn ends(labels: BTreeMap<&'static str, String>, summary: &str) -> Self {
        Self {
            firing: false,
            ..Self::begins(labels, summary.to_owned())
        }
    }

    /// A destination takes nothing until somebody changes something.
    pub(crate) fn blocked(settled: &Settled, since: Timestamp) -> Self {
        Self {
            summary: explain(settled),
            ..Self::still_blocked(settled.outlet.receiver.destination(), since)
        }
    }

    /// A destination takes nothing, and the reason is not known any more.
    pub(crate) fn still_blocked(destination: &Destination, since: Timestamp) -> Self {
        let summary = "the destination takes no messages: the last answer from it said that \
                       something must be changed first; its history shows that answer";
        Self {
            circuit: Some((destination.key, since)),
            ..Self::begins(about(BLOCKED, destination), summary.to_owned())
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
    pub(crate) fn given_up(settled: &Settled) -> Self {
        let show = format!(
            "; look at it: alert-router dead-letters show {}",
            settled.id
        );
        let destination = settled.outlet.receiver.destination();
        Self::begins(about(GIVEN_UP, destination), explain(settled) + &show)
    }

    /// A destination for which a delivery was given up has heard one. The dead letter stays.
    pub(crate) fn heard_again(settled: &Settled) -> Self {
        let summary = "the destination hears us again; what was given up is still among the dead \
                       letters: alert-router dead-letters list";
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
        let summary = format!(
            "receiver {}: these recipients were refused: {}",
            settled.outlet.name,
            lines.join("; ")
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
            Self::ends(labels, "the destination left the config")
        })
    }

    /// A changed config cannot be used.
    fn config_refused(why: &str) -> Self {
        let summary = format!(
            "the changed config was refused, and the old one stays in effect: {why}; \
             mend it (alert-router check says what is wrong), then reload again"
        );
        Self::begins(general(RELOAD_FAILED), summary)
    }

    /// The config in the file is the one in effect.
    fn config_taken() -> Self {
        Self::ends(
            general(RELOAD_FAILED),
            "the config of the file is in effect",
        )
    }

    /// Nothing can be written: webhooks are answered 503, and nobody is told anything.
    pub(crate) fn store_full(place: &str) -> Self {
        let summary = format!(
            "there was no space left for the store in {place}: while that lasts, alerts are \
             answered 503 and wait in Alertmanager; free space on that disk, or give it more"
        );
        Self::begins(general(FULL), summary)
    }

    /// The store takes what it is given.
    pub(crate) fn store_has_room() -> Self {
        Self::ends(general(FULL), "the store has room again")
    }

    /// A source has not spoken for too long, or is back.
    pub(crate) fn silent(source: &SourceName, firing: bool) -> Self {
        let name = source.as_str().to_owned();
        let mut labels = general("SourceSilent");
        labels.insert("silent_source", name.clone());
        let summary = format!(
            "nothing came from source {name} for its `silent_after`; its alerts stay open. \
             Is its Alertmanager up, and does its `url` still point here?"
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

    /// The trouble as a batch, as if an Alertmanager had posted it.
    pub(crate) fn batch(&self, now: Timestamp) -> Batch {
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
            "annotations": {"summary": self.summary},
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
        let fingerprint = trouble.batch(now).alerts[0].identity;
        home_key(&AlertKey {
            source: SourceName::ours(),
            fingerprint,
        })
    });
    let homes = store.load(homes.collect()).await?.docs;
    Ok(homes.iter().map(Option::is_some).collect())
}

fn explain(settled: &Settled) -> String {
    let receiver = &settled.outlet.name;
    match &settled.result {
        Ok(receipt) => format!("receiver {receiver}: {}", receipt.answer),
        Err(error) => match &error.fix {
            Some(fix) => format!("receiver {receiver}: {}; {fix}", error.answer),
            None => format!("receiver {receiver}: {}", error.answer),
        },
    }
}
