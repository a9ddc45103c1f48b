//! At which interval each upstream group is repeated: the pauses between its posts that say the same.
//!
//! One pause proves little: a silence may have lain over it. Two alike in a row do.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use alert_engine::Timestamp;

use super::{ALIKE, Post};

/// Groups of one source that are remembered. Those beyond have nothing to show.
const GROUPS: usize = 1_000;
/// The same said again so soon is the same post: a retry, or the other Alertmanager of a pair.
const SAME_POST: Duration = Duration::from_secs(5 * 60);

/// The groups of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repetition(BTreeMap<u64, Group>);

/// What a group said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    says: u64,
    at: Timestamp,
    /// Between that and when it said the same before.
    pause: Option<Duration>,
}

impl Repetition {
    /// Hears a post. Returns the interval at which its group is repeated, if it shows that.
    pub(super) fn hear(&mut self, post: &Post<'_>, now: Timestamp) -> Option<Duration> {
        let mut key = DefaultHasher::new();
        (&post.envelope.receiver, &post.envelope.group_key).hash(&mut key);
        let key = key.finish();
        let says = post.says;
        let news = Group {
            says,
            at: now,
            pause: None,
        };
        let Some(group) = self.0.get_mut(&key) else {
            if self.0.len() < GROUPS {
                self.0.insert(key, news);
            }
            return None;
        };
        if group.says != says {
            *group = news;
            return None;
        }
        let pause = now.since(group.at);
        if pause < SAME_POST {
            return None;
        }
        let before = group.pause.replace(pause);
        group.at = now;
        let alike = before.filter(|before| before.abs_diff(pause) <= ALIKE);
        alike.map(|before| before.max(pause))
    }
}
