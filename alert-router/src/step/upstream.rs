//! What the posts of a source show of the Alertmanager behind it, and what it should be set to. Only
//! what can be told for certain from webhook bodies: an advice that is wrong is worse than none.

mod advice;
mod repeats;
#[cfg(test)]
mod tests;

use std::time::Duration;

use alert_engine::{SourceRules, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use advice::{Advice, Finding};
use repeats::Repetition;

use crate::webhook::payload::Envelope;

/// Alertmanager's words for "nothing but time passed" (since 0.32).
const REPEATED: &str = "repeat interval elapsed";
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A source is new for so long.
const NEW: Duration = DAY;
/// A cut that did not come again for so long hurts nobody now.
const CUT_LASTS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Alertmanager repeats itself at the latest when its log forgets (`--data.retention`). Who is given
/// up on earlier than that may still fire.
const RETENTION: Duration = Duration::from_secs(120 * 3_600);
/// The pauses of one `repeat_interval` differ by seconds.
const ALIKE: Duration = Duration::from_secs(60);
/// So many times are no accident.
const AGAIN_AND_AGAIN: u32 = 3;
/// Characters of upstream's receiver that are kept.
const NAME: usize = 200;

/// What is known of one source, stored with it: a field may be added with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Upstream {
    /// `None` if it was heard before this was noted.
    pub(crate) first: Option<First>,
    pub(crate) posts: u64,
    /// When it last said that an alert is over.
    resolved_ms: Option<i64>,
    cut: Option<Cut>,
    unclosed: Option<Unclosed>,
    repeats: Option<Repeats>,
    /// Its last post, as far as this process heard it.
    #[serde(skip)]
    previous: Option<Timestamp>,
    /// Its groups, as far as this process heard them.
    #[serde(skip)]
    repetition: Repetition,
}

/// The first post of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct First {
    at_ms: i64,
    pub(crate) alerts: usize,
    pub(crate) groups: usize,
}

/// `max_alerts` left alerts out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    receiver: String,
    /// As many as `max_alerts` says.
    kept: usize,
    missing: u64,
    at_ms: i64,
}

/// Alerts were closed only because nobody mentioned them, on so many days, and none was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unclosed {
    times: u32,
    last_ms: i64,
}

/// The last posts were repeats and nothing else, with like pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Repeats {
    pause_ms: u64,
    times: u32,
}

/// A post that was taken in.
#[derive(Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) envelope: &'a Envelope,
    /// All in the body, also those that could not be read.
    pub(crate) alerts: usize,
    /// Whether one of them is over.
    pub(crate) resolved: bool,
    /// Groups of ours that hold them.
    pub(crate) groups: usize,
    /// The same for posts that say the same of the same alerts.
    pub(crate) says: u64,
}

impl First {
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }
}

impl Upstream {
    /// Greets the source with its first post.
    pub(crate) fn begin(&mut self, post: &Post<'_>, now: Timestamp) -> First {
        *self.first.insert(First {
            at_ms: now.as_millis(),
            alerts: post.alerts,
            groups: post.groups,
        })
    }

    /// Learns from a post. Returns the interval at which its group is repeated, if it shows that.
    pub(crate) fn hear(&mut self, post: &Post<'_>, now: Timestamp) -> Option<Duration> {
        self.posts += 1;
        if post.resolved {
            self.resolved_ms = Some(now.as_millis());
            self.unclosed = None;
        }
        self.look_for_a_cut(post, now);
        self.look_at_the_pause(post, now);
        self.previous = Some(now);
        self.repetition.hear(post, now)
    }

    /// The same receiver with more alerts than were left by a cut is cut no more.
    fn look_for_a_cut(&mut self, post: &Post<'_>, now: Timestamp) {
        let Envelope {
            receiver,
            truncated,
            ..
        } = post.envelope;
        if *truncated > 0 {
            self.cut = Some(Cut {
                receiver: receiver.chars().take(NAME).collect(),
                kept: post.alerts,
                missing: *truncated,
                at_ms: now.as_millis(),
            });
            return;
        }
        let is_over = |cut: &mut Cut| {
            post.alerts > cut.kept && receiver.chars().take(NAME).eq(cut.receiver.chars())
        };
        self.cut.take_if(is_over);
    }

    /// With one group open, the pauses between repeats are its `repeat_interval`. With more, posts
    /// of several groups alternate, and the source is not silent for that long anyway.
    fn look_at_the_pause(&mut self, post: &Post<'_>, now: Timestamp) {
        if post.envelope.notification_reason != REPEATED {
            self.repeats = None;
            return;
        }
        let Some(previous) = self.previous else {
            return;
        };
        let pause = now.since(previous);
        let alike = |repeats: &Repeats| repeats.pause().abs_diff(pause) <= ALIKE;
        match &mut self.repeats {
            Some(repeats) if alike(repeats) => repeats.times = repeats.times.saturating_add(1),
            repeats => {
                *repeats = Some(Repeats {
                    pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    times: 1,
                });
            }
        }
    }

    /// An alert was closed because it was mentioned no more. May be said of the same one again.
    pub(crate) fn closed_unmentioned(&mut self, seen: Timestamp, rules: &SourceRules) {
        let too_early = rules.stale_after.is_some_and(|after| after < RETENTION);
        // What `max_alerts` cuts is mentioned no more either.
        if too_early || self.cut.is_some() || self.resolved().is_some_and(|at| seen <= at) {
            return;
        }
        match &mut self.unclosed {
            None => {
                self.unclosed = Some(Unclosed {
                    times: 1,
                    last_ms: seen.as_millis(),
                });
            }
            Some(unclosed) if seen >= unclosed.last() + DAY => {
                unclosed.times = unclosed.times.saturating_add(1);
                unclosed.last_ms = seen.as_millis();
            }
            Some(_) => {}
        }
    }

    pub(crate) fn resolved(&self) -> Option<Timestamp> {
        self.resolved_ms.map(Timestamp::from_millis)
    }

    pub(crate) fn is_new(&self, now: Timestamp) -> bool {
        self.first.is_some_and(|first| now < first.at() + NEW)
    }
}

impl Cut {
    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }
}

impl Unclosed {
    fn last(&self) -> Timestamp {
        Timestamp::from_millis(self.last_ms)
    }
}

impl Repeats {
    fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }
}
