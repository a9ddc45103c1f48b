//! Deliveries that were given up, kept with all that a person needs to judge and replay them.

mod alerts;
mod resend;

pub use alerts::RawAlerts;
pub use resend::{ResendError, Resender};

use std::collections::BTreeSet;
use std::time::Duration;

use alert_engine::{DeliveryId, GroupId, LaneKey, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::history::{self, Carried, Event};
use crate::id;
use crate::listing::Listed;
use crate::receiver::Destination;
use crate::render::{Language, Phrase};
use crate::step::groups::group_key;
use crate::store::{Committed, Doc, DocKey, Kind, Record, Store, StoreError, Unit, Write};
use crate::turn::deliver::Settled;
use crate::turn::lanes::Lanes;

/// A letter is looked at so often, so that a reload that keeps letters shorter takes effect.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The delivery.
    pub id: String,
    /// When it was given up, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The receiver's name.
    pub receiver: String,
    /// Its channel.
    pub channel: String,
    /// The destination as people may see it.
    pub destination: String,
    /// A bounded reason.
    pub reason: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's answer, redacted.
    pub answer: String,
    /// What to do about it, in English.
    pub fix: Option<String>,
    /// The same in Chinese. What an older binary gave up has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_zh: Option<String>,
    /// The lanes that it spoke for: group and lane, in hex.
    pub lanes: Vec<(String, String)>,
    /// The alerts that it spoke of. Lists leave them out.
    #[serde(flatten)]
    pub raw: RawAlerts,
    /// What would have been sent, as stored. Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<serde_json::Value>,
}

pub(crate) fn letter_key(id: DeliveryId) -> DocKey {
    DocKey {
        kind: Kind::DeadLetter,
        id: Bytes::copy_from_slice(&id.0),
    }
}

/// The reason of what was owed to a destination that left the config.
pub(crate) const RECEIVER_LEFT: &str = "receiver_left";

/// How a delivery was given up.
pub(crate) struct GivenUp {
    pub(crate) id: DeliveryId,
    /// For which it spoke.
    pub(crate) lanes: Lanes,
    /// The name of the receiver.
    pub(crate) receiver: String,
    pub(crate) destination: Destination,
    pub(crate) reason: &'static str,
    /// The provider's.
    pub(crate) code: Option<String>,
    /// The provider's, or what stands for it.
    pub(crate) answer: Phrase,
    pub(crate) fix: Option<Phrase>,
}

impl GivenUp {
    pub(crate) fn of(settled: &Settled) -> Self {
        let error = settled.result.as_ref().err();
        Self {
            id: settled.id,
            lanes: settled.lanes.clone(),
            receiver: settled.outlet.name.to_string(),
            destination: settled.outlet.receiver.destination().clone(),
            reason: error.map_or("attempts", |error| error.reason),
            code: error.and_then(|error| error.code.clone()),
            answer: Phrase::verbatim(error.map_or("", |error| &error.answer)),
            fix: error.and_then(|error| error.fix.clone()),
        }
    }
}

/// The dead letter of a delivery. `stored`: its rendered parts.
pub(crate) fn letter(
    given_up: &GivenUp,
    stored: Option<&Doc>,
    raw: RawAlerts,
    now: Timestamp,
) -> DeadLetter {
    let lane = |(group, lane): &(GroupId, LaneKey)| (group.to_string(), lane.to_string());
    let fix = |language| {
        let fix = given_up.fix.as_ref()?;
        Some(fix.in_language(language).to_owned())
    };
    DeadLetter {
        id: given_up.id.to_string(),
        at_ms: now.as_millis(),
        receiver: given_up.receiver.clone(),
        channel: given_up.destination.channel.to_owned(),
        destination: given_up.destination.label.clone(),
        reason: given_up.reason.to_owned(),
        code: given_up.code.clone(),
        answer: given_up.answer.to_string(),
        fix: fix(Language::English),
        fix_zh: fix(Language::Chinese),
        lanes: given_up.lanes.iter().map(lane).collect(),
        raw,
        rendered: stored.and_then(|doc| serde_json::from_slice(&doc.bytes).ok()),
    }
}

/// What is to be done with a letter that is due to be looked at. Returns it if it goes, because it
/// was given up longer than `keep` ago. One that cannot be read stays: a newer binary may read it.
pub(crate) fn look(doc: Doc, keep: Duration, now: Timestamp) -> (Unit, Option<DeadLetter>) {
    let letter: Option<DeadLetter> = serde_json::from_slice(&doc.bytes).ok();
    let goes_at = |letter: &DeadLetter| Timestamp::from_millis(letter.at_ms) + keep;
    let Some(letter) = letter.filter(|letter| goes_at(letter) <= now) else {
        let again = Write::Keep {
            key: doc.key,
            wake_at: Some(now + LOOK_AGAIN),
            bytes: doc.bytes,
        };
        return (again.into(), None);
    };
    let id = id::read(&letter.id).map(DeliveryId);
    let swept = id.map(|id| Event::swept(id, letter.carried()));
    let unit = Unit {
        history: swept.map_or_else(Vec::new, |swept| letter.records(now, &swept)),
        ..doc.removal().into()
    };
    (unit, Some(letter))
}

