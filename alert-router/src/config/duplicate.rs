//! Finds a key that stands twice in one mapping, at its line. The parser itself says only in which
//! mapping.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What a text fails at.
pub(super) enum Flaw {
    /// At the second of two equal keys.
    Twice(String, serde_yaml::Error),
    /// Where it is no YAML.
    Yaml(serde_yaml::Error),
}

/// Reads `text` through.
pub(super) fn refuse(text: &str) -> Result<(), Flaw> {
    let twice = RefCell::default();
    let read = Walk(&twice).deserialize(serde_yaml::Deserializer::from_str(text));
    read.map_err(|error| match twice.take() {
        Some(key) => Flaw::Twice(key, error),
        None => Flaw::Yaml(error),
    })
}

/// Where the walk leaves the key that it stopped at.
type Twice<'t> = &'t RefCell<Option<String>>;

/// Reads any value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Walk<'t>(Twice<'t>);

/// Reads a key that must not be among those seen.
struct NewKey<'s, 't> {
    seen: &'s mut BTreeSet<String>,
    twice: Twice<'t>,
}

impl<'t> Walk<'t> {
    fn key<'s>(self, seen: &'s mut BTreeSet<String>) -> NewKey<'s, 't> {
        NewKey {
            seen,
            twice: self.0,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number, list or mapping without a !tag")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    /// A file without a value.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while entries.next_key_seed(self.key(&mut seen))?.is_some() {
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for NewKey<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NewKey<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name as key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.seen.insert(key.to_owned()) {
            return Ok(());
        }
        self.twice.replace(Some(key.to_owned()));
        Err(E::custom("twice"))
    }
}
