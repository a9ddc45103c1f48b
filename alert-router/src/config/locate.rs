//! Finds the line of a key. The YAML parser tells positions in errors only, so this walks the file
//! once more and fails on purpose at the key in question. Nothing here runs for a correct file.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::{KeyPath, Step};

/// The line of `path` in `text`, or of its nearest ancestor that stands there.
pub(super) fn line_of(text: &str, path: &KeyPath) -> usize {
    (1..=path.0.len())
        .rev()
        .find_map(|len| line_of_exactly(text, &path.0[..len]))
        .unwrap_or(1)
}

fn line_of_exactly(text: &str, path: &[Step]) -> Option<usize> {
    let probe = Probe { path };
    let error = probe
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    Some(error.location()?.line())
}

/// Fails at the key or element that the path names.
#[derive(Clone, Copy)]
struct Probe<'p> {
    path: &'p [Step],
}

/// Fails at a key if it is the wanted one and the last; else says whether it is the wanted one.
struct KeyProbe<'p> {
    wanted: &'p str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Probe<'_> {
    /// An element was reached: if it is what was looked for, here it is.
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.path.is_empty() {
            Err(found())
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else {
            return Err(found());
        };
        let mut at = 0;
        loop {
            let here = *first == Step::Index(at);
            let more = if here {
                elements.next_element_seed(Probe { path: rest })?.is_some()
            } else {
                elements.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else {
            return Err(found());
        };
        let wanted = match first {
            Step::Key(key) => key.as_str(),
            Step::Index(_) => "",
        };
        let last = rest.is_empty();
        while let Some(here) = entries.next_key_seed(KeyProbe { wanted, last })? {
            if here {
                entries.next_value_seed(Probe { path: rest })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let here = key == self.wanted;
        if here && self.last {
            Err(found())
        } else {
            Ok(here)
        }
    }
}

fn found<E: Error>() -> E {
    E::custom("here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_at_its_key_or_element_or_nearest_ancestor() {
        let text = "a: 1\nb:\n  - x: 1\n    y:\n      z: 2\n  - {x: 3, y: 4}\nc: [\n  5,\n  6]\n";
        let root = KeyPath::default();
        for (path, line) in [
            (root.key("a"), 1),
            (root.key("b"), 2),
            (root.key("b").index(0), 3),
            (root.key("b").index(0).key("y").key("z"), 5),
            (root.key("b").index(1).key("y"), 6),
            (root.key("c").index(1), 9),
            (root.key("b").index(0).key("nowhere"), 3),
            (root.key("nowhere"), 1),
        ] {
            assert_eq!(line_of(text, &path), line, "{path}");
        }
    }
}