impl DeadLetter {
    /// The lanes that it spoke for; what is no id is left out, and `None` if nothing is left.
    pub(crate) fn lanes(&self) -> Option<Lanes> {
        let read = |(group, lane): &(String, String)| {
            Some((GroupId(id::read(group)?), LaneKey(id::read(lane)?)))
        };
        Lanes::of(self.lanes.iter().filter_map(read))
    }

    /// What to do about it, as people read it.
    #[must_use]
    pub fn fix_in(&self, language: Language) -> Option<&str> {
        let chinese = self.fix_zh.as_deref();
        let chinese = chinese.filter(|_| language == Language::Chinese);
        chinese.or(self.fix.as_deref())
    }

    /// Keeps it. Given up twice (after a replay), it is kept once, as it was; but lanes of the same
    /// digest that were given up later join it.
    pub(crate) fn write(mut self, id: DeliveryId, before: Option<&Doc>) -> Write {
        let key = letter_key(id);
        let wake_at = Some(Timestamp::from_millis(self.at_ms) + LOOK_AGAIN);
        let earlier = before.and_then(|doc| {
            let letter: Self = serde_json::from_slice(&doc.bytes).ok()?;
            Some((doc.revision, letter))
        });
        self.lanes.retain(|lane| match &earlier {
            Some((_, earlier)) => !earlier.lanes.contains(lane),
            None => true,
        });
        match earlier.filter(|_| !self.lanes.is_empty()) {
            None => Write::Keep {
                key,
                wake_at,
                bytes: self.bytes(),
            },
            Some((expected, mut earlier)) => {
                earlier.lanes.append(&mut self.lanes);
                earlier.raw.alerts.append(&mut self.raw.alerts);
                earlier.raw.alerts_left_out += self.raw.alerts_left_out;
                Write::Put {
                    key,
                    expected,
                    wake_at,
                    bytes: earlier.bytes(),
                }
            }
        }
    }

    /// To whom it was to go, and how it failed.
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            receiver: self.receiver.clone(),
            channel: self.channel.clone(),
            destination: self.destination.clone(),
            answer: self.answer.clone(),
            ..Carried::default()
        }
    }

    /// The event in the history of each of its groups.
    fn records(&self, now: Timestamp, event: &Event) -> Vec<Record> {
        let groups: BTreeSet<GroupId> = self.lanes().iter().flat_map(Lanes::groups).collect();
        let record = |group| history::record(now, group_key(group), vec![event.clone()]);
        groups.into_iter().filter_map(record).collect()
    }

    pub(crate) fn bytes(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("strings and numbers always serialise")
            .into()
    }
}

impl Listed for DeadLetter {
    const KIND: Kind = Kind::DeadLetter;

    fn without_content(mut self) -> Self {
        self.raw = RawAlerts::default();
        self.rendered = None;
        self
    }
}

/// One dead letter, with its document.
///
/// # Errors
///
/// If the store does not answer.
pub async fn find(
    store: &dyn Store,
    id: DeliveryId,
) -> Result<Option<(DeadLetter, Doc)>, StoreError> {
    let doc = store
        .load(vec![letter_key(id)])
        .await?
        .docs
        .into_iter()
        .flatten()
        .next();
    Ok(doc.and_then(|doc| Some((serde_json::from_slice(&doc.bytes).ok()?, doc))))
}

/// Removes a dead letter, which its people hear of no more; the history of its groups says so.
/// Returns whether it was there.
///
/// # Errors
///
/// If the store does not answer.
pub async fn discard(store: &dyn Store, id: DeliveryId) -> Result<bool, StoreError> {
    let loaded = store.load(vec![letter_key(id)]).await?;
    let Some(doc) = loaded.docs.into_iter().flatten().next() else {
        return Ok(false);
    };
    let letter: Option<DeadLetter> = serde_json::from_slice(&doc.bytes).ok();
    let records = letter.map_or_else(Vec::new, |letter| {
        let dropped = Event::dropped(id, letter.carried());
        letter.records(loaded.now, &dropped)
    });
    let unit = Unit {
        history: records,
        ..doc.removal().into()
    };
    let done = store.commit(vec![unit]).await?;
    Ok(matches!(done.first(), Some(Committed::Done(_))))
}
