//! The small world: what may happen next, what happens then, and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{
    AlertKey, Became, BodyHash, Claim, ConfigHash, Context, DeliveryId, Ends, EpisodeId,
    Fingerprint, Flight, Group, Incarnation, Intake, Labels, LaneKey, LanePolicy, Mute, MutedBy,
    Mutes, Observation, Opens, Outcome, Owners, Policy, RouteId, Says, SourceName, Sources,
    Timestamp, Timing,
};

use crate::person::Person;

pub(crate) const REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);
const LANES: usize = 2;

/// One thing that may happen. Alerts, voices and lanes are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A voice fires anew.
    Fire(usize, usize),
    /// A voice that ended is told as firing with its old start.
    Lag(usize, usize),
    /// A voice ends.
    Resolve(usize, usize),
    /// Nothing happens until the group wakes.
    Wait,
    /// A delivery under way ends.
    Land(usize, Answer),
    /// The first alert is silenced, or no longer.
    Mute,
    /// The process dies; what was under way arrived, or did not. Exhaustion offers it once.
    Crash(bool),
    /// Our clock steps forward or back by an hour. Offered to random walks only.
    Clock(Direction),
}

/// Where a clock steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Delivered,
    /// Reported as failed, though it arrived.
    FailedArrived,
    FailedLost,
    Refused,
    Deferred,
    Blocked,
    /// It arrived, and the answer never comes.
    Swallowed,
}

impl Answer {
    pub(crate) const ALL: [Self; 7] = [
        Self::Delivered,
        Self::FailedArrived,
        Self::FailedLost,
        Self::Refused,
        Self::Deferred,
        Self::Blocked,
        Self::Swallowed,
    ];
}

/// The world.
#[derive(Clone)]
pub(crate) struct Small {
    now: Timestamp,
    /// What time it is upstream, where clocks do not step.
    upstream: Timestamp,
    group: Group,
    voices: [[Voice; 2]; 2],
    people: [Person; LANES],
    /// Deliveries that will never be answered: id and attempt.
    swallowed: [Option<(DeliveryId, u32)>; LANES],
    silences: Silences,
    owner: u64,
    crashed: bool,
    /// Which alert each episode was of, and which episodes each lane was ever owed.
    episodes: BTreeMap<EpisodeId, AlertKey>,
    owed: [BTreeSet<EpisodeId>; LANES],
    /// How it came to this: printed when something does not hold.
    pub(crate) path: Vec<Step>,
    shape: Shape,
}

/// What is so, upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Voice {
    Unknown,
    Fires(Timestamp),
    Ended(Timestamp),
}

#[derive(Clone, Default, Hash)]
struct Silences(Vec<(Timestamp, Option<Timestamp>)>);

impl Mutes for Silences {
    fn muted(&self, alert: &AlertKey, at: Timestamp) -> Option<Mute> {
        let holds = |(from, until): &(Timestamp, Option<Timestamp>)| {
            *from <= at && until.is_none_or(|until| at < until)
        };
        let silenced = *alert == key(0) && self.0.iter().any(holds);
        silenced.then_some(Mute {
            by: MutedBy::Silence,
            until: None,
        })
    }
}

impl Hash for Small {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.now.hash(state);
        self.upstream.hash(state);
        self.group.state().hash(state);
        self.voices.hash(state);
        self.people.hash(state);
        self.swallowed.hash(state);
        self.silences.hash(state);
        self.crashed.hash(state);
        self.owed.hash(state);
    }
}

fn key(alert: usize) -> AlertKey {
    AlertKey {
        source: SourceName::unnamed(),
        fingerprint: Fingerprint(alert as u64),
    }
}

fn lane(lane: usize) -> LaneKey {
    LaneKey([u8::try_from(lane).unwrap(); 16])
}

