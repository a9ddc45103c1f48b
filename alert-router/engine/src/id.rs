//! One id type per kind of thing. All are stable across restarts and config changes.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::label::Fingerprint;

/// Where alerts come from: one Alertmanager cluster, named in the URL (`/webhook/{source}`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// The source of `/webhook`, and of everything that names none.
    #[must_use]
    pub fn unnamed() -> Self {
        Self("default".into())
    }

    /// The source of our own troubles.
    #[must_use]
    pub fn ours() -> Self {
        Self("alert-router".into())
    }

    /// A source of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which alert: its source, and the fingerprint of its labels minus the source's `ignore_labels`.
///
/// Ordered by fingerprint, then source: it is looked up for every observation, and one comparison of
/// numbers nearly always decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AlertKey {
    /// Where it comes from.
    pub source: SourceName,
    /// Over the labels that make its identity.
    pub fingerprint: Fingerprint,
}

impl Ord for AlertKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_fingerprint = self.fingerprint.cmp(&other.fingerprint);
        by_fingerprint.then_with(|| self.source.cmp(&other.source))
    }
}

impl PartialOrd for AlertKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first 128 bits of SHA-256 over `parts`, each with its length, so that no two
            /// lists of parts run together.
            #[must_use]
            pub fn of(parts: &[&[u8]]) -> Self {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update((part.len() as u64).to_le_bytes());
                    hash.update(part);
                }
                let mut id = [0; 16];
                id.copy_from_slice(&hash.finalize()[..16]);
                Self(id)
            }
        }

        /// Thirty-two lower-case hex digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hash_id! {
    /// A route of the tree, by what it matches and whom it tells, not by its place in the file.
    RouteId
}
hash_id! {
    /// A group: route and group labels.
    GroupId
}
hash_id! {
    /// A destination: what people would call the same mailbox or room.
    LaneKey
}
hash_id! {
    /// The text of an alert (labels, annotations, generator URL), immutable under its hash.
    BodyHash
}
hash_id! {
    /// One delivery: one content for one lane, or one digest for many.
    DeliveryId
}
hash_id! {
    /// The part of the config that decides where alerts go.
    ConfigHash
}
hash_id! {
    /// What a message says, whenever it is said.
    ContentHash
}
