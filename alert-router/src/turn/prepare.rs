//! Composing and rendering what leaves in one turn, with everything that has to be read for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alert_engine::{BodyHash, DeliveryId, GroupId, GroupState, Timestamp};
use bytes::Bytes;

use super::compose::{self, Beside};
use super::{Want, parts};
use crate::message::{GroupNews, Message, Says};
use crate::plan::Plan;
use crate::receiver::{Delivery, Failure, Progress, Rendering, SendError};
use crate::step::groups::Held;
use crate::step::world::World;
use crate::step::{Step, bodies};
use crate::store::{Doc, Revision, Store, StoreError};
use crate::webhook::payload::AlertText;

/// What a turn composes from.
pub(super) struct Desk {
    store: Arc<dyn Store>,
    now: Timestamp,
    bodies: BTreeMap<BodyHash, AlertText>,
    /// What was rendered for the same content before.
    stored: BTreeMap<DeliveryId, Doc>,
    /// What each group says of itself.
    groups: BTreeMap<GroupId, GroupState>,
    external_urls: BTreeMap<GroupId, String>,
    /// The names of the sources of each group.
    sources: BTreeMap<GroupId, String>,
    names: BTreeMap<alert_engine::LaneKey, String>,
}

/// A delivery that could leave.
pub(super) struct Prepared {
    pub(super) id: DeliveryId,
    pub(super) delivery: Result<Delivery, Box<SendError>>,
    /// The revision of its stored parts.
    pub(super) stored: Revision,
}

impl Prepared {
    /// How many messages it costs.
    pub(super) fn messages(&self) -> u32 {
        self.delivery.as_ref().map_or(1, Delivery::messages)
    }
}

impl Desk {
    /// Reads all that the wants speak of.
    pub(super) async fn open(
        step: &Step,
        world: &World<'_>,
        wants: &[Want],
        groups: &BTreeMap<GroupId, Held>,
    ) -> Result<Self, StoreError> {
        let mut desk = Self {
            store: Arc::clone(&step.store),
            now: world.now,
            bodies: BTreeMap::new(),
            stored: BTreeMap::new(),
            groups: BTreeMap::new(),
            external_urls: BTreeMap::new(),
            sources: BTreeMap::new(),
            names: names(world.plan),
        };
        let mut hashes = BTreeSet::new();
        for want in wants {
            let Some(held) = groups.get(&want.due.group) else {
                continue;
            };
            let state = held.group.state();
            hashes.extend(compose::bodies_of(&want.due.content, state));
            let source = state.alerts.keys().next().map(|key| &key.source);
            let url = source.map_or("", |source| step.sources.external_url(source));
            desk.external_urls.insert(want.due.group, url.to_owned());
            desk.sources
                .entry(want.due.group)
                .or_insert_with(|| world.plan.config().shown_all(state.alerts.keys()));
            desk.groups
                .entry(want.due.group)
                .or_insert_with(|| state.clone());
        }
        let keys = hashes.iter().map(|hash| bodies::body_key(*hash));
        let keys = keys
            .chain(wants.iter().map(|want| parts::parts_key(want.due.id)))
            .collect();
        let mut docs = step.store.load(keys).await?.docs.into_iter();
        for hash in &hashes {
            let text = docs
                .next()
                .flatten()
                .and_then(|doc| bodies::read(&doc.bytes));
            desk.bodies.extend(text.map(|text| (*hash, text)));
        }
        for (want, doc) in wants.iter().zip(docs) {
            desk.stored.extend(doc.map(|doc| (want.due.id, doc)));
        }
        Ok(desk)
    }

    /// The delivery of one lane: as it was rendered before, if it says the same.
    pub(super) fn prepare(&self, want: &Want) -> Prepared {
        let (id, attempt) = (want.due.id, want.due.attempt);
        let stored = self.stored.get(&id);
        let revision = stored.map_or(Revision::NONE, |doc| doc.revision);
        let again = stored.and_then(|doc| parts::read(id, attempt, &doc.bytes));
        let delivery = match again {
            Some(delivery) => Ok(delivery),
            None => {
                let says = Says::Group(Box::new(self.news(want)));
                self.render(id, attempt, want, says, want.due.memory.as_deref())
            }
        };
        Prepared {
            id,
            delivery,
            stored: revision,
        }
    }

    /// One delivery for many lanes of a destination, as it was rendered before, if it says the same.
    pub(super) async fn prepare_digest(
        &self,
        id: DeliveryId,
        wants: &[Want],
    ) -> Result<Prepared, StoreError> {
        let attempt = wants.iter().map(|want| want.due.attempt).max().unwrap_or(1);
        let stored = self
            .store
            .load(vec![parts::parts_key(id)])
            .await?
            .docs
            .into_iter()
            .flatten();
        let stored = stored.last();
        let revision = stored.as_ref().map_or(Revision::NONE, |doc| doc.revision);
        let again = stored.and_then(|doc| parts::read(id, attempt, &doc.bytes));
        let delivery = match (again, wants.first()) {
            (Some(delivery), _) => Ok(delivery),
            (None, Some(first)) => {
                let says = Says::Digest(wants.iter().map(|want| self.news(want)).collect());
                self.render(id, attempt, first, says, None)
            }
            (None, None) => Err(unrendered("a digest of nothing".to_owned())),
        };
        Ok(Prepared {
            id,
            delivery,
            stored: revision,
        })
    }

    fn news(&self, want: &Want) -> GroupNews {
        let group = self
            .groups
            .get(&want.due.group)
            .expect("the desk holds every group that wants");
        let failed = want.due.content.failed_over_from;
        let beside = Beside {
            bodies: &self.bodies,
            sources: self.sources.get(&want.due.group).map_or("", String::as_str),
            external_url: self
                .external_urls
                .get(&want.due.group)
                .map_or("", String::as_str),
            failed_over_from: failed
                .and_then(|lane| self.names.get(&lane))
                .map(String::as_str),
        };
        compose::news(&want.due, group, &beside)
    }

    fn render(
        &self,
        id: DeliveryId,
        attempt: u32,
        want: &Want,
        says: Says,
        memory: Option<&[u8]>,
    ) -> Result<Delivery, Box<SendError>> {
        let outlet = &want.outlet;
        let message = Message {
            id,
            created: self.now,
            receiver: outlet.name.to_string(),
            says,
        };
        let memory = memory.map(Bytes::copy_from_slice);
        let rendering = Rendering {
            message: &message,
            memory: memory.as_ref(),
            locale: &outlet.locale,
        };
        let parts = outlet.receiver.render(&rendering);
        let parts = parts.map_err(|error| unrendered(error.to_string()))?;
        Ok(Delivery {
            id,
            attempt,
            created: self.now,
            parts,
            progress: Progress::new(),
        })
    }
}

/// The receiver of each destination, for people.
fn names(plan: &Plan) -> BTreeMap<alert_engine::LaneKey, String> {
    plan.outlets()
        .map(|(lane, outlet)| (lane, outlet.name.to_string()))
        .collect()
}

fn unrendered(why: String) -> Box<SendError> {
    Box::new(SendError {
        failure: Failure::Refused,
        reason: "render",
        code: None,
        answer: why,
        fix: None,
        progress: Progress::new(),
    })
}
