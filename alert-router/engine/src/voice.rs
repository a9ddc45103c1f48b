//! A voice: one upstream copy of an alert, and what it says now.
//!
//! Peers of a cluster lag, replicas differ by seconds, notices overtake each other. The rules here
//! turn all of that into one of three standings: firing, in doubt, ended.

use std::time::Duration;

use crate::alert::Says;
use crate::episode::EndReason;
use crate::label::Fingerprint;
use crate::source::Source;
use crate::time::Timestamp;

/// One upstream copy of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voice {
    /// The fingerprint of the full labels.
    pub key: Fingerprint,
    /// What it says now.
    pub state: VoiceState,
    /// The latest end that it told.
    pub known_end: Option<Timestamp>,
    /// When it last said that it fires.
    pub seen: Timestamp,
    /// `seen` as of the last change that was worth a write.
    pub written: Timestamp,
    /// How long after `seen` it ends by itself.
    pub expires: Option<Duration>,
}

/// What a voice says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoiceState {
    /// It fires.
    Firing {
        /// The latest start that it told.
        start: Timestamp,
    },
    /// It said that it fires, but not later than its known end: a lagging peer, or the truth.
    Doubted {
        /// The start that it told.
        start: Timestamp,
        /// When it said so first.
        raised: Timestamp,
    },
    /// It ended.
    Ended,
}

/// What the voices together say. The order matters: the strongest voice wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Standing {
    Ended,
    Doubted,
    Firing,
}

/// How much an observation moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Moved {
    Nothing,
    Seen,
    State,
}

impl Voice {
    /// Since when it fires, if it does.
    pub(crate) fn fires_since(&self) -> Option<Timestamp> {
        match self.state {
            VoiceState::Firing { start } => Some(start),
            VoiceState::Doubted { .. } | VoiceState::Ended => None,
        }
    }

    pub(crate) fn begin(key: Fingerprint, says: Says, now: Timestamp) -> Self {
        let (state, known_end, expires) = match says {
            Says::Firing { start, expires } => (
                VoiceState::Firing { start },
                None,
                expires.map(|at| at.since(now)),
            ),
            Says::Resolved { end } => (VoiceState::Ended, Some(end), None),
        };
        Self {
            key,
            state,
            known_end,
            seen: now,
            written: now,
            expires,
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.state {
            VoiceState::Firing { .. } => Standing::Firing,
            VoiceState::Doubted { .. } => Standing::Doubted,
            VoiceState::Ended => Standing::Ended,
        }
    }

    pub(crate) fn hear(&mut self, says: Says, source: &Source, now: Timestamp) -> Moved {
        let before = self.state;
        match says {
            Says::Firing { start, expires } => {
                // Where alerts expire the last word counts, as in Alertmanager.
                let trusted = expires.is_some() || source.rules.doubt.is_zero();
                self.fire(start, trusted, now);
                let refreshed = self.refresh(expires, source, now);
                let changed = std::mem::discriminant(&before)
                    != std::mem::discriminant(&self.state)
                    || self.start() != start_of(before);
                if changed { Moved::State } else { refreshed }
            }
            Says::Resolved { end } => self.resolve(end),
        }
    }

    fn fire(&mut self, told: Timestamp, trusted: bool, now: Timestamp) {
        let later = trusted || self.known_end.is_none_or(|end| told > end);
        self.state = match self.state {
            VoiceState::Firing { start } => VoiceState::Firing {
                start: start.max(told),
            },
            VoiceState::Doubted { .. } | VoiceState::Ended if later => {
                VoiceState::Firing { start: told }
            }
            VoiceState::Doubted { start, raised } => VoiceState::Doubted {
                start: start.max(told),
                raised,
            },
            VoiceState::Ended => VoiceState::Doubted {
                start: told,
                raised: now,
            },
        };
    }

    fn resolve(&mut self, end: Timestamp) -> Moved {
        if let VoiceState::Firing { start } = self.state
            && end < start
        {
            return Moved::Nothing;
        }
        let before = (self.state, self.known_end);
        self.state = VoiceState::Ended;
        self.known_end = self.known_end.max(Some(end));
        if before == (self.state, self.known_end) {
            Moved::Nothing
        } else {
            Moved::State
        }
    }

    /// Notes that it was seen. Worth a write only when what is stored is older than an eighth of
    /// the limit that it counts against.
    fn refresh(&mut self, expires: Option<Timestamp>, source: &Source, now: Timestamp) -> Moved {
        self.seen = now;
        self.expires = expires.map(|at| at.since(now));
        let limit = self.expires.unwrap_or_else(|| source.stale_after());
        if now.since(self.written) <= limit / 8 {
            return Moved::Nothing;
        }
        self.written = now;
        Moved::Seen
    }

    pub(crate) fn start(&self) -> Option<Timestamp> {
        start_of(self.state)
    }

    /// When its doubt is over.
    pub(crate) fn doubt_over(&self, source: &Source) -> Option<Timestamp> {
        match self.state {
            VoiceState::Doubted { raised, .. } => Some(raised + source.rules.doubt),
            VoiceState::Firing { .. } | VoiceState::Ended => None,
        }
    }

    /// When it ends because nobody mentions it any more, and how that is called.
    pub(crate) fn gives_up(&self, source: &Source) -> Option<(Timestamp, EndReason)> {
        let (limit, why) = match self.expires {
            Some(limit) => (limit, EndReason::Expired),
            None => (source.stale_after(), EndReason::Stale),
        };
        let from = self.seen.max(source.alive_since());
        match self.state {
            VoiceState::Firing { .. } | VoiceState::Doubted { .. } => Some((from + limit, why)),
            VoiceState::Ended => None,
        }
    }

    /// Ends it at `at`.
    pub(crate) fn end(&mut self, at: Timestamp) {
        self.state = VoiceState::Ended;
        self.known_end = self.known_end.max(Some(at));
    }

    /// Pulls instants that a clock which stepped back left in the future.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        self.seen = self.seen.min(now);
        self.written = self.written.min(now);
        if let VoiceState::Doubted { raised, .. } = &mut self.state {
            *raised = (*raised).min(now);
        }
    }
}

