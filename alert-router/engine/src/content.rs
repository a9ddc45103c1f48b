//! What a delivery says, as ids: enough to render it, and to know afterwards what was heard.

use std::time::Duration;

use crate::episode::EpisodeId;
use crate::id::{ContentHash, LaneKey};
use crate::verdict::Verdict;

/// What a delivery says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Why it is said.
    pub verdict: Verdict,
    /// The episodes it speaks of, in the order in which people should read them.
    pub lines: Vec<Line>,
    /// How many firing alerts are held back by mutes.
    pub muted: u32,
    /// How many missed episodes are too old, or too many, to be told one by one.
    pub expired: u32,
    /// How long the oldest news waited beyond its time, if people should know.
    pub delayed_by: Option<Duration>,
    /// The lane that this one stands in for, if it is a fallback.
    pub failed_over_from: Option<LaneKey>,
}

/// What is said about one episode. An alert whose text is not kept is counted by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// What is said.
    pub kind: LineKind,
    /// Of which episode.
    pub episode: EpisodeId,
    /// How often it was told as over and opened again.
    pub reopened: u32,
}

/// What is said about one episode, in reading order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// It fires, and was not told before.
    New,
    /// It fires again after it was told as over.
    Reopened,
    /// It was told as firing, and has ended.
    Over,
    /// It fired and ended before it could be told.
    Missed,
    /// It was told before, and still fires.
    Firing,
}

impl LineKind {
    /// Whether people know the episode as firing once they have heard it; else as over.
    pub(crate) fn fires(self) -> bool {
        match self {
            Self::New | Self::Reopened | Self::Firing => true,
            Self::Over | Self::Missed => false,
        }
    }

    /// The byte that stands for it in hashes and stored rows.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Reopened => 1,
            Self::Over => 2,
            Self::Missed => 3,
            Self::Firing => 4,
        }
    }
}

impl Content {
    /// The same for everything that says the same: which episodes, and what of each. Counts and
    /// delays, which move with time alone, are left out.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        let mut bytes = Vec::with_capacity(1 + self.lines.len() * 13);
        bytes.push(u8::from(self.expired > 0));
        for line in &self.lines {
            bytes.push(line.kind.code());
            bytes.extend(line.episode.0.to_le_bytes());
            bytes.extend(line.reopened.to_le_bytes());
        }
        ContentHash::of(&[&bytes])
    }

    /// The episodes that people know as firing once they have heard it.
    pub fn firing(&self) -> impl Iterator<Item = EpisodeId> {
        self.of_kinds(LineKind::fires)
    }

    /// The episodes that people know as over once they have heard it.
    pub fn over(&self) -> impl Iterator<Item = EpisodeId> {
        self.of_kinds(|kind| !kind.fires())
    }

    fn of_kinds(&self, wanted: impl Fn(LineKind) -> bool) -> impl Iterator<Item = EpisodeId> {
        let lines = self.lines.iter();
        lines
            .filter(move |line| wanted(line.kind))
            .map(|line| line.episode)
    }
}
