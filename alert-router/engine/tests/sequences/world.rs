//! A small world on virtual time: sources that speak, mutes that come and go, channels that answer
//! after a second, and a list of what people heard. Tests tell it a story and compare the list.
//!
//! Instants are written `m:ss` or `h:mm:ss` from the start of the story; negative ones lie before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{
    AlertKey, Became, BodyHash, Circuit, Claim, ConfigHash, Content, Context, Due, Fingerprint,
    Group, Incarnation, Intake, Labels, LaneKey, LanePolicy, LineKind, Liveness, Mute, MutedBy,
    Mutes, Note, Observation, Observed, Outcome, Owners, Passage, Policy, Record, Rehomed, RouteId,
    Says, Source, SourceName, Sources, StillInFlight, Timestamp, Wake, rehome,
};

/// How a channel answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Delivers,
    Fails,
    Refuses,
    Blocks,
    /// Takes the message and says that one recipient never will.
    PartlyDelivers,
    /// Lets it wait until its next answer begins.
    Defers,
    /// Has no slot until its next answer begins.
    HasNoSlot,
    /// Never answers.
    Swallows,
}

/// A group and the config of its route.
pub(crate) struct Site {
    pub(crate) group: Group,
    pub(crate) policy: Policy,
}

/// The world.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) sites: BTreeMap<&'static str, Site>,
    pub(crate) sources: Sources,
    pub(crate) owners: Owners,
    pub(crate) records: Vec<Record>,
    pub(crate) notes: Vec<Note>,
    /// Every claim: its instant and what it said.
    pub(crate) claims: Vec<(Timestamp, Due)>,
    /// How often a group was looked at because its wake had come.
    pub(crate) wakes: usize,
    /// How often the operators were told that a destination is blocked.
    pub(crate) operator_notices: usize,
    quiet: Quiet,
    channels: BTreeMap<LaneKey, Vec<(Timestamp, Answer)>>,
    circuits: BTreeMap<LaneKey, Circuit>,
    landings: Vec<Landing>,
    heard: Vec<String>,
    names: BTreeMap<Fingerprint, String>,
    lanes: BTreeMap<LaneKey, &'static str>,
}

struct Landing {
    at: Timestamp,
    site: &'static str,
    due: Due,
    answer: Answer,
}

/// Mutes as they were and are.
#[derive(Default)]
struct Quiet(Vec<QuietTime>);

struct QuietTime {
    alert: AlertKey,
    by: MutedBy,
    from: Timestamp,
    until: Option<Timestamp>,
    announced: bool,
}

impl Mutes for Quiet {
    fn muted(&self, alert: &AlertKey, at: Timestamp) -> Option<Mute> {
        let holds = |q: &&QuietTime| {
            q.alert == *alert && q.from <= at && q.until.is_none_or(|until| at < until)
        };
        self.0.iter().find(holds).map(|q| Mute {
            by: q.by,
            until: q.until.filter(|_| q.announced),
        })
    }
}

/// The instant that a story calls `text`.
pub(crate) fn at(text: &str) -> Timestamp {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let units = digits.split(':').map(|unit| unit.parse::<u64>().unwrap());
    let seconds = Duration::from_secs(units.fold(0, |sum, unit| sum * 60 + unit));
    if minus {
        START - seconds
    } else {
        START + seconds
    }
}

/// The length that a story calls `text`.
pub(crate) fn lasting(text: &str) -> Duration {
    at(text).since(START)
}

const START: Timestamp = Timestamp::from_millis(1_767_261_600_000);

pub(crate) fn lane(name: &str) -> LaneKey {
    LaneKey::of(&[name.as_bytes()])
}

pub(crate) fn key(alert: &str) -> AlertKey {
    AlertKey {
        source: SourceName::unnamed(),
        fingerprint: Labels::from_iter([("alertname", alert)]).fingerprint(),
    }
}

