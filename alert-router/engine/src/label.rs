//! Label sets, and the fingerprint that Alertmanager would compute for them.

use std::fmt;
use std::sync::Arc;

/// A set of labels or annotations, sorted by name, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value of `name`, if present.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self
            .0
            .binary_search_by(|(n, _)| n.as_ref().cmp(name))
            .ok()?;
        Some(&self.0[at].1)
    }

    /// All pairs, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Upstream's fingerprint of this set.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_sorted(self.iter())
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Labels {
    /// Sorts by name. Of a name that comes twice the last value holds, as in a JSON object.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(n, v)| (n.into(), v.into()));
        Self(
            pairs
                .collect::<std::collections::BTreeMap<Box<str>, Box<str>>>()
                .into_iter()
                .collect(),
        )
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Alertmanager's fingerprint of a label set: 64-bit FNV-1a over the sorted pairs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of pairs that are sorted by name, without building a [`Labels`].
    #[must_use]
    pub fn of_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        const OFFSET: u64 = 14_695_981_039_346_656_037;
        const PRIME: u64 = 1_099_511_628_211;
        const SEPARATOR: u8 = 0xff;
        let mut hash = OFFSET;
        let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for (name, value) in pairs {
            name.bytes().for_each(&mut eat);
            eat(SEPARATOR);
            value.bytes().for_each(&mut eat);
            eat(SEPARATOR);
        }
        Self(hash)
    }
}

/// Sixteen lower-case hex digits, as Alertmanager writes it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_that_alertmanagers_sent() {
        let recorded = include_str!("../testdata/fingerprints.json");
        let rows: Vec<serde_json::Value> = serde_json::from_str(recorded).unwrap();
        assert!(rows.len() > 10);
        for row in rows {
            let labels = row["labels"].as_object().unwrap();
            let pairs = labels
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str().unwrap()));
            let labels = Labels::from_iter(pairs);
            assert_eq!(
                labels.fingerprint().to_string(),
                row["fingerprint"],
                "{labels:?}"
            );
        }
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_value_holds() {
        let labels = Labels::from_iter([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
    }
}
