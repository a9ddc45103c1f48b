//! Somebody who reads all messages of one lane, and objects to what contradicts earlier ones.

use std::collections::BTreeMap;

use crate::small::REPEAT_INTERVAL;
use alert_engine::{Content, ContentHash, EpisodeId, LineKind, Timestamp};

/// What a person believes.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Person {
    pub(crate) believes: BTreeMap<EpisodeId, Belief>,
    last_sure: Option<(ContentHash, Timestamp)>,
}

/// What a person believes of one episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Belief {
    reopened: u32,
    pub(crate) over: bool,
}

impl Person {
    /// A message arrived; invariant `lane-order`.
    pub(crate) fn reads(&mut self, content: &Content) {
        for line in &content.lines {
            let over = match line.kind {
                LineKind::Over | LineKind::Missed => true,
                LineKind::New | LineKind::Reopened | LineKind::Firing => false,
            };
            let belief = Belief {
                reopened: line.reopened,
                over,
            };
            let before = self.believes.insert(line.episode, belief);
            assert!(
                before.is_none_or(|before| before <= belief),
                "older content after newer: {before:?}, then {content:?}"
            );
        }
    }

    /// The clock stepped, so how long ago something was read cannot be told from it.
    pub(crate) fn loses_count_of_time(&mut self) {
        self.last_sure = None;
    }

    /// The router learned that a message arrived; invariant `no-idle-repeat`.
    pub(crate) fn surely_read(&mut self, content: &Content, now: Timestamp) {
        let hash = content.hash();
        if let Some((last, at)) = self.last_sure {
            let soon = now.since(at) < REPEAT_INTERVAL;
            assert!(!(soon && last == hash), "told twice: {content:?}");
        }
        self.last_sure = Some((hash, now));
    }
}
