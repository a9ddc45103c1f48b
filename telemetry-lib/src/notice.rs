//! Lines to the operator about the telemetry itself. They are apart because they must not pass
//! `tracing`: a notice about a full span queue would otherwise make another span or event.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::fork::{Lock, Standard};

/// More different notices than this are not remembered; the rest of them is not printed either.
const MAX_KEYS: usize = 1_000;

type Sink = dyn Fn(&str) + Send + Sync;

/// Where notices go, and what was said already. Clones share both.
#[derive(Clone)]
pub(crate) struct Notices(Arc<Inner>);

struct Inner {
    sink: Box<Sink>,
    /// When a key was last said, as time since the process began to count; `None`: once is enough.
    said: Lock<BTreeMap<String, Option<Duration>>>,
}

impl Notices {
    /// One line on standard error for each notice.
    pub(crate) fn stderr() -> Self {
        // A closed standard error must not take the service down.
        Self::to(|line| {
            let line = format!("telemetry-lib: {line}\n");
            drop(Standard::Error.write_all(line.as_bytes()));
        })
    }

    /// Says nothing at all if `silent`.
    pub(crate) fn unless(self, silent: bool) -> Self {
        if silent { Self::to(|_| {}) } else { self }
    }

    /// Hands each notice to `sink`, which must not produce telemetry.
    pub(crate) fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            sink: Box::new(sink),
            said: Lock::inherited(BTreeMap::new()),
        }))
    }

    /// Says `text` the first time that `key` comes.
    pub(crate) fn once(&self, key: &str, text: impl FnOnce() -> String) {
        let news = self.remember(key, |said| said.is_none(), None);
        if news {
            (self.0.sink)(&text());
        }
    }

    /// Says `text` unless `key` was said within `every`; `now` is any clock that only grows.
    pub(crate) fn at_most_every(
        &self,
        every: Duration,
        key: &str,
        now: Duration,
        text: impl FnOnce() -> String,
    ) {
        let due = |said: Option<Option<Duration>>| match said.flatten() {
            Some(last) => now.saturating_sub(last) >= every,
            None => true,
        };
        if self.remember(key, due, Some(now)) {
            (self.0.sink)(&text());
        }
    }

    /// Decides under the lock and leaves it before the sink, which is foreign code, runs.
    fn remember(
        &self,
        key: &str,
        due: impl FnOnce(Option<Option<Duration>>) -> bool,
        now: Option<Duration>,
    ) -> bool {
        let mut said = self.0.said.lock();
        let known = said.get(key).copied();
        if !due(known) || (known.is_none() && said.len() >= MAX_KEYS) {
            return false;
        }
        said.insert(key.to_owned(), now);
        true
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Notices that a test can read.
    pub(crate) fn recorded() -> (Notices, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let notices = Notices::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        (notices, lines)
    }

    #[test]
    fn the_same_key_is_said_once() {
        let (notices, lines) = recorded();
        for key in ["clash", "clash", "overflow"] {
            notices.once(key, || format!("about {key}"));
        }
        assert_eq!(*lines.lock().unwrap(), ["about clash", "about overflow"]);
    }

    #[test]
    fn a_limited_key_is_said_again_only_after_its_time() {
        let (notices, lines) = recorded();
        for second in [0, 1, 29, 30, 31, 60] {
            let now = Duration::from_secs(second);
            notices.at_most_every(Duration::from_secs(30), "export", now, || {
                format!("at {second}")
            });
        }
        assert_eq!(*lines.lock().unwrap(), ["at 0", "at 30", "at 60"]);
    }

    #[test]
    fn more_keys_than_the_bound_stay_silent() {
        let (notices, lines) = recorded();
        for key in 0..MAX_KEYS + 10 {
            notices.once(&key.to_string(), String::new);
        }
        assert_eq!(lines.lock().unwrap().len(), MAX_KEYS);
    }
}
