//! Alerts that share a fingerprint and are not the same. The fingerprint is upstream's: 64 bits that
//! anybody can make collide, and two alerts under one identity would end each other. So on a hit
//! with another text the labels are compared, and whoever comes second gets an identity of its own.

use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{AlertKey, BodyHash, Fingerprint, Group, GroupId, Labels, SourceName, Text};

use super::groups::Held;
use super::observe::Seen;
use super::{Step, bodies};
use crate::plan::Plan;
use crate::store::StoreError;

/// At most so many are remembered; then all are forgotten, which costs reading a text again.
const REMEMBERED: usize = 200_000;

/// Whose each identity is, by a hash of its labels that cannot be made to collide.
#[derive(Default)]
pub(super) struct Identities(BTreeMap<AlertKey, Fingerprint>);

/// What is known of an identity before an alert is taken in.
enum Holder {
    /// A group knows it, with the text that just came.
    SameText,
    /// A group knows it, with another text.
    OtherText(BodyHash),
    /// No group knows it, or only by its name.
    Nobody,
}

/// The labels that make an alert of this source what it is.
pub(super) fn identity_labels<'a>(
    plan: &'a Plan,
    source: &SourceName,
    labels: &'a Labels,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let ignored = &plan.config().source(source).ignore_labels;
    labels.iter().filter(|(name, _)| !ignored.contains(*name))
}

/// The identity of an alert whose fingerprint belongs to another one: the first 64 bits of SHA-256.
pub(super) fn second_fingerprint<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> Fingerprint {
    let parts: Vec<&[u8]> = labels
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .collect();
    let hash = BodyHash::of(&parts).0;
    let (first, _) = hash.split_first_chunk().expect("sixteen bytes hold eight");
    Fingerprint(u64::from_be_bytes(*first))
}

impl Step {
    /// Gives alerts whose fingerprint is another alert's an identity of their own. Says whether
    /// there were any: then their homes are to be read.
    pub(super) async fn tell_apart(
        &mut self,
        plan: &Plan,
        seen: &mut [Vec<Seen<'_>>],
        groups: &BTreeMap<GroupId, Held>,
    ) -> Result<bool, StoreError> {
        self.learn(plan, seen, groups).await?;
        let mut found = false;
        for seen in seen.iter_mut().flatten() {
            if let Holder::SameText = holder(seen, groups) {
                continue;
            }
            let own = seen.routed.second;
            let key = &mut seen.observation.key;
            let owner = *self.identities.0.entry(key.clone()).or_insert(own);
            if owner != own {
                key.fingerprint = own;
                seen.homes.clear();
                found = true;
            }
        }
        Ok(found)
    }

    /// Reads the labels of stored alerts that came with another text, if they are not known yet.
    async fn learn(
        &mut self,
        plan: &Plan,
        seen: &[Vec<Seen<'_>>],
        groups: &BTreeMap<GroupId, Held>,
    ) -> Result<(), StoreError> {
        let known = &mut self.identities.0;
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let mut unknown: BTreeMap<BodyHash, BTreeSet<AlertKey>> = BTreeMap::new();
        for seen in seen.iter().flatten() {
            let key = &seen.observation.key;
            match holder(seen, groups) {
                Holder::OtherText(text) if !known.contains_key(key) => {
                    unknown.entry(text).or_default().insert(key.clone());
                }
                Holder::OtherText(_) | Holder::SameText | Holder::Nobody => {}
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let keys = unknown.keys().map(|hash| bodies::body_key(*hash)).collect();
        let docs = self.store.load(keys).await?.docs;
        for (keys, doc) in unknown.into_values().zip(docs) {
            let Some(text) = doc.and_then(|doc| bodies::read(&doc.bytes)) else {
                continue;
            };
            for key in keys {
                let labels = identity_labels(plan, &key.source, &text.labels);
                let owner = second_fingerprint(labels);
                self.identities.0.insert(key, owner);
            }
        }
        Ok(())
    }
}

fn holder(seen: &Seen<'_>, groups: &BTreeMap<GroupId, Held>) -> Holder {
    let key = &seen.observation.key;
    let text = |group: &Group| {
        let alert = group.state().alerts.get(key)?;
        match alert.text {
            Text::Body(hash) => Some(hash),
            Text::Name(_) => None,
        }
    };
    let texts = seen.groups().filter_map(|id| text(&groups.get(&id)?.group));
    let mut other = Holder::Nobody;
    for hash in texts {
        if hash == seen.observation.body {
            return Holder::SameText;
        }
        other = Holder::OtherText(hash);
    }
    other
}
