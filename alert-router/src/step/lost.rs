//! What is given up without anybody having reported how it ended: a last attempt that lapsed, and
//! what was owed to a destination that left the config. It becomes a dead letter in the commit that
//! notes it, and then a trouble.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_engine::{
    Became, BodyHash, Content, DeliveryId, GroupId, GroupState, LaneKey, Note, Record, Text,
    Timestamp, Unsaid,
};

use super::bodies;
use super::groups::{Changes, Shared};
use crate::dead_letter::{self, GivenUp, RawAlerts};
use crate::history::Event;
use crate::message::{AlertLine, Counted};
use crate::plan::{Outlet, Plan};
use crate::receiver::Destination;
use crate::render::Phrase;
use crate::store::{Store, StoreError};
use crate::turn::lanes::Lanes;
use crate::turn::{compose, parts};

/// Destinations whose names are remembered; with more, those that left are forgotten.
const NAMES: usize = 10_000;
/// What stands for a name that this process never knew.
pub(super) const NAMELESS: &str = "(no longer in the config)";

/// Something that was given up.
pub(crate) struct Lost {
    lane: LaneKey,
    /// Through what it was reached; `None` if it left the config.
    through: Option<Arc<Outlet>>,
    why: Why,
    alerts: Vec<Unsaid>,
    /// How many more there were.
    counted: u32,
}

enum Why {
    /// The last attempt of a delivery ended without an answer.
    Lapsed { id: DeliveryId, attempt: u32 },
    /// Its destination left the config.
    Left,
}

/// How people know each destination, also those that left the config since this process started.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<LaneKey, (String, Destination)>);

impl Lost {
    /// What a note says of something that was given up.
    pub(super) fn of(note: &Note, group: &GroupState, plan: &Plan) -> Option<Self> {
        match note {
            Note::Lapsed(record) => Self::lapsed(record, group, plan),
            Note::Unsaid {
                lane,
                alerts,
                counted,
            } => Some(Self {
                lane: *lane,
                through: None,
                why: Why::Left,
                alerts: alerts.clone(),
                counted: *counted,
            }),
            Note::LaneClosed { .. } | Note::LaneOpened { .. } | Note::Folded { .. } => None,
        }
    }

    fn lapsed(record: &Record, group: &GroupState, plan: &Plan) -> Option<Self> {
        let Became::GivenUp { .. } = record.became else {
            return None;
        };
        let (lane, content) = (record.lane?, record.content.as_ref()?);
        Some(Self {
            lane,
            through: plan.outlet(group.route, lane),
            why: Why::Lapsed {
                id: record.id,
                attempt: record.attempt,
            },
            alerts: said(content, group),
            counted: content.expired,
        })
    }

    /// Two lanes of one digest are given up in one letter, and so is all that one lane was owed.
    fn id(&self, group: GroupId, now: Timestamp) -> DeliveryId {
        match self.why {
            Why::Lapsed { id, .. } => id,
            Why::Left => {
                let now = now.as_millis().to_le_bytes();
                DeliveryId::of(&[b"left", &group.0, &self.lane.0, &now])
            }
        }
    }

    fn texts(&self) -> impl Iterator<Item = BodyHash> {
        self.alerts.iter().filter_map(|told| match &told.text {
            Some(Text::Body(hash)) => Some(*hash),
            Some(Text::Name(_)) | None => None,
        })
    }

    /// What people read of it. `lanes`: all that share it.
    fn given_up(&self, id: DeliveryId, lanes: Lanes, names: &Names) -> GivenUp {
        let (receiver, destination) = match &self.through {
            Some(outlet) => named(outlet),
            None => names.of(self.lane),
        };
        let (reason, answer, fix) = match self.why {
            Why::Lapsed { attempt, .. } => ("lapsed", no_answer(attempt), LOOK),
            Why::Left => (dead_letter::RECEIVER_LEFT, left(&receiver), TELL),
        };
        GivenUp {
            id,
            lanes,
            receiver,
            destination,
            reason,
            code: None,
            answer,
            fix: Some(fix),
        }
    }

    async fn raw(&self, store: &dyn Store) -> Result<(Vec<AlertLine>, Vec<Counted>), StoreError> {
        let texts = bodies::load(store, self.texts().collect()).await?;
        let said = self.alerts.iter();
        let said = said.map(|told| (&told.line, &told.episode, told.text.as_ref()));
        let (alerts, mut counted) = compose::lines(said, &texts);
        counted.push(Counted {
            name: String::new(),
            firing: 0,
            over: self.counted as usize,
        });
        Ok((alerts, counted))
    }
}

