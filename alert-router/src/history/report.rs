//! What the engine reports, as events. Apart from the stored types, because those may not follow
//! when the engine changes its words.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{
    AlertKey, Became, Change, ConfigHash, Content, DeliveryId, GroupId, LaneKey, Note, Record,
    Timestamp, Verdict,
};

use super::{Alerts, Delivery, Event, Observed, Recipients, Why};

/// What only the shell knows about a delivery, in words that people may see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// The receiver's name in the config.
    pub receiver: String,
    /// `email`, `wecom_bot` …
    pub channel: String,
    /// To whom.
    pub destination: String,
    /// The provider's answer, or the error, redacted.
    pub answer: String,
    /// How many recipients refused it for good.
    pub refused: u32,
    /// Who they are, and who has it.
    pub recipients: Recipients,
    /// The alerts of its episodes.
    pub alerts: Alerts,
}

impl Event {
    /// Observations changed alerts; `None` if there are none. `upstream`: why upstream spoke.
    #[must_use]
    pub fn observed(
        changes: &BTreeMap<AlertKey, Change>,
        upstream: &BTreeSet<&str>,
    ) -> Option<Self> {
        let that = |wanted: Change| {
            let fitting = changes.iter().filter(move |(_, change)| **change == wanted);
            fitting.map(|(alert, _)| alert).collect()
        };
        let observed = Observed {
            began: that(Change::Began),
            ended: that(Change::Ended),
            doubted: that(Change::Doubted),
            reopened: that(Change::Reopened),
            edited: that(Change::Detail),
            upstream: upstream.iter().copied().map(str::to_owned).collect(),
        };
        (!changes.is_empty()).then_some(Self::Observed(observed))
    }

    /// A given up delivery was sent again as it was.
    #[must_use]
    pub fn resent(id: DeliveryId, carried: Carried) -> Self {
        Self::Resent {
            refused: carried.refused,
            recipients: carried.recipients.clone(),
            delivery: of_no_lane(id, carried),
        }
    }

    /// A given up delivery was dropped.
    #[must_use]
    pub fn dropped(id: DeliveryId, carried: Carried) -> Self {
        let delivery = of_no_lane(id, carried);
        Self::Dropped { delivery }
    }

    /// A given up delivery was too old to be kept.
    #[must_use]
    pub fn swept(id: DeliveryId, carried: Carried) -> Self {
        let delivery = of_no_lane(id, carried);
        Self::Swept { delivery }
    }

    /// A delivery ended.
    #[must_use]
    pub fn settled(record: &Record, carried: Carried) -> Self {
        let content = record.content.as_ref();
        let (refused, recipients) = (carried.refused, carried.recipients);
        let delivery = Delivery {
            id: record.id.to_string(),
            attempt: record.attempt,
            receiver: carried.receiver,
            channel: carried.channel,
            destination: carried.destination,
            reason: content.map(|content| content.verdict.into()),
            alerts: carried.alerts,
            answer: carried.answer,
        };
        match record.became {
            Became::Heard | Became::PartlyHeard => Self::Told {
                delivery,
                refused,
                recipients,
            },
            Became::Retried { at, lapsed } => Self::Failed {
                delivery,
                retry_at: at.as_millis(),
                lapsed,
            },
            Became::GivenUp { until } => Self::GaveUp {
                delivery,
                until: until.as_millis(),
            },
            Became::HeldBack { until } => Self::HeldBack {
                delivery,
                until: Some(until.as_millis()),
            },
            Became::Blocked => Self::HeldBack {
                delivery,
                until: None,
            },
            Became::Late => Self::Late { delivery },
        }
    }

    /// Time alone did something. `carried` says how people know a destination, and a content. What
    /// nobody hears of becomes a dead letter, which has an event of its own.
    #[must_use]
    pub fn noted(
        note: &Note,
        carried: impl Fn(LaneKey, Option<&Content>) -> Carried,
    ) -> Option<Self> {
        let name = |lane| carried(lane, None).receiver;
        Some(match note {
            Note::Lapsed(record) => {
                let content = record.content.as_ref();
                let to = record.lane.map(|lane| carried(lane, content));
                Self::settled(record, to.unwrap_or_default())
            }
            Note::Unsaid { .. } => return None,
            Note::LaneClosed { lane, unfinished } => Self::Closed {
                lane: name(*lane),
                unfinished: *unfinished,
            },
            Note::LaneOpened { lane } => Self::Opened { lane: name(*lane) },
            Note::Folded { lane, count } => Self::Folded {
                lane: name(*lane),
                count: *count,
            },
        })
    }

    /// What a destination was owed when it left the config was given up.
    #[must_use]
    pub(crate) fn left(id: DeliveryId, now: Timestamp, carried: Carried) -> Self {
        Self::GaveUp {
            delivery: of_no_lane(id, carried),
            until: now.as_millis(),
        }
    }

