//! The reference people: one for each destination, who read everything that arrives there and
//! object to what contradicts it. Naive on purpose; they know nothing of groups' insides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::letter::{Kind, Letter};

/// A little less than `repeat_interval` of all configs.
const REPEAT: Duration = Duration::from_secs(3_590);

/// Tries after which a delivery is given up.
const ATTEMPTS: u32 = 30;

/// What was broken, in the words of the rules.
pub(crate) type Held = Result<(), String>;

#[derive(Default)]
pub(crate) struct People {
    people: BTreeMap<String, Person>,
    letters: BTreeMap<String, Told>,
    claims: u64,
}

#[derive(Default)]
struct Person {
    believes: BTreeMap<String, Belief>,
    /// Starts of which anything was ever read.
    read: BTreeSet<(String, i64)>,
    /// When a group was surely told last; `None` since clocks stepped.
    told: BTreeMap<String, Duration>,
    /// The newest letter about a group that surely arrived: when it was claimed first.
    newest: BTreeMap<String, u64>,
}

/// What somebody takes to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Belief {
    /// Nobody can expect it of them: their destination was not in the config for a while.
    Unknown,
    Over {
        sure: bool,
        /// The beginning of what is over.
        start: i64,
    },
    Fires {
        sure: bool,
        /// The letter that said so.
        by: String,
    },
}

/// A delivery, over all its attempts.
struct Told {
    letter: Letter,
    text: String,
    first_claimed: u64,
    claims: u32,
    /// Attempts that surely did not arrive.
    refused: u32,
    /// Its stored bytes may be gone.
    given_up: bool,
    /// It arrived, the router learned that, and nothing had come in between.
    confirmed: bool,
}

impl People {
    /// A router wrote down that it is about to tell this.
    pub(crate) fn claimed(&mut self, id: &str, text: &str, again: bool) -> Held {
        self.claims += 1;
        let letter = Letter::read(text);
        let person = self.people.entry(letter.to.clone()).or_default();
        for line in letter.lines() {
            // From now on they may know better.
            match person.believes.get_mut(&line.alert) {
                Some(Belief::Over { sure, .. }) if line.kind.fires() => *sure = false,
                Some(Belief::Fires { sure, .. }) if !line.kind.fires() => *sure = false,
                _ => {}
            }
        }
        let told = self.letters.entry(id.to_owned()).or_insert_with(|| Told {
            letter,
            text: text.to_owned(),
            first_claimed: self.claims,
            claims: 0,
            refused: 0,
            given_up: false,
            confirmed: false,
        });
        told.claims += 1;
        if told.text == text {
            return Ok(());
        }
        // After it was refused or given up, the same content may be rendered anew.
        let given_up = told.given_up || told.claims > ATTEMPTS;
        if again || !given_up {
            return Err(format!("same-bytes: {id} had another text:\n{}", told.text));
        }
        text.clone_into(&mut told.text);
        Ok(())
    }

    /// The router wrote down that it was refused; `surely`: no fault came in between.
    pub(crate) fn refused(&mut self, id: &str, surely: bool) {
        if let Some(told) = self.letters.get_mut(id) {
            told.refused += u32::from(surely);
            told.given_up = true;
        }
    }

    /// Its stored bytes are gone, but a fault came in between: it may be told again.
    pub(crate) fn may_have_been_confirmed(&mut self, id: &str) {
        if let Some(told) = self.letters.get_mut(id) {
            told.given_up = true;
        }
    }

    /// A letter is read. `disturbed`: a fault came in between, so the router may not know what it
    /// did.
    pub(crate) fn arrived(&mut self, id: &str, disturbed: bool, now: Duration) -> Held {
        let Some(told) = self.letters.get(id) else {
            return Err(format!("claim-first: {id} was sent and never claimed"));
        };
        let letter = told.letter.clone();
        if told.confirmed && !disturbed {
            return Err(format!("told-once: {id} was confirmed: {}", letter.short()));
        }
        let first_claimed = told.first_claimed;
        for line in letter.lines().filter(|line| line.kind == Kind::Over) {
            if !self.may_know(&letter.to, &line.alert) {
                return Err(format!("no-end-without-beginning: {}", letter.short()));
            }
        }
        let person = self.people.entry(letter.to.clone()).or_default();
        for section in &letter.groups {
            let newest = person.newest.get(&section.group).copied().unwrap_or(0);
            if newest > first_claimed && !disturbed {
                return Err(format!("lane-order: older after newer: {}", letter.short()));
            }
            let last = person.told.get(&section.group);
            if section.reason == "Repeat" && last.is_some_and(|last| now < *last + REPEAT) {
                return Err(format!("no-idle-repeat: {}", letter.short()));
            }
        }
        for line in letter.lines() {
            person.reads(id, line.kind, &line.alert, line.start, disturbed)?;
        }
        Ok(())
    }

