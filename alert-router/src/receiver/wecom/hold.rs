//! The wait after a rate limit, for everybody who shares a key or an application: calls during the
//! block may lengthen it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alert_engine::Timestamp;

use super::classify::{Class, RATE_LIMIT, classify};
use super::reply::Trouble;

/// The vendor blocks for an hour what goes over a limit by the hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long nobody calls. A minute; twice as long each time that the limit is met again at once,
/// because then it is not the limit by the minute.
#[derive(Debug, Default)]
pub(crate) struct Hold(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Zero: nothing was refused since the last success.
    wait: Duration,
    until: Timestamp,
}

impl Hold {
    /// Fails while the hold lasts.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Trouble> {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not make this wait longer than the block lasts.
        let wait = state.until.since(now).min(state.wait);
        if wait.is_zero() {
            return Ok(());
        }
        let why = "WeCom answered 45009 (rate limit) a moment ago";
        Err(Trouble::Held { why, wait })
    }

    /// Starts a hold if this answer asks for one, and forgets the last one if it was a success.
    pub(crate) fn note<T>(&self, answer: &Result<T, Trouble>, now: Timestamp) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(_) => *state = State::default(),
            Err(Trouble::Code { code, .. }) if *classify(*code) == Class::RateLimited => {
                // Of calls that were under way together only the first one counts.
                if now >= state.until {
                    state.wait = (state.wait * 2).clamp(RATE_LIMIT, LONGEST);
                    state.until = now + state.wait;
                }
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited() -> Result<(), Trouble> {
        let errmsg = String::new();
        Err(Trouble::Code {
            code: 45009,
            errmsg,
        })
    }

    fn wait(hold: &Hold, now: Timestamp) -> u64 {
        match hold.check(now) {
            Err(Trouble::Held { wait, .. }) => wait.as_secs(),
            _ => 0,
        }
    }

    #[test]
    fn a_limit_that_persists_is_waited_for_longer_and_longer_up_to_an_hour() {
        let hold = Hold::default();
        let mut now = Timestamp::from_millis(1_000);
        let mut waits = Vec::new();
        for _ in 0..8 {
            hold.note(&limited(), now);
            hold.note(&limited(), now);
            waits.push(wait(&hold, now));
            now = now + Duration::from_secs(wait(&hold, now));
            assert_eq!(wait(&hold, now), 0);
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        hold.note(&Ok(()), now);
        hold.note(&limited(), now);
        assert_eq!(wait(&hold, now), 60);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lengthen_the_wait() {
        let hold = Hold::default();
        hold.note(&limited(), Timestamp::from_millis(10_000_000));
        assert_eq!(wait(&hold, Timestamp::from_millis(0)), 60);
    }
}
