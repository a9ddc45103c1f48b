//! Which source names are taken from URLs: those of the config, and a bounded number of others, so
//! that nobody fills the metrics and the store with names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alert_engine::{SourceName, Timestamp};

use super::pace::Pace;
use crate::config::{Config, built_in};

/// Names that the config does not list.
const UNLISTED: usize = 32;
/// Bytes of a name.
const NAME: usize = 64;

/// The names that came without being listed. Clones share them.
#[derive(Clone, Default)]
pub struct KnownSources {
    unlisted: Arc<Mutex<BTreeSet<SourceName>>>,
    /// Of those with a limit, which the config lists.
    paces: Arc<Mutex<BTreeMap<SourceName, Pace>>>,
}

impl KnownSources {
    /// Lets a source in, or says what to do.
    pub(super) fn admit(&self, config: &Config, source: &SourceName) -> Result<(), String> {
        if config.sources.contains_key(source) || *source == SourceName::unnamed() {
            return Ok(());
        }
        let name = source.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > NAME || !name.bytes().all(plain) {
            let rule = "letters, digits, `-`, `_` and `.`, at most 64";
            return Err(format!(
                "a source's name consists of {rule}: post to /webhook/NAME"
            ));
        }
        if let Some(what) = built_in(source) {
            return Err(format!("{what}: choose another name"));
        }
        let mut known = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(source) && known.len() >= UNLISTED {
            return Err(format!(
                "{UNLISTED} unlisted sources post here already: list {name} under `sources`"
            ));
        }
        known.insert(source.clone());
        Ok(())
    }

    /// Counts a request of a source that has a limit, or says how long it is to wait. A source and
    /// what it was formerly share one limit.
    pub(super) fn pace(
        &self,
        config: &Config,
        source: &SourceName,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let Some(limit) = config.source(source).rate_limit else {
            return Ok(());
        };
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(config.identity(source).clone());
        pace.or_insert_with(|| Pace::begin(now)).admit(limit, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn names_are_plain_few_and_not_ours() {
        let config = Config::default_inbox(&Flags::default()).unwrap();
        let known = KnownSources::default();
        let check = |name: &str| known.admit(&config, &SourceName::new(name)).is_ok();
        assert!(check("default"));
        assert!(check("prod-sh.1_a"));
        for bad in [
            "",
            "a b",
            "a/b",
            "支付",
            "alert-router",
            "test-button",
            &"x".repeat(65),
        ] {
            assert!(!check(bad), "{bad}");
        }
        (1..UNLISTED).for_each(|n| assert!(check(&format!("s{n}"))));
        assert!(!check("one-more"));
        assert!(check("s1"));
    }
}