pub(crate) fn policy(lanes: &[&'static str]) -> Policy {
    let lanes: BTreeMap<_, _> = lanes
        .iter()
        .map(|n| (lane(n), LanePolicy::default()))
        .collect();
    Policy {
        destinations: Arc::new(lanes.keys().copied().collect()),
        lanes,
        ..Policy::default()
    }
}

impl World {
    /// One group `G` behind an Alertmanager, told to one lane `room`.
    pub(crate) fn new() -> Self {
        Self::with_lanes(&["room"])
    }

    pub(crate) fn with_lanes(lanes: &[&'static str]) -> Self {
        let mut world = Self {
            now: START,
            sites: BTreeMap::new(),
            sources: Sources::default(),
            owners: Owners::Only(Incarnation(1)),
            records: Vec::new(),
            notes: Vec::new(),
            claims: Vec::new(),
            wakes: 0,
            operator_notices: 0,
            quiet: Quiet::default(),
            channels: BTreeMap::new(),
            circuits: BTreeMap::new(),
            landings: Vec::new(),
            heard: Vec::new(),
            names: BTreeMap::new(),
            lanes: BTreeMap::new(),
        };
        world.add_group("G", policy(lanes), Intake::Webhook);
        world
    }

    pub(crate) fn add_group(&mut self, name: &'static str, policy: Policy, intake: Intake) {
        let ctx = Context {
            now: self.now,
            policy: &policy,
            sources: &self.sources,
            mutes: &self.quiet,
            owners: &self.owners,
        };
        let route = RouteId::of(&[name.as_bytes()]);
        let group = Group::new(route, Labels::default(), ConfigHash([0; 16]), intake, &ctx);
        for known in ["room", "mail", "spare"] {
            if policy.lanes.contains_key(&lane(known)) {
                self.lanes.insert(lane(known), known);
            }
        }
        self.sites.insert(name, Site { group, policy });
    }

    pub(crate) fn policy(&mut self) -> &mut Policy {
        &mut self.sites.get_mut("G").unwrap().policy
    }

    pub(crate) fn group(&self) -> &Group {
        &self.sites["G"].group
    }

    /// The channel of `name` answers so from `from` on.
    pub(crate) fn channel(&mut self, name: &str, from: &str, answer: Answer) {
        let answers = self.channels.entry(lane(name)).or_default();
        answers.push((at(from), answer));
        answers.sort_by_key(|(from, _)| *from);
    }

    /// The channel of `name` answers so from now on.
    pub(crate) fn channel_now(&mut self, name: &str, answer: Answer) {
        self.channels
            .entry(lane(name))
            .or_default()
            .push((self.now, answer));
    }

    /// A person lets every group try again what was given up for `name`.
    pub(crate) fn replay(&mut self, name: &str) {
        for site in self.sites.values_mut() {
            site.group.replay(lane(name));
        }
    }

    /// Moves `alert` to another group.
    pub(crate) fn rehome(
        &mut self,
        alert: &str,
        from: &'static str,
        to: &'static str,
    ) -> Result<Rehomed, StillInFlight> {
        let mut old = self.sites.remove(from).unwrap();
        let new = self.sites.get_mut(to).unwrap();
        let context = |policy| Context {
            now: self.now,
            policy,
            sources: &self.sources,
            mutes: &self.quiet,
            owners: &self.owners,
        };
        let rehomed = rehome(
            &key(alert),
            (&mut old.group, &context(&old.policy)),
            (&mut new.group, &context(&new.policy)),
        );
        self.notes.extend(old.group.take_notes());
        self.notes.extend(new.group.take_notes());
        self.sites.insert(from, old);
        rehomed
    }

    /// Runs until `time`, and stays there.
    pub(crate) fn at(&mut self, time: &str) -> &mut Self {
        self.run(at(time));
        self
    }

    pub(crate) fn fires(&mut self, alert: &str, start: &str) -> Observed {
        self.observe(
            "G",
            alert,
            alert,
            Says::Firing {
                start: at(start),
                expires: None,
            },
        )
    }

    pub(crate) fn resolves(&mut self, alert: &str) -> Observed {
        let end = self.now;
        self.observe("G", alert, alert, Says::Resolved { end })
    }

    /// One observation of the copy `voice` of `alert`, in the group `site`.
    pub(crate) fn observe(
        &mut self,
        site: &'static str,
        alert: &str,
        voice: &str,
        says: Says,
    ) -> Observed {
        let seen = self.observation(alert, voice, says);
        self.call(site, |group, ctx| group.observe(&seen, ctx))
    }

    /// As `observe`, in a group that the alert is not routed to.
    pub(crate) fn overhear(&mut self, site: &'static str, alert: &str, says: Says) -> Observed {
        let seen = self.observation(alert, alert, says);
        self.call(site, |group, ctx| group.overhear(&seen, ctx))
    }

    fn observation(&mut self, alert: &str, voice: &str, says: Says) -> Observation {
        let seen = Observation {
            key: key(alert),
            voice: Labels::from_iter([("alertname", alert), ("replica", voice)]).fingerprint(),
            says,
            body: BodyHash::of(&[alert.as_bytes()]),
            name: alert.into(),
            priority: alert.starts_with("urgent"),
        };
        self.names.insert(seen.key.fingerprint, alert.to_owned());
        if let Some(source) = self.sources.0.get_mut(&seen.key.source)
            && let Some(life) = &mut source.life
        {
            life.spoke(&source.rules, self.now);
        }
        seen
    }

    /// Mutes `alert` from now on; `until` is announced, if given.
    pub(crate) fn mute(&mut self, alert: &str, by: MutedBy, until: Option<&str>) {
        self.quiet.0.push(QuietTime {
            alert: key(alert),
            by,
            from: self.now,
            until: until.map(at),
            announced: until.is_some(),
        });
    }

    /// Ends every mute of `alert` now, and lets the group look, as a removed silence would.
    pub(crate) fn unmute(&mut self, alert: &str) {
        for quiet in self.quiet.0.iter_mut().filter(|q| q.alert == key(alert)) {
            quiet.until = Some(self.now);
        }
        self.turn("G");
    }

    pub(crate) fn source_speaks_from_now(&mut self, repeats_every: Duration) {
        let life = Liveness {
            repeats_every,
            ..Liveness::begin(self.now)
        };
        let source = Source {
            life: Some(life),
            ..Source::default()
        };
        self.sources.0.insert(SourceName::unnamed(), source);
    }

    /// The process dies and another takes over; what was under way never lands.
    pub(crate) fn kill(&mut self) {
        self.kill_before_next_look();
        for name in self.sites.keys().copied().collect::<Vec<_>>() {
            self.turn(name);
        }
    }

    /// As [`kill`](Self::kill), but something else happens before the new process looks.
    pub(crate) fn kill_before_next_look(&mut self) {
        self.landings.clear();
        self.owners = Owners::Only(Incarnation(2));
        for site in self.sites.values_mut() {
            site.group = Group::from_state(site.group.state().clone());
        }
    }

    pub(crate) fn call<T>(
        &mut self,
        site: &'static str,
        verb: impl FnOnce(&mut Group, &Context<'_>) -> T,
    ) -> T {
        let Site { group, policy } = self.sites.get_mut(site).unwrap();
        let ctx = Context {
            now: self.now,
            policy,
            sources: &self.sources,
            mutes: &self.quiet,
            owners: &self.owners,
        };
        let result = verb(group, &ctx);
        self.notes.extend(group.take_notes());
        result
    }

    pub(crate) fn next_wake(&mut self, site: &'static str) -> Option<Wake> {
        self.call(site, |group, ctx| group.next_wake(ctx))
    }

    /// What people heard, in order: `m:ss [lane] Verdict`, then `+`new `^`re-opened `-`over
    /// `!`missed `=`still firing.
    #[track_caller]
    pub(crate) fn heard(&self, expected: &[&str]) {
        assert_eq!(self.heard, expected);
    }

    /// What people heard, without the instants.
    pub(crate) fn story(&self) -> Vec<String> {
        let untimed = self.heard.iter().filter_map(|told| told.split_once(' '));
        untimed.map(|(_, told)| told.to_owned()).collect()
    }

    /// Runs until this instant, and stays there.
    pub(crate) fn run_to(&mut self, until: Timestamp) {
        self.run(until);
    }

    /// Names lanes in what is heard from now on.
    pub(crate) fn lanes_are(&mut self, names: &[&'static str]) {
        self.lanes = names.iter().map(|name| (lane(name), *name)).collect();
    }

    fn run(&mut self, until: Timestamp) {
        for _ in 0..20_000 {
            let sites: Vec<_> = self.sites.keys().copied().collect();
            let wakes = sites
                .iter()
                .filter_map(|s| Some((self.next_wake(s)?.at, *s)));
            let wake = wakes.collect::<Vec<_>>().into_iter().min();
            let landing = self.landings.iter().map(|landing| landing.at).min();
            let next = wake.map(|(at, _)| at).into_iter().chain(landing).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if landing == Some(next) {
                self.land();
            } else if let Some((_, site)) = wake {
                self.wakes += 1;
                self.turn(site);
            }
        }
        panic!("the world does not come to rest");
    }

    /// One look at a group: everything due is claimed, or waits for its channel.
    pub(crate) fn turn(&mut self, site: &'static str) {
        let due = self.call(site, |group, ctx| group.due(ctx));
        for due in due {
            let (answer, next) = self.answer(due.lane);
            let passage = self.circuits.entry(due.lane).or_default().passage(self.now);
            let wait = match (answer, passage) {
                (Answer::HasNoSlot, _) => Some(next),
                (_, Passage::Shut { until }) => Some(until),
                (_, Passage::Free | Passage::Probe) => None,
            };
            match wait {
                Some(until) => self.call(site, |group, ctx| group.postpone(due.lane, until, ctx)),
                None => self.send(site, due, answer),
            }
        }
    }

    fn send(&mut self, site: &'static str, due: Due, answer: Answer) {
        let Owners::Only(owner) = self.owners else {
            panic!("the world knows one process at a time");
        };
        let deadline = self.now + lasting("1:00");
        let claim = Claim {
            id: due.id,
            owner,
            deadline,
        };
        self.call(site, |group, ctx| group.claim(&due, claim, ctx))
            .unwrap();
        let circuit = self.circuits.entry(due.lane).or_default();
        circuit.sent(deadline, self.now);
        self.claims.push((self.now, due.clone()));
        self.landings.push(Landing {
            at: self.now + lasting("0:01"),
            site,
            due,
            answer,
        });
    }

    fn land(&mut self) {
        let now = self.now;
        let (landed, flying) = std::mem::take(&mut self.landings)
            .into_iter()
            .partition::<Vec<_>, _>(|landing| landing.at <= now);
        self.landings = flying;
        for landing in landed {
            if landing.answer == Answer::Swallows {
                continue;
            }
            let outcome = self.outcome(&landing);
            let circuit = self.circuits.entry(landing.due.lane).or_default();
            match &outcome {
                Outcome::Blocked { probe_after } => {
                    self.operator_notices += usize::from(circuit.blocked(*probe_after, now));
                }
                Outcome::Delivered { .. }
                | Outcome::Partly { .. }
                | Outcome::Failed { .. }
                | Outcome::Refused
                | Outcome::Deferred { .. }
                | Outcome::Lapsed => {
                    circuit.answered();
                }
            }
            let id = landing.due.id;
            let record = self.call(landing.site, |group, ctx| group.settle(id, outcome, ctx));
            if matches!(record.became, Became::Heard | Became::PartlyHeard) {
                let told = self.told(&landing);
                self.heard.push(told);
            }
            self.records.push(record);
        }
    }

    fn outcome(&self, landing: &Landing) -> Outcome {
        match landing.answer {
            Answer::Delivers => Outcome::Delivered { memory: None },
            Answer::PartlyDelivers => Outcome::Partly {
                refused: 1,
                memory: None,
            },
            Answer::Fails => Outcome::Failed { retry_after: None },
            Answer::Refuses => Outcome::Refused,
            Answer::Blocks => Outcome::Blocked {
                probe_after: lasting("1:00"),
            },
            Answer::Defers => Outcome::Deferred {
                wait: self.answer(landing.due.lane).1.since(self.now),
            },
            Answer::HasNoSlot | Answer::Swallows => unreachable!("never lands"),
        }
    }

    /// How a channel answers now, and when that changes.
    fn answer(&self, lane: LaneKey) -> (Answer, Timestamp) {
        let answers = self.channels.get(&lane).map_or(&[][..], Vec::as_slice);
        let changes = answers.iter().find(|(from, _)| *from > self.now);
        let holds = answers.iter().rfind(|(from, _)| *from <= self.now);
        let answer = holds.map_or(Answer::Delivers, |(_, answer)| *answer);
        (answer, changes.map_or(Timestamp::MAX, |(from, _)| *from))
    }

    fn told(&self, landing: &Landing) -> String {
        let sent = (landing.at - lasting("0:01")).since(START).as_secs();
        let mut text = format!("{}:{:02} ", sent / 60, sent % 60);
        if self.lanes.len() > 1 {
            write!(text, "{} ", self.lanes[&landing.due.lane]).unwrap();
        }
        write!(text, "{:?}", landing.due.verdict).unwrap();
        self.describe(&landing.due.content, landing.site, &mut text);
        text
    }

    fn describe(&self, content: &Content, site: &str, text: &mut String) {
        let state = self.sites[site].group.state();
        let mut counted = BTreeMap::new();
        for line in &content.lines {
            let sign = match line.kind {
                LineKind::New => '+',
                LineKind::Reopened => '^',
                LineKind::Over => '-',
                LineKind::Missed => '!',
                LineKind::Firing => '=',
            };
            *counted.entry(sign).or_insert(0) += 1;
            let episode = state.episodes.get(&line.episode);
            if let Some(episode) = episode.filter(|_| content.lines.len() < 20) {
                write!(text, " {sign}{}", self.names[&episode.alert.fingerprint]).unwrap();
            }
        }
        if content.lines.len() >= 20 {
            write!(text, " {counted:?}").unwrap();
        }
        if content.muted > 0 {
            write!(text, " ({} muted)", content.muted).unwrap();
        }
        if content.expired > 0 {
            write!(text, " ({} expired)", content.expired).unwrap();
        }
        if let Some(by) = content.delayed_by {
            write!(text, " late by {}s", by.as_secs()).unwrap();
        }
        if let Some(lane) = content.failed_over_from {
            write!(text, " instead of {}", self.lanes[&lane]).unwrap();
        }
    }
}
