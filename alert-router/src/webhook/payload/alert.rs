//! One alert as it comes over the wire: the fields that are known, and those that are not.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{Pairs, Text, Unknown};

/// Bytes of what is kept of an alert beside its known fields.
const KEPT: usize = 4 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAlert<'a> {
    pub(super) status: WireStatus,
    pub(super) labels: Pairs<'a>,
    pub(super) annotations: Option<Pairs<'a>>,
    pub(super) starts_at: Option<Text<'a>>,
    /// Read only of an alert that is over.
    pub(super) ends_at: Option<&'a RawValue>,
    #[serde(rename = "generatorURL")]
    pub(super) generator_url: Option<Text<'a>>,
    #[serde(skip)]
    pub(super) unknown: BTreeMap<Text<'a>, &'a RawValue>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WireStatus {
    Firing,
    Resolved,
}

impl WireAlert<'_> {
    /// The fields that are not known, by name, as far as there is room. The others are left out, and
    /// cost nobody the alert.
    pub(super) fn kept(&self) -> Unknown {
        let mut room = KEPT;
        let fits = |(name, raw): (&Text<'_>, &&RawValue)| {
            let left = room.checked_sub(name.as_str().len() + raw.get().len())?;
            let value = serde_json::from_str(raw.get()).ok()?;
            room = left;
            Some((name.as_str().to_owned(), value))
        };
        self.unknown.iter().filter_map(fits).collect()
    }
}

/// The labels of a route, as far as there is room.
pub(super) fn route_labels(pairs: &Pairs<'_>) -> alert_engine::Labels {
    let mut room = KEPT;
    let fits = |(name, value): &(&str, &str)| {
        let left = room.checked_sub(name.len() + value.len());
        room = left.unwrap_or(room);
        left.is_some()
    };
    pairs.pairs().filter(fits).collect()
}

/// Written by hand, because serde's `flatten` would copy every alert to find what is unknown.
impl<'de: 'a, 'a> Deserialize<'de> for WireAlert<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(std::marker::PhantomData))
    }
}

struct Fields<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
    type Value = WireAlert<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut status, mut labels, mut annotations) = (None, None, None);
        let (mut starts_at, mut ends_at, mut generator_url) = (None, None, None);
        let mut unknown = BTreeMap::new();
        while let Some(name) = map.next_key::<Text<'a>>()? {
            match name.as_str() {
                "status" => once(&mut map, &mut status, "status")?,
                "labels" => once(&mut map, &mut labels, "labels")?,
                "annotations" => once(&mut map, &mut annotations, "annotations")?,
                "startsAt" => once(&mut map, &mut starts_at, "startsAt")?,
                "endsAt" => once(&mut map, &mut ends_at, "endsAt")?,
                "generatorURL" => once(&mut map, &mut generator_url, "generatorURL")?,
                // Computed, not read.
                "fingerprint" => drop(map.next_value::<IgnoredAny>()?),
                _ => drop(unknown.insert(name, map.next_value()?)),
            }
        }
        Ok(WireAlert {
            status: status.ok_or_else(|| A::Error::missing_field("status"))?,
            labels: labels.ok_or_else(|| A::Error::missing_field("labels"))?,
            annotations: annotations.flatten(),
            starts_at: starts_at.flatten(),
            ends_at: ends_at.flatten(),
            generator_url: generator_url.flatten(),
            unknown,
        })
    }
}

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    slot: &mut Option<T>,
    field: &'static str,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(field));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}