    /// The router wrote down that a letter arrived.
    pub(crate) fn confirmed(&mut self, id: &str, now: Duration) {
        let Some(told) = self.letters.get_mut(id) else {
            return;
        };
        told.confirmed = true;
        let letter = told.letter.clone();
        let person = self.people.entry(letter.to.clone()).or_default();
        for section in &letter.groups {
            person.told.insert(section.group.clone(), now);
            let newest = person.newest.entry(section.group.clone()).or_default();
            *newest = told.first_claimed.max(*newest);
        }
        for line in letter.lines() {
            match person.believes.get_mut(&line.alert) {
                Some(Belief::Fires { sure, by }) if by == id => *sure = true,
                Some(Belief::Over { sure, start }) if !line.kind.fires() => {
                    *sure = *start == line.start;
                }
                _ => {}
            }
        }
    }

    /// Routers disagree about the config: one may tell what another one told elsewhere.
    pub(crate) fn routers_disagree(&mut self) {
        let people = self.people.values_mut();
        for belief in people.flat_map(|person| person.believes.values_mut()) {
            match belief {
                Belief::Over { sure, .. } | Belief::Fires { sure, .. } => *sure = false,
                Belief::Unknown => {}
            }
        }
    }

    /// An alert is routed elsewhere: those who were told hear its end, and nothing else of it there.
    /// If it comes back, they may be told again.
    pub(crate) fn routed_elsewhere(&mut self, to: &str, alert: &str) {
        let person = self.people.get_mut(to);
        if let Some(Belief::Fires { sure, .. }) = person.and_then(|p| p.believes.get_mut(alert)) {
            *sure = false;
        }
    }

    /// A clock stepped: how long ago something was told cannot be told from it.
    pub(crate) fn clock_stepped(&mut self) {
        self.people
            .values_mut()
            .for_each(|person| person.told.clear());
    }

    /// A destination is in no config for a while: nobody can expect its people to hear of anything.
    pub(crate) fn left(&mut self, to: &str) {
        let person = self.people.entry(to.to_owned()).or_default();
        person.told.clear();
        person
            .believes
            .values_mut()
            .for_each(|belief| *belief = Belief::Unknown);
    }

    /// Whether they know whether an alert fires. `routed`: they are to hear of it.
    pub(crate) fn knows(&self, to: &str, alert: &str, fires: bool, routed: bool) -> bool {
        match self.people.get(to).and_then(|p| p.believes.get(alert)) {
            Some(Belief::Unknown) => true,
            Some(Belief::Fires { .. }) => fires,
            Some(Belief::Over { .. }) | None => !(fires && routed),
        }
    }

    /// Whether they ever read of an occurrence that began at one of these instants.
    pub(crate) fn read_of(&self, to: &str, alert: &str, starts: &BTreeSet<i64>) -> bool {
        let Some(person) = self.people.get(to) else {
            return false;
        };
        let mut starts = starts.iter();
        starts.any(|start| person.read.contains(&(alert.to_owned(), *start)))
    }

    /// What everybody believes, for the trace.
    pub(crate) fn beliefs(&self) -> String {
        let people = self.people.iter();
        let believe = people.map(|(name, person)| format!("{name}: {:?}", person.believes));
        believe.collect::<Vec<_>>().join("\n")
    }

    /// Whether a letter that may have arrived told them of this alert.
    fn may_know(&self, to: &str, alert: &str) -> bool {
        let mut letters = self.letters.values();
        letters.any(|told| {
            let mut lines = told.letter.lines();
            told.claims > told.refused
                && told.letter.to == to
                && lines.any(|line| line.kind.fires() && line.alert == alert)
        })
    }
}

impl Person {
    fn reads(&mut self, id: &str, kind: Kind, alert: &str, start: i64, disturbed: bool) -> Held {
        self.read.insert((alert.to_owned(), start));
        let before = self.believes.get(alert);
        match (kind, before) {
            (Kind::New | Kind::Again, Some(Belief::Fires { sure: true, by })) if !disturbed => {
                return Err(format!("told-once: {alert} in {id}, though {by} said so"));
            }
            (
                Kind::Over,
                Some(Belief::Over {
                    sure: true,
                    start: told,
                }),
            ) if !disturbed && *told == start => {
                return Err(format!("told-once: {alert} is over, again, in {id}"));
            }
            _ => {}
        }
        let belief = match (kind.fires(), before) {
            (false, _) => Belief::Over { sure: false, start },
            // In a list of what goes on; they knew it already.
            (true, Some(known @ Belief::Fires { .. })) if kind == Kind::Firing => known.clone(),
            (true, _) => Belief::Fires {
                sure: false,
                by: id.to_owned(),
            },
        };
        self.believes.insert(alert.to_owned(), belief);
        Ok(())
    }
}