/// Which small world.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// How many of the alerts ever fire.
    pub(crate) alerts: usize,
    /// How many lanes there are.
    pub(crate) lanes: usize,
    /// Whether the second lane is a fallback of the first.
    pub(crate) fallback: bool,
    pub(crate) timing: Timing,
    pub(crate) ends: Ends,
    /// How deliveries may end.
    pub(crate) answers: &'static [Answer],
    /// Whether the first alert may be silenced.
    pub(crate) mutes: bool,
}

impl Shape {
    fn policy(self) -> Policy {
        let opens = |n| match self.fallback && n == 1 {
            true => Opens::WhenFailing {
                lane: lane(0),
                after: 30 * SECOND,
            },
            false => Opens::AtOnce,
        };
        let lanes = (0..self.lanes).map(|n| {
            let policy = LanePolicy {
                opens: opens(n),
                ends: self.ends,
            };
            (lane(n), policy)
        });
        Policy {
            lanes: lanes.collect(),
            destinations: Arc::new((0..self.lanes).map(lane).collect()),
            repeat_interval: REPEAT_INTERVAL,
            timing: Some(self.timing),
            // Otherwise what is told as a number would count as unheard.
            ttl: Duration::MAX,
            ..Policy::default()
        }
    }
}

impl Small {
    pub(crate) fn begin(shape: Shape) -> Self {
        let now = Timestamp::from_millis(1_000_000_000);
        let silences = Silences::default();
        let ctx = Context {
            now,
            policy: &shape.policy(),
            sources: &Sources::default(),
            mutes: &silences,
            owners: &Owners::Only(Incarnation(1)),
        };
        let (route, config) = (RouteId([0; 16]), ConfigHash([0; 16]));
        Self {
            now,
            upstream: now,
            group: Group::new(route, Labels::default(), config, Intake::Webhook, &ctx),
            voices: [[Voice::Unknown; 2]; 2],
            people: Default::default(),
            swallowed: Default::default(),
            silences,
            owner: 1,
            crashed: false,
            episodes: BTreeMap::new(),
            owed: Default::default(),
            path: Vec::new(),
            shape,
        }
    }