const LOOK: Phrase = Phrase::fixed(
    "look whether it arrived, then replay or drop it",
    "请确认消息是否已送达，然后重放或丢弃",
);
const TELL: Phrase = Phrase::fixed(
    "nobody hears of these alerts in its place: tell whoever must know, then drop it",
    "没有其他接收方会收到这些告警：请告知需要知道的人，然后丢弃",
);

fn no_answer(attempt: u32) -> Phrase {
    Phrase::new(
        format!(
            "attempt {attempt}, the last one, ended without an answer: the process died \
             meanwhile, or its deadline passed"
        ),
        format!("第 {attempt} 次（最后一次）尝试没有得到应答：进程在此期间终止，或已超过期限"),
    )
}

fn left(receiver: &str) -> Phrase {
    Phrase::new(
        format!("its receiver {receiver} left the configuration"),
        format!("其接收方 {receiver} 已从配置中移除"),
    )
}

/// What a content says of each episode, as far as its group remembers.
fn said(content: &Content, group: &GroupState) -> Vec<Unsaid> {
    let lines = content.lines.iter();
    lines.filter_map(|line| Unsaid::of(*line, group)).collect()
}

fn named(outlet: &Outlet) -> (String, Destination) {
    let destination = outlet.receiver.destination().clone();
    (outlet.name.to_string(), destination)
}

impl Names {
    /// Learns the destinations of a config.
    pub(super) fn learn(&mut self, plan: &Plan) {
        for (lane, outlet) in plan.outlets() {
            self.0.insert(lane, named(outlet));
        }
        if self.0.len() > NAMES {
            self.0.retain(|lane, _| plan.outlet_to(*lane).is_some());
        }
    }

    fn of(&self, lane: LaneKey) -> (String, Destination) {
        let known = self.0.get(&lane).cloned();
        known.unwrap_or_else(|| {
            let destination = Destination {
                channel: "",
                key: lane,
                label: NAMELESS.to_owned(),
            };
            (NAMELESS.to_owned(), destination)
        })
    }
}

/// Puts a dead letter of all that was given up among the changes, and returns what is to be told of
/// once they are written.
pub(super) async fn write_down(
    changes: &mut Changes,
    names: &Names,
    store: &dyn Store,
) -> Result<Vec<GivenUp>, StoreError> {
    let mut letters = Vec::new();
    for (id, lost) in by_letter(changes) {
        let lanes = Lanes::of(lost.iter().map(|(group, one)| (*group, one.lane)));
        let (Some(lanes), Some((_, first))) = (lanes, lost.first()) else {
            continue;
        };
        let given_up = first.given_up(id, lanes, names);
        let mut raw = RawAlerts::default();
        for (_, one) in &lost {
            let (alerts, counted) = one.raw(store).await?;
            raw.add(&alerts, &counted);
        }
        let keys = vec![parts::parts_key(id), dead_letter::letter_key(id)];
        let docs = store.load(keys).await?.docs;
        let (stored, before) = (docs[0].as_ref(), docs[1].as_ref());
        let letter = dead_letter::letter(&given_up, stored, raw, changes.now);
        let groups: Vec<GroupId> = given_up.lanes.groups().collect();
        if let Why::Left = first.why {
            let event = Event::left(id, changes.now, letter.carried());
            for group in &groups {
                if let Some(touched) = changes.groups.get_mut(group) {
                    touched.events.push(event.clone());
                }
            }
        }
        let write = letter.write(id, before);
        changes.shared.push(Shared { groups, write });
        letters.push(given_up);
    }
    Ok(letters)
}

/// What was given up, by the letter that it goes into.
fn by_letter(changes: &mut Changes) -> BTreeMap<DeliveryId, Vec<(GroupId, Lost)>> {
    let mut letters: BTreeMap<DeliveryId, Vec<(GroupId, Lost)>> = BTreeMap::new();
    for (group, touched) in &mut changes.groups {
        for lost in touched.lost.drain(..) {
            let id = lost.id(*group, changes.now);
            letters.entry(id).or_default().push((*group, lost));
        }
    }
    letters
}