fn start_of(state: VoiceState) -> Option<Timestamp> {
    match state {
        VoiceState::Firing { start } | VoiceState::Doubted { start, .. } => Some(start),
        VoiceState::Ended => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    /// `f10` fires since 10, `r10` ended at 10. What is said later is heard a second later.
    fn told(words: &str) -> Voice {
        let mut voice: Option<Voice> = None;
        for (second, word) in (100..).zip(words.split_whitespace()) {
            let time = at(word[1..].parse().unwrap());
            let says = match word.starts_with('f') {
                true => Says::Firing {
                    start: time,
                    expires: None,
                },
                false => Says::Resolved { end: time },
            };
            match &mut voice {
                Some(voice) => _ = voice.hear(says, &Source::default(), at(second)),
                None => voice = Some(Voice::begin(Fingerprint(0), says, at(second))),
            }
        }
        voice.unwrap()
    }

    fn check(words: &str, state: VoiceState, known_end: Option<i64>) {
        let voice = told(words);
        assert_eq!(voice.state, state, "{words}");
        assert_eq!(voice.known_end, known_end.map(at), "{words}");
    }

    fn fires(start: i64) -> VoiceState {
        VoiceState::Firing { start: at(start) }
    }

    fn doubted(start: i64, raised: i64) -> VoiceState {
        VoiceState::Doubted {
            start: at(start),
            raised: at(raised),
        }
    }

    #[test]
    fn a_voice_takes_its_peers_lag_into_account() {
        check("f10", fires(10), None);
        check("f10 f12", fires(12), None);
        check("f12 f10", fires(12), None);
        check("f10 r20", VoiceState::Ended, Some(20));
        check("f10 r20 r15", VoiceState::Ended, Some(20));
        check("f10 r20 r25", VoiceState::Ended, Some(25));
        check("f10 r20 f30", fires(30), Some(20));
        // Not later than the known end: a lagging peer, or the truth.
        check("f10 r20 f10", doubted(10, 102), Some(20));
        check("f10 r20 f20", doubted(20, 102), Some(20));
        check("f10 r20 f10 f10", doubted(10, 102), Some(20));
        check("f10 r20 f10 r20", VoiceState::Ended, Some(20));
        check("f10 r20 f10 f30", fires(30), Some(20));
        // An end before the start of what fires is an older occurrence's.
        check("f10 r20 f30 r20", fires(30), Some(20));
        check("f10 r20 f30 f10 r20", fires(30), Some(20));
        check("f10 r20 f30 r40", VoiceState::Ended, Some(40));
        check("r20", VoiceState::Ended, Some(20));
    }
}
