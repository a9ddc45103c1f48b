//! Our own troubles as alerts of the source `alert-router`: they take the same way as all others,
//! so they are grouped, repeated and resolved like them.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{LaneKey, SourceName, Timestamp};
use bytes::Bytes;

use crate::receiver::Destination;
use crate::turn::deliver::Settled;
use crate::webhook::payload::{Batch, BodyLimits, parse};

const UNBLOCKED: &str = "the destination takes messages again";

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
}

impl Trouble {
    /// A destination takes nothing until somebody changes something.
    pub(crate) fn blocked(settled: &Settled, since: Timestamp) -> Self {
        Self {
            summary: explain(settled),
            ..Self::still_blocked(settled.outlet.receiver.destination(), since)
        }
    }

    /// A destination takes nothing, and the reason is not known any more.
    pub(crate) fn still_blocked(destination: &Destination, since: Timestamp) -> Self {
        Self {
            summary:
                "the destination takes no messages: the last answer from it said that something \
                      must be changed first; its history shows that answer"
                    .to_owned(),
            firing: true,
            labels: about("DestinationBlocked", destination),
            circuit: Some((destination.key, since)),
        }
    }

    /// It takes deliveries again. The end is not before the beginning, or it would be that of an
    /// earlier block.
    pub(crate) fn unblocked(destination: &Destination, at: Timestamp) -> Self {
        Self {
            summary: UNBLOCKED.to_owned(),
            firing: false,
            ..Self::still_blocked(destination, at)
        }
    }

    /// The end of a block.
    pub(crate) fn over(&self, now: Timestamp) -> Self {
        Self {
            summary: UNBLOCKED.to_owned(),
            firing: false,
            circuit: self.circuit.map(|(key, since)| (key, now.max(since))),
            ..self.clone()
        }
    }

    /// A delivery became a dead letter.
    pub(crate) fn given_up(settled: &Settled) -> Self {
        let show = format!(
            "; look at it: alert-router dead-letters show {}",
            settled.id
        );
        let summary = explain(settled) + &show;
        Self {
            summary,
            firing: true,
            labels: about("DeliveryGivenUp", settled.outlet.receiver.destination()),
            circuit: None,
        }
    }

    /// A destination for which a delivery was given up has heard one. The dead letter stays.
    pub(crate) fn heard_again(settled: &Settled) -> Self {
        let summary = "the destination hears us again; what was given up is still among the dead \
                       letters: alert-router dead-letters list";
        Self {
            summary: summary.to_owned(),
            firing: false,
            labels: about("DeliveryGivenUp", settled.outlet.receiver.destination()),
            circuit: None,
        }
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
        Self {
            summary,
            firing: true,
            labels: about("RecipientsRefused", settled.outlet.receiver.destination()),
            circuit: None,
        }
    }

    /// A source has not spoken for too long, or is back.
    pub(crate) fn silent(source: &SourceName, firing: bool) -> Self {
        let name = source.as_str().to_owned();
        let labels = BTreeMap::from([
            ("alertname", "SourceSilent".to_owned()),
            ("silent_source", name.clone()),
            ("severity", "warning".to_owned()),
        ]);
        let summary = format!(
            "nothing came from source {name} for its `silent_after`; its alerts stay open. \
             Is its Alertmanager up, and does its `url` still point here?"
        );
        Self {
            labels,
            summary,
            firing,
            circuit: None,
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
        parse(
            &Bytes::from(body.to_string()),
            &BTreeSet::new(),
            &BodyLimits::default(),
        )
        .expect("what this function writes is a webhook body")
    }
}

/// What it is about is the destination: a receiver may be renamed before the trouble is over, and
/// two receivers may reach the same destination.
fn about(alertname: &str, destination: &Destination) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("alertname", alertname.to_owned()),
        ("channel", destination.channel.to_owned()),
        ("destination", destination.label.clone()),
        (DESTINATION_ID, destination_id(destination.key)),
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
