//! An alert: what is observed of it, and what its upstream copies together make of it.

use std::sync::Arc;

use crate::episode::EpisodeId;
use crate::id::{AlertKey, BodyHash};
use crate::label::Fingerprint;
use crate::limits::VOICES_PER_ALERT;
use crate::source::Source;
use crate::time::Timestamp;
use crate::voice::{Moved, Standing, Voice, VoiceState};

/// One observation of one upstream copy of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which alert.
    pub key: AlertKey,
    /// Which copy: the fingerprint of the full labels.
    pub voice: Fingerprint,
    /// What it says.
    pub says: Says,
    /// Its text, stored elsewhere.
    pub body: BodyHash,
    /// Its `alertname`, by which it is counted where its text is not kept.
    pub name: Arc<str>,
    /// Whether it matches the route's `priority` matchers.
    pub priority: bool,
}

/// What an observation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Says {
    /// It fires since `start`.
    Firing {
        /// The upstream's `startsAt`.
        start: Timestamp,
        /// Until when this holds if it is not renewed: `endsAt` of `/api/v2/alerts`, or
        /// `resolve_timeout` from now. `None` for webhooks, which tell the end.
        expires: Option<Timestamp>,
    },
    /// It ended.
    Resolved {
        /// The upstream's `endsAt`.
        end: Timestamp,
    },
}

/// An alert of a group. Its current episode is found under `episode`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alert {
    /// Its upstream copies, sorted by key, at most [`VOICES_PER_ALERT`].
    pub voices: Vec<Voice>,
    /// Its latest occurrence.
    pub episode: EpisodeId,
    /// What is known of its text.
    pub text: Text,
    /// Whether it goes before others.
    pub priority: bool,
    /// It left the group by a config change: it may be closed here, it is never news here.
    pub departed: bool,
}

/// What is known of an alert's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Text {
    /// Stored under this hash.
    Body(BodyHash),
    /// Not kept, because the group is too large: the `alertname`, to count it by.
    Name(Arc<str>),
}

impl Alert {
    pub(crate) fn standing(&self) -> Standing {
        let standings = self.voices.iter().map(Voice::standing);
        standings.max().unwrap_or(Standing::Ended)
    }

    /// The latest end that any voice told.
    pub(crate) fn known_end(&self) -> Option<Timestamp> {
        self.voices.iter().filter_map(|voice| voice.known_end).max()
    }

    /// Takes in what one voice says; `None` if there are too many voices to remember this one.
    pub(crate) fn hear(
        &mut self,
        key: Fingerprint,
        says: Says,
        source: &Source,
        now: Timestamp,
    ) -> Option<Moved> {
        match self.voices.binary_search_by_key(&key, |voice| voice.key) {
            Ok(at) => Some(self.voices[at].hear(says, source, now)),
            Err(_) => {
                self.make_room()?;
                let at = self.voices.partition_point(|voice| voice.key < key);
                self.voices.insert(at, Voice::begin(key, says, now));
                Some(Moved::State)
            }
        }
    }

    /// Drops the longest unseen ended voice if there are too many to add one.
    fn make_room(&mut self) -> Option<()> {
        if self.voices.len() < VOICES_PER_ALERT {
            return Some(());
        }
        let ended = self.voices.iter().enumerate();
        let ended = ended.filter(|(_, voice)| voice.state == VoiceState::Ended);
        let (at, _) = ended.min_by_key(|(_, voice)| voice.seen)?;
        self.voices.remove(at);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn of_too_many_voices_the_longest_unseen_ended_one_goes() {
        let mut alert = Alert {
            voices: Vec::new(),
            episode: EpisodeId(0),
            text: Text::Name("A".into()),
            priority: false,
            departed: false,
        };
        let source = Source::default();
        let firing = Says::Firing {
            start: at(1),
            expires: None,
        };
        let mut hear = |key, says, second| {
            let moved = alert.hear(Fingerprint(key), says, &source, at(second));
            (moved.is_some(), alert.voices.len())
        };
        for (key, second) in (0..16).zip(1..) {
            assert!(hear(key, firing, second).0);
        }
        assert_eq!(hear(16, firing, 20), (false, 16));
        hear(3, Says::Resolved { end: at(21) }, 21);
        hear(2, Says::Resolved { end: at(22) }, 22);
        assert_eq!(hear(16, firing, 23), (true, 16));
        let keys = alert.voices.iter().map(|voice| voice.key.0);
        assert!(keys.eq([0, 1, 3].into_iter().chain(4..=16)));
    }
}
