//! Counting messages per time: the bot's window with its penalty, and the quiet limit per member.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Block, Rules, Window};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The messages of one bot in the current minute, and whether it is being punished.
#[derive(Default)]
pub(super) struct BotRate {
    taken: VecDeque<Timestamp>,
    blocked_until: Option<Timestamp>,
}

/// When one application reached one member during the last hour.
#[derive(Default)]
pub(super) struct MemberRate(VecDeque<Timestamp>);

/// Events of the last hour, for limits that are counted and nothing more.
#[derive(Default)]
pub(super) struct Tally(VecDeque<Timestamp>);

impl BotRate {
    /// Takes a place in the minute, or says that there is none.
    pub(super) fn admit(&mut self, now: Timestamp, rules: &Rules) -> bool {
        if self.blocked_until.is_some_and(|until| now < until) {
            if rules.block == Block::MinuteFromLastAttempt {
                self.blocked_until = Some(now + MINUTE);
            }
            return false;
        }
        self.blocked_until = None;
        self.taken.retain(|&at| in_window(at, now, rules.window));
        if self.taken.len() < rules.bot_per_minute {
            self.taken.push_back(now);
            return true;
        }
        self.blocked_until = match rules.block {
            Block::None => None,
            Block::Minute | Block::MinuteFromLastAttempt => Some(now + MINUTE),
        };
        false
    }

    /// Gives the place taken last back: the message was refused for another reason.
    pub(super) fn give_back(&mut self) {
        self.taken.pop_back();
    }
}

impl MemberRate {
    /// Takes a place, or says that the message is to be dropped.
    pub(super) fn admit(&mut self, now: Timestamp, rules: &Rules) -> bool {
        self.0.retain(|&at| within(at, now, HOUR));
        let minute = self.0.iter().filter(|&&at| within(at, now, MINUTE)).count();
        let room = minute < rules.member_per_minute && self.0.len() < rules.member_per_hour;
        if room {
            self.0.push_back(now);
        }
        room
    }
}

impl Tally {
    pub(super) fn add(&mut self, now: Timestamp) {
        self.0.retain(|&at| within(at, now, HOUR));
        self.0.push_back(now);
    }

    /// How many in the last hour.
    pub(super) fn hour(&self, now: Timestamp) -> usize {
        self.0.iter().filter(|&&at| within(at, now, HOUR)).count()
    }

    /// How many in the last minute.
    pub(super) fn minute(&self, now: Timestamp) -> usize {
        self.0.iter().filter(|&&at| within(at, now, MINUTE)).count()
    }
}

fn in_window(at: Timestamp, now: Timestamp, window: Window) -> bool {
    match window {
        Window::Rolling => within(at, now, MINUTE),
        Window::FixedMinute => at.as_second().div_euclid(60) == now.as_second().div_euclid(60),
    }
}

/// Whether `at` lies in `(now - length, now]`.
fn within(at: Timestamp, now: Timestamp, length: Duration) -> bool {
    now < at + length
}