    /// Everything that may happen next.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Wait];
        steps.extend(self.shape.mutes.then_some(Step::Mute));
        for (a, voices) in self.voices.iter().enumerate().take(self.shape.alerts) {
            for (v, voice) in voices.iter().enumerate() {
                match voice {
                    // Voices of one alert are alike: the second one comes after the first.
                    Voice::Unknown if v > 0 && voices[v - 1] == Voice::Unknown => {}
                    Voice::Unknown => steps.push(Step::Fire(a, v)),
                    Voice::Fires(_) => steps.push(Step::Resolve(a, v)),
                    Voice::Ended(_) => steps.extend([Step::Fire(a, v), Step::Lag(a, v)]),
                }
            }
        }
        for l in (0..LANES).filter(|l| self.flight(*l).is_some() && !self.is_swallowed(*l)) {
            let answers = self.shape.answers.iter();
            steps.extend(answers.map(|answer| Step::Land(l, *answer)));
        }
        if !self.crashed {
            steps.extend([Step::Crash(true), Step::Crash(false)]);
        }
        steps
    }

    /// One step takes a second, or until the group wakes.
    pub(crate) fn take(&mut self, step: Step) {
        self.path.push(step);
        let woken = match step {
            Step::Wait => self
                .call(|group, ctx| group.next_wake(ctx))
                .map(|wake| wake.at),
            Step::Fire(..)
            | Step::Lag(..)
            | Step::Resolve(..)
            | Step::Land(..)
            | Step::Mute
            | Step::Crash(_)
            | Step::Clock(_) => None,
        };
        let at = woken.map_or(self.now + SECOND, |at| at.max(self.now));
        self.wait_until(at);
        match step {
            Step::Fire(a, v) => self.fire(a, v, self.upstream),
            Step::Lag(a, v) => {
                if let Voice::Ended(end) = self.voices[a][v] {
                    self.fire(a, v, end - SECOND);
                }
            }
            Step::Resolve(a, v) => {
                let end = self.upstream;
                self.voices[a][v] = Voice::Ended(end);
                self.observe(a, v, Says::Resolved { end });
            }
            Step::Wait => {}
            Step::Land(lane, answer) => self.land(lane, answer),
            Step::Mute => self.silences.toggle(self.now),
            Step::Crash(arrived) => self.crash(arrived),
            Step::Clock(direction) => self.step_clock(direction),
        }
        // Whoever drives the engine looks when mutes change and when the clock stepped.
        if matches!(step, Step::Mute | Step::Clock(_)) || self.is_due() {
            self.turn();
        }
        self.note();
    }

    /// Invariants `heard-truth` and `progress`: once nothing fails any more, the world comes to
    /// rest, and then everyone knows what is so.
    pub(crate) fn check_rest(&self) {
        let mut world = self.clone();
        world.silences.end(world.now);
        for l in 0..LANES {
            world.group.replay(lane(l));
        }
        for _ in 0..100 {
            if (0..LANES).any(|l| world.flight(l).is_some() && !world.is_swallowed(l)) {
                world.wait_until(world.now + SECOND);
                for l in 0..LANES {
                    world.land(l, Answer::Delivered);
                }
            }
            match world.call(|group, ctx| group.next_wake(ctx)) {
                // Whatever is still to be settled takes less than an hour.
                Some(wake) if wake.at < world.now + HOUR => {
                    world.wait_until(wake.at.max(world.now));
                }
                Some(_) | None => return world.check_people(),
            }
            world.turn();
            world.note();
        }
        panic!("no rest: {:#?}", world.group.state());
    }

    /// Everyone knows of exactly the alerts that fire, and has heard of all that came due. A
    /// fallback need not know, but what it has heard of it hears the end of.
    fn check_people(&self) {
        for (l, person) in self.people.iter().enumerate().take(self.shape.lanes) {
            let context = || format!("lane {l}: {person:#?} {:#?}", self.group.state());
            let stands_in = self.shape.fallback && l == 1;
            for (a, voices) in self.voices.iter().enumerate() {
                let fires = voices.iter().any(|voice| matches!(voice, Voice::Fires(_)));
                let believed = person
                    .believes
                    .iter()
                    .filter(|(id, belief)| !belief.over && self.episodes.get(id) == Some(&key(a)));
                let (believed, fires) = (believed.count(), usize::from(fires));
                let knows = believed == fires || (stands_in && believed == 0);
                assert!(knows, "alert {a} fires {fires}, {}", context());
            }
            for id in self.owed[l].iter().filter(|_| !stands_in) {
                let heard = person.believes.contains_key(id);
                assert!(heard, "{id} unheard, {}", context());
            }
        }
    }

    fn step_clock(&mut self, direction: Direction) {
        self.now = match direction {
            Direction::Forward => self.now + HOUR,
            Direction::Back => self.now - HOUR,
        };
        self.people.iter_mut().for_each(Person::loses_count_of_time);
    }

    fn wait_until(&mut self, at: Timestamp) {
        self.upstream = self.upstream + at.since(self.now);
        self.now = at;
    }

    fn fire(&mut self, a: usize, v: usize, start: Timestamp) {
        self.voices[a][v] = Voice::Fires(start);
        self.observe(
            a,
            v,
            Says::Firing {
                start,
                expires: None,
            },
        );
    }

    fn observe(&mut self, a: usize, v: usize, says: Says) {
        let seen = Observation {
            key: key(a),
            voice: Fingerprint(v as u64),
            says,
            body: BodyHash([0; 16]),
            name: "A".into(),
            priority: false,
        };
        self.call(|group, ctx| group.observe(&seen, ctx));
    }

    fn is_due(&self) -> bool {
        let wake = self.clone().call(|group, ctx| group.next_wake(ctx));
        wake.is_some_and(|wake| wake.at <= self.now)
    }

    /// Claims everything that is due.
    fn turn(&mut self) {
        for due in self.call(|group, ctx| group.due(ctx)) {
            let claim = Claim {
                id: due.id,
                owner: Incarnation(self.owner),
                deadline: self.now + 60 * SECOND,
            };
            self.call(|group, ctx| group.claim(&due, claim, ctx))
                .unwrap();
        }
        let wake = self.call(|group, ctx| group.next_wake(ctx));
        assert!(
            wake.is_none_or(|wake| wake.at > self.now),
            "{wake:?} at {:?}",
            self.now
        );
    }

    fn land(&mut self, l: usize, answer: Answer) {
        if self.is_swallowed(l) {
            return;
        }
        let Some(flight) = self.flight(l).cloned() else {
            return;
        };
        let Flight { id, content, .. } = flight;
        let outcome = match answer {
            Answer::Delivered => Outcome::Delivered { memory: None },
            Answer::FailedArrived | Answer::FailedLost => Outcome::Failed { retry_after: None },
            Answer::Refused => Outcome::Refused,
            Answer::Deferred => Outcome::Deferred { wait: 10 * SECOND },
            Answer::Blocked => Outcome::Blocked {
                probe_after: 10 * SECOND,
            },
            Answer::Swallowed => {
                self.swallowed[l] = Some((id, flight.attempt));
                return self.people[l].reads(&content);
            }
        };
        match answer {
            Answer::Delivered | Answer::FailedArrived => self.people[l].reads(&content),
            Answer::FailedLost
            | Answer::Refused
            | Answer::Deferred
            | Answer::Blocked
            | Answer::Swallowed => {}
        }
        let before = self.group.state().lanes[&lane(l)]
            .flight
            .as_ref()
            .map(|f| f.id);
        assert_eq!(before, Some(id));
        // Two lanes of one group never share a delivery, so the id finds the right one.
        let record = self.call(|group, ctx| group.settle(id, outcome, ctx));
        if record.became == Became::Heard {
            self.people[l].surely_read(&content, self.now);
        }
    }

    fn crash(&mut self, arrived: bool) {
        for l in 0..LANES {
            if let Some(flight) = self.flight(l).cloned()
                && arrived
                && !self.is_swallowed(l)
            {
                self.people[l].reads(&flight.content);
            }
        }
        self.crashed = true;
        self.owner += 1;
        self.group = Group::from_state(self.group.state().clone());
    }

    /// Notes what came into being and what is owed.
    fn note(&mut self) {
        for l in 0..LANES {
            let lane = self.group.state().lanes.get(&lane(l));
            self.owed[l].extend(lane.iter().flat_map(|lane| lane.owed.keys()));
        }
        let episodes = self.group.state().episodes.iter();
        let episodes = episodes.map(|(id, episode)| (*id, episode.alert.clone()));
        self.episodes.extend(episodes);
        assert!(self.group.state().alerts.len() <= 2);
    }

    fn flight(&self, l: usize) -> Option<&Flight> {
        self.group.state().lanes.get(&lane(l))?.flight.as_ref()
    }

    fn is_swallowed(&self, l: usize) -> bool {
        let flight = self.flight(l).map(|flight| (flight.id, flight.attempt));
        flight.is_some() && flight == self.swallowed[l]
    }

    fn call<T>(&mut self, verb: impl FnOnce(&mut Group, &Context<'_>) -> T) -> T {
        let ctx = Context {
            now: self.now,
            policy: &self.shape.policy(),
            sources: &Sources::default(),
            mutes: &self.silences,
            owners: &Owners::Only(Incarnation(self.owner)),
        };
        verb(&mut self.group, &ctx)
    }
}

impl Silences {
    fn toggle(&mut self, now: Timestamp) {
        match self.0.last() {
            Some((_, None)) => self.end(now),
            Some((_, Some(_))) | None => self.0.push((now, None)),
        }
    }

    fn end(&mut self, now: Timestamp) {
        if let Some((_, until @ None)) = self.0.last_mut() {
            *until = Some(now);
        }
    }
}
