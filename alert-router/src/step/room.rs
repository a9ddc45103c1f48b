//! Whether the store has room. While it has none nothing is durable, our own trouble with it
//! neither; so that trouble waits until the store takes it, and stands long enough to be heard.

use std::time::Duration;

use alert_engine::Timestamp;

use super::Step;
use crate::store::StoreError;
use crate::trouble::Trouble;

/// Without a refusal for so long, there is room again. Longer than any wait before a first message
/// to operators, or they would never hear of a disk that was full.
const CALM: Duration = Duration::from_secs(5 * 60);

/// When the store last had no room; `None`: it has.
#[derive(Default)]
pub(super) struct Room(Option<Timestamp>);

impl Room {
    /// It has none at `now`. Says whether that is news.
    fn refused(&mut self, now: Timestamp) -> bool {
        self.0.replace(now).is_none()
    }

    /// Says once that it has room again.
    fn look(&mut self, now: Timestamp) -> bool {
        // A clock that stepped back must not make the last refusal lie in the future.
        self.0 = self.0.map(|last| last.min(now));
        let over = self.next_wake().is_some_and(|at| at <= now);
        if over {
            self.0 = None;
        }
        over
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.0.map(|last| last + CALM)
    }
}

impl Step {
    /// Reports a full store, once.
    pub(super) fn look_whether_full(&mut self, error: &StoreError) {
        let StoreError::Full { place } = error else {
            return;
        };
        self.metrics.store_full.set(1);
        if self.room.refused(self.last) {
            self.report([Trouble::store_full(place)].into_iter());
        }
    }

    /// That the store has room, unless it had none a moment ago.
    pub(crate) fn room_if_any(&self) -> Option<Trouble> {
        let room = self.room.next_wake().is_none();
        room.then(Trouble::store_has_room)
    }

    /// Reports once that there is room again, and says when to look.
    pub(super) fn look_for_room(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.room.look(now) {
            self.metrics.store_full.set(0);
            self.report([Trouble::store_has_room()].into_iter());
        }
        self.room.next_wake()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_is_told_once_and_is_over_after_a_calm_time() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let mut room = Room::default();
        assert_eq!((room.look(at(0)), room.next_wake()), (false, None));
        assert!(room.refused(at(1)));
        assert!(!room.refused(at(3)), "told already");
        assert!(!room.look(at(7)));
        assert_eq!(room.next_wake(), Some(at(8)));
        assert!(room.look(at(8)));
        assert_eq!((room.look(at(9)), room.next_wake()), (false, None));
        assert!(room.refused(at(10)), "another time is news");
        assert!(!room.look(at(2)), "the clock went back");
        assert_eq!(room.next_wake(), Some(at(7)));
    }
}