    /// Alerts went on in the group `to`.
    #[must_use]
    pub fn moved<'a>(alerts: impl IntoIterator<Item = &'a AlertKey>, to: GroupId) -> Self {
        Self::Moved {
            alerts: alerts.into_iter().collect(),
            to: to.to_string(),
        }
    }

    /// Alerts came from the group `from`.
    #[must_use]
    pub fn joined<'a>(alerts: impl IntoIterator<Item = &'a AlertKey>, from: GroupId) -> Self {
        Self::Joined {
            alerts: alerts.into_iter().collect(),
            from: from.to_string(),
        }
    }

    /// The group was routed with the config of that hash.
    #[must_use]
    pub fn config(hash: ConfigHash) -> Self {
        Self::Config {
            hash: hash.to_string(),
        }
    }
}

/// A delivery that no lane knows any more.
fn of_no_lane(id: DeliveryId, carried: Carried) -> Delivery {
    Delivery {
        id: id.to_string(),
        attempt: 1,
        receiver: carried.receiver,
        channel: carried.channel,
        destination: carried.destination,
        reason: None,
        alerts: carried.alerts,
        answer: carried.answer,
    }
}

impl From<Verdict> for Why {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::First => Self::First,
            Verdict::NewAlerts => Self::NewAlerts,
            Verdict::SomeResolved => Self::SomeResolved,
            Verdict::AllResolved => Self::AllResolved,
            Verdict::Missed => Self::Missed,
            Verdict::Repeat => Self::Repeat,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alert_engine::{Fingerprint, SourceName};

    use super::*;

    fn alert(fingerprint: u64) -> AlertKey {
        AlertKey {
            source: SourceName::new("prod"),
            fingerprint: Fingerprint(fingerprint),
        }
    }

    fn became(became: Became) -> String {
        let content = Content {
            verdict: Verdict::AllResolved,
            lines: Vec::new(),
            muted: 0,
            expired: 0,
            delayed_by: Some(Duration::from_secs(1)),
            failed_over_from: None,
        };
        let record = Record {
            at: Timestamp::from_millis(1),
            lane: Some(LaneKey([1; 16])),
            id: DeliveryId([2; 16]),
            attempt: 3,
            content: Some(content),
            became,
        };
        let carried = Carried {
            receiver: "db".to_owned(),
            refused: 4,
            ..Carried::default()
        };
        let text = serde_json::to_string(&Event::settled(&record, carried)).unwrap();
        let delivery = "{\"id\":\"02020202020202020202020202020202\",\"attempt\":3,\
            \"receiver\":\"db\",\"channel\":\"\",\"destination\":\"\",\
            \"reason\":\"all_resolved\",\"alerts\":{},\"answer\":\"\"}";
        text.replace(delivery, "DELIVERY").replace('"', "")
    }

    #[test]
    fn each_ending_of_a_delivery_is_an_event_of_its_own() {
        let at = Timestamp::from_millis(5);
        let cases = [
            (Became::Heard, "{event:told,delivery:DELIVERY,refused:4}"),
            (
                Became::PartlyHeard,
                "{event:told,delivery:DELIVERY,refused:4}",
            ),
            (
                Became::Retried { at, lapsed: true },
                "{event:failed,delivery:DELIVERY,retry_at:5,lapsed:true}",
            ),
            (
                Became::GivenUp { until: at },
                "{event:gave_up,delivery:DELIVERY,until:5}",
            ),
            (
                Became::HeldBack { until: at },
                "{event:held_back,delivery:DELIVERY,until:5}",
            ),
            (
                Became::Blocked,
                "{event:held_back,delivery:DELIVERY,until:null}",
            ),
            (Became::Late, "{event:late,delivery:DELIVERY}"),
        ];
        for (ending, expected) in cases {
            assert_eq!(became(ending), expected, "{ending:?}");
        }
    }

    #[test]
    fn alerts_are_listed_by_what_happened_to_them() {
        assert_eq!(Event::observed(&BTreeMap::new(), &BTreeSet::new()), None);
        let changes = BTreeMap::from([
            (alert(1), Change::Began),
            (alert(2), Change::Detail),
            (alert(3), Change::Began),
        ]);
        let observed = Observed {
            began: [alert(1), alert(3)].iter().collect(),
            edited: [alert(2)].iter().collect(),
            upstream: BTreeSet::from(["new alerts added".to_owned()]),
            ..Observed::default()
        };
        let upstream = BTreeSet::from(["new alerts added"]);
        let event = Event::observed(&changes, &upstream);
        assert_eq!(event, Some(Event::Observed(observed)));
    }

    #[test]
    fn a_note_names_the_destination_as_people_know_it() {
        let note = Note::LaneClosed {
            lane: LaneKey([1; 16]),
            unfinished: 2,
        };
        let closed = Event::Closed {
            lane: "ops-mail".to_owned(),
            unfinished: 2,
        };
        let ops = |_, _: Option<&Content>| Carried {
            receiver: "ops-mail".to_owned(),
            ..Carried::default()
        };
        assert_eq!(Event::noted(&note, ops), Some(closed));
    }
}
