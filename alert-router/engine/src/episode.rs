//! One occurrence of an alert, from its first firing to its end: what people are told about.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::id::AlertKey;
use crate::mute::Mute;
use crate::time::Timestamp;

/// Names an episode, for ever and in every group that holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpisodeId(pub u64);

/// One occurrence of an alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Episode {
    /// Which alert.
    pub alert: AlertKey,
    /// The earliest start that any voice told.
    pub start: Timestamp,
    /// From when on it counts as news: when it was first seen, was opened again, or its mute ended.
    pub since: Timestamp,
    /// How often it was told as over and opened again.
    pub reopened: u32,
    /// What mutes it, as of the last look.
    pub muted: Option<Mute>,
    /// Whether it goes on.
    pub phase: Phase,
}

/// Whether an episode goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It does.
    Firing,
    /// It ended, but a voice says otherwise: neither news nor over until that is settled.
    Doubted(End),
    /// It ended.
    Ended(End),
}

/// The end of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The latest end that was told.
    pub at: Timestamp,
    /// When we saw it.
    pub seen: Timestamp,
    /// From when on it counts as news.
    pub since: Timestamp,
    /// How we know.
    pub why: EndReason,
    /// Whether a lane claimed a message with this end.
    pub claimed: bool,
}

/// How we know that an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// Its source said so.
    Resolved,
    /// Its `endsAt` passed without a renewal.
    Expired,
    /// Its source speaks, but not of it any more.
    Stale,
}

impl EpisodeId {
    /// The id of the occurrence of `alert` with this start, first seen at `now`.
    pub(crate) fn of(alert: &AlertKey, start: Timestamp, now: Timestamp) -> Self {
        let mut hash = Sha256::new();
        hash.update(alert.source.as_str());
        hash.update([0xff]);
        hash.update(alert.fingerprint.0.to_le_bytes());
        hash.update(start.as_millis().to_le_bytes());
        hash.update(now.as_millis().to_le_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_le_bytes(id))
    }
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Episode {
    pub(crate) fn begin(alert: AlertKey, start: Timestamp, now: Timestamp) -> Self {
        Self {
            alert,
            start,
            since: now,
            reopened: 0,
            muted: None,
            phase: Phase::Firing,
        }
    }

    /// Its end, if it is over and that is beyond doubt.
    #[must_use]
    pub fn ended(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended(end) => Some(end),
            Phase::Firing | Phase::Doubted(_) => None,
        }
    }

    /// Its end, also if that is in doubt.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended(end) | Phase::Doubted(end) => Some(end),
            Phase::Firing => None,
        }
    }

    pub(crate) fn end_mut(&mut self) -> Option<&mut End> {
        match &mut self.phase {
            Phase::Ended(end) | Phase::Doubted(end) => Some(end),
            Phase::Firing => None,
        }
    }

    /// Whether it fires, beyond doubt.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.phase == Phase::Firing
    }

    /// It goes on after all. Whoever may have heard of its end hears of it again.
    pub(crate) fn reopen(&mut self, at: Timestamp) {
        if self.end().is_some_and(|end| end.claimed) {
            self.reopened = self.reopened.saturating_add(1);
            self.since = at;
        }
        self.phase = Phase::Firing;
    }

    /// Takes note of what mutes it now. News counts from the end of a mute.
    pub(crate) fn mute(&mut self, mute: Option<Mute>, now: Timestamp) {
        if let Some(was) = self.muted
            && mute.is_none()
        {
            let lifted = was.until.unwrap_or(now).min(now);
            match &mut self.phase {
                Phase::Firing => self.since = self.since.max(lifted),
                Phase::Doubted(end) | Phase::Ended(end) => end.since = end.since.max(lifted),
            }
        }
        self.muted = mute;
    }

    /// Pulls instants that a clock which stepped back left in the future.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
        if let Some(end) = self.end_mut() {
            end.seen = end.seen.min(now);
            end.since = end.since.min(now);
        }
    }
}
