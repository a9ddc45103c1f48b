//! Planning one turn of one destination: who gets a message of their own, who shares one, who waits.

use std::cmp::Reverse;

use crate::group::Due;
use crate::id::{DeliveryId, LaneKey};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A due lane of a destination, and what its delivery costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it goes before others.
    pub priority: bool,
    /// Why it speaks.
    pub verdict: Verdict,
    /// Since when its news is unsaid.
    pub since: Timestamp,
    /// How many messages it takes, from 1.
    pub messages: u32,
}

/// How many messages may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// For anyone.
    pub all: u32,
    /// For prioritised candidates, which may be exempt from some limit; not less than `all`.
    pub priority: u32,
    /// How many messages a digest takes, from 1.
    pub digest: u32,
}

/// Who speaks how. Each candidate is in exactly one list, by its place in what was planned.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// With a message of their own, in this order.
    pub single: Vec<usize>,
    /// Together in one digest, in this order. One alone only if its own message is too long for the
    /// slots that are left.
    pub digest: Vec<usize>,
    /// Not now: to be postponed to the next slot.
    pub wait: Vec<usize>,
}

/// Plans a turn: prioritised candidates first, then first messages, then the oldest. Each gets a
/// message of its own as long as all fit; otherwise the last slot carries a digest of all others.
#[must_use]
pub fn plan(candidates: &[Candidate], slots: Slots) -> Plan {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|at| {
        let candidate = &candidates[*at];
        let first = candidate.verdict == Verdict::First;
        (
            Reverse(candidate.priority),
            Reverse(first),
            candidate.since,
            *at,
        )
    });
    let mut used: u32 = 0;
    let mut plan = Plan::default();
    for (place, at) in order.iter().enumerate() {
        let candidate = &candidates[*at];
        let room = slots.for_one(candidate).saturating_sub(used);
        let rest = order[place..].iter().map(|at| candidates[*at]);
        let all_fit = rest.fold(0, |sum: u32, c| sum.saturating_add(c.messages)) <= room;
        let reserve = if all_fit { 0 } else { slots.digest };
        if candidate.messages.saturating_add(reserve) > room {
            plan.share(&order[place..], candidates, slots, used);
            return plan;
        }
        used += candidate.messages;
        plan.single.push(*at);
    }
    plan
}

/// The id of the digest that carries these: the same for the same contents, in whatever order.
#[must_use]
pub fn digest_id(destination: LaneKey, carried: &[Due]) -> DeliveryId {
    let mut ids: Vec<[u8; 16]> = carried.iter().map(|due| due.id.0).collect();
    ids.sort_unstable();
    let mut parts: Vec<&[u8]> = vec![&destination.0];
    parts.extend(ids.iter().map(<[u8; 16]>::as_slice));
    DeliveryId::of(&parts)
}

impl Slots {
    fn for_one(&self, candidate: &Candidate) -> u32 {
        if candidate.priority {
            self.priority
        } else {
            self.all
        }
    }
}

impl Plan {
    /// Puts the rest into one digest if there is a slot for it, and lets it wait otherwise. Only
    /// prioritised ones use a slot that only they may use.
    fn share(&mut self, rest: &[usize], candidates: &[Candidate], slots: Slots, used: u32) {
        let fits = |at: &&usize| used + slots.digest <= slots.for_one(&candidates[**at]);
        let (shared, wait): (Vec<&usize>, Vec<&usize>) = rest.iter().partition(fits);
        self.wait = wait.into_iter().copied().collect();
        match shared.as_slice() {
            [only] if candidates[**only].messages <= slots.digest => self.single.push(**only),
            many => self.digest = many.iter().map(|at| **at).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p` prioritised, `f` first message, `n` other news, each with a cost; since grows.
    fn candidates(text: &str) -> Vec<Candidate> {
        let one = |(place, word): (usize, &str)| Candidate {
            priority: word.starts_with('p'),
            verdict: match word.starts_with('f') {
                true => Verdict::First,
                false => Verdict::NewAlerts,
            },
            since: Timestamp::from_millis(i64::try_from(place).unwrap()),
            messages: word[1..].parse().unwrap_or(1),
        };
        text.split_whitespace().enumerate().map(one).collect()
    }

    fn check(
        text: &str,
        all: u32,
        priority: u32,
        single: &[usize],
        digest: &[usize],
        wait: &[usize],
    ) {
        let slots = Slots {
            all,
            priority,
            digest: 1,
        };
        let got = plan(&candidates(text), slots);
        let want = Plan {
            single: single.to_vec(),
            digest: digest.to_vec(),
            wait: wait.to_vec(),
        };
        assert_eq!(got, want, "{text} in {all}/{priority}");
    }

    #[test]
    fn everyone_speaks_alone_while_all_fit() {
        check("n n n", 3, 3, &[0, 1, 2], &[], &[]);
        check("", 0, 0, &[], &[], &[]);
    }

    #[test]
    fn priority_goes_first_then_first_messages_then_the_oldest() {
        check("n f n p", 9, 9, &[3, 1, 0, 2], &[], &[]);
    }

    #[test]
    fn the_last_slot_carries_a_digest_of_all_others() {
        check("n n n n", 2, 2, &[0], &[1, 2, 3], &[]);
        check("n n p n", 1, 1, &[], &[2, 0, 1, 3], &[]);
    }

    #[test]
    fn without_a_slot_all_wait() {
        check("n p", 0, 0, &[], &[], &[1, 0]);
    }

    #[test]
    fn prioritised_ones_use_slots_that_others_may_not() {
        check("n p n", 0, 5, &[1], &[], &[0, 2]);
    }

    #[test]
    fn a_costly_message_alone_goes_in_short_rather_than_waiting_for_its_slots() {
        check("n3", 1, 1, &[], &[0], &[]);
        check("n3", 3, 3, &[0], &[], &[]);
    }

    #[test]
    fn a_costly_message_leaves_room_for_the_digest() {
        check("n3 n n", 3, 3, &[], &[0, 1, 2], &[]);
        check("n2 n n", 3, 3, &[0], &[1, 2], &[]);
    }
}
