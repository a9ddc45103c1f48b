//! Sources: how far their words are trusted, and whether they still speak.
//!
//! Expiry and staleness count only time in which a source spoke; so the clock of a source that fell
//! silent stands still, and its alerts stay open.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::SourceName;
use crate::limits::{REPEATS_AT_LEAST, REPEATS_AT_MOST};
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The rules for what one source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRules {
    /// How long a firing that is not later than the known end is in doubt. Default 5 min, the
    /// usual `group_interval` of an Alertmanager cluster; alerts that expire are never in doubt.
    pub doubt: Duration,
    /// How long an alert may stay unmentioned; `None`: the larger of twice the interval at which
    /// the source repeats itself and 130 h.
    pub stale_after: Option<Duration>,
    /// How long a source may say nothing; `None`: twice the interval at which it repeats itself.
    pub silent_after: Option<Duration>,
}

impl Default for SourceRules {
    fn default() -> Self {
        Self {
            doubt: Duration::from_secs(5 * 60),
            stale_after: None,
            silent_after: None,
        }
    }
}

/// When a source spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Liveness {
    /// Its last post.
    pub last: Timestamp,
    /// Since when it speaks without a pause that was called silence.
    pub alive_since: Timestamp,
    /// The interval at which it repeats itself, as its posts [showed](Self::repeats).
    pub repeats_every: Duration,
    /// When they last showed so long a one.
    pub repeats_shown: Timestamp,
    /// Whether its silence was reported.
    pub silent: bool,
}

/// What changed about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LivenessChange {
    /// It said nothing for too long: to be reported once.
    FellSilent,
    /// It is back after a silence.
    SpeaksAgain,
}

impl Liveness {
    /// A source that spoke for the first time. Until its posts show another interval, it is
    /// expected to repeat itself every 4 h, Alertmanager's default.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self {
            last: now,
            alive_since: now,
            repeats_every: REPEATS_AT_LEAST,
            repeats_shown: now,
            silent: false,
        }
    }

    /// Its posts showed that it repeats a group every `interval`. Another group may be the last that
    /// fires, so the longest holds, until it was not shown again for three times its length. Never
    /// less than Alertmanager's default, which is no reason to call anybody silent sooner, and never
    /// more than [`REPEATS_AT_MOST`].
    pub fn repeats(&mut self, interval: Duration, now: Timestamp) {
        let interval = interval.clamp(REPEATS_AT_LEAST, REPEATS_AT_MOST);
        let outlived = now.since(self.repeats_shown) > 3 * self.repeats_every;
        if interval >= self.repeats_every || outlived {
            self.repeats_every = interval;
            self.repeats_shown = now;
        }
    }

    /// It spoke.
    pub fn spoke(&mut self, rules: &SourceRules, now: Timestamp) -> Option<LivenessChange> {
        let was_silent = self.is_silent(rules, now);
        self.last = now;
        self.silent = false;
        if !was_silent {
            return None;
        }
        self.alive_since = now;
        Some(LivenessChange::SpeaksAgain)
    }

    /// Lets time pass; says once that it fell silent.
    pub fn look(&mut self, rules: &SourceRules, now: Timestamp) -> Option<LivenessChange> {
        // A clock that stepped back must not make the last post lie in the future.
        self.last = self.last.min(now);
        self.alive_since = self.alive_since.min(now);
        self.repeats_shown = self.repeats_shown.min(now);
        if self.silent || !self.is_silent(rules, now) {
            return None;
        }
        self.silent = true;
        Some(LivenessChange::FellSilent)
    }

    /// When [`look`](Self::look) would say something new.
    #[must_use]
    pub fn next_wake(&self, rules: &SourceRules) -> Option<Timestamp> {
        (!self.silent).then(|| self.last + self.silent_after(rules))
    }

    /// Whether it said nothing for too long.
    #[must_use]
    pub fn is_silent(&self, rules: &SourceRules, now: Timestamp) -> bool {
        self.silent || now >= self.last + self.silent_after(rules)
    }

    /// How long it may say nothing.
    #[must_use]
    pub fn silent_after(&self, rules: &SourceRules) -> Duration {
        rules.silent_after.unwrap_or(2 * self.repeats_every)
    }
}

/// One source: its rules, and when it spoke (`None`: we do not know, so it counts as speaking).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Source {
    /// From the config.
    pub rules: SourceRules,
    /// As stored.
    pub life: Option<Liveness>,
}

impl Source {
    /// The instant up to which the clocks of its alerts have run.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        match self.life {
            Some(life) if life.is_silent(&self.rules, now) => life.last,
            Some(_) | None => now,
        }
    }

    /// From when on its clocks run; never later than `now`.
    pub(crate) fn alive_since(&self) -> Timestamp {
        self.life.map_or(Timestamp::MIN, |life| life.alive_since)
    }

    pub(crate) fn stale_after(&self) -> Duration {
        let repeats_every = self
            .life
            .map_or(REPEATS_AT_LEAST, |life| life.repeats_every);
        let by_repeats = (2 * repeats_every).max(130 * HOUR);
        self.rules.stale_after.unwrap_or(by_repeats)
    }
}

/// All sources. One that is not known follows the default rules.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sources(pub BTreeMap<SourceName, Source>);

impl Sources {
    /// The source of that name.
    #[must_use]
    pub fn get(&self, name: &SourceName) -> Source {
        self.0.get(name).copied().unwrap_or_default()
    }
}
