//! The world: what happens next is thrown with dice, and after everything that happens the rules
//! must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use alert_engine::Timestamp;
use alert_router::clock::ManualClock;
use alert_router::store::{MemoryStore, Store};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::delivery::Call;
use crate::dice::Dice;
use crate::exchange::News;
use crate::facts::Facts;
use crate::gate::{Claims, Dial, at_once};
use crate::letter::Letter;
use crate::people::{Held, People};
use crate::plans::{self, Plans};
use crate::router::{Common, Moved, Router};
use crate::upstream::{Post, Upstream};

/// Where the clocks begin: 2026-01-05 09:00 in Beijing.
const BEGIN: i64 = 1_767_574_800_000;
/// Things that happen before everything is healed.
const EVENTS: usize = 800;

pub(crate) struct World<'a> {
    pub(crate) dice: Dice,
    pub(crate) plans: &'a Plans,
    pub(crate) common: Common,
    pub(crate) routers: Vec<Router>,
    pub(crate) upstream: Upstream,
    pub(crate) facts: Facts,
    pub(crate) people: People,
    /// Time that never steps, from the beginning.
    pub(crate) now: Duration,
    pub(crate) posts: u64,
    /// Webhooks that an Alertmanager sends again, or late.
    pub(crate) later: Vec<Post>,
    pub(crate) calls: BTreeMap<u64, Call>,
    /// When the step began that claimed a delivery last: its claim does not lapse earlier.
    pub(crate) claimed_at: BTreeMap<String, Duration>,
    /// Some router changed its config.
    pub(crate) reloaded: bool,
    /// When the clock stepped last.
    pub(crate) clock_stepped_at: Option<Duration>,
    /// The router that moved last: what is sent next is its doing.
    pub(crate) mover: usize,
    trace: Vec<String>,
    /// No fault happens any more.
    pub(crate) healed: bool,
    pub(crate) faults: Faults,
}

/// What goes wrong in this world. Not everything in each: a fault may hide another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) deaths: bool,
    reloads: bool,
    stores: bool,
    pub(crate) clocks: bool,
    pub(crate) providers: bool,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, plans: &'a Plans) -> Self {
        let dice = Dice::of(seed);
        plans.exchange.reset();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(BEGIN)));
        let count = 1 + dice.below(3);
        let faults = Faults {
            deaths: dice.per_mille(600),
            reloads: dice.per_mille(500),
            stores: dice.per_mille(600),
            clocks: dice.per_mille(300),
            providers: dice.per_mille(800),
        };
        let upstream = Upstream::new(BEGIN);
        let mut world = Self {
            plans,
            common: Common {
                store: MemoryStore::new(Arc::clone(&clock) as _),
                clock,
                claims: Claims::default(),
                dead: Default::default(),
                runs: 0,
                shared: count > 1,
            },
            routers: Vec::new(),
            facts: Facts::new(upstream.alerts.len()),
            upstream,
            people: People::default(),
            now: Duration::ZERO,
            posts: 0,
            later: Vec::new(),
            calls: BTreeMap::new(),
            claimed_at: BTreeMap::new(),
            reloaded: false,
            clock_stepped_at: None,
            mover: 0,
            trace: Vec::new(),
            healed: false,
            faults,
            dice,
        };
        for _ in 0..count {
            let dial = Dial::new(world.dice.clone());
            let mut router = Router::new(dial, 0, plans.get(0));
            router.start(&mut world.common);
            world.routers.push(router);
        }
        world.say(format!("{count} routers, {faults:?}"));
        world
    }

    /// Lets things happen.
    pub(crate) async fn live(&mut self) -> Held {
        for _ in 0..EVENTS {
            self.one_event().await?;
        }
        Ok(())
    }

    async fn one_event(&mut self) -> Held {
        match self.dice.below(1_000) {
            0..560 => self.move_someone().await,
            560..680 => self.some_post().await,
            680..740 => {
                let (dice, now) = (self.dice.clone(), self.true_time());
                let what = self.upstream.change(&dice, now);
                self.say(what);
                Ok(())
            }
            740..880 => self.some_answer().await,
            880..960 => self.some_time().await,
            960..975 if self.faults.deaths => self.some_death().await,
            975..982 if self.faults.reloads => {
                self.some_reload();
                Ok(())
            }
            982..985 if self.faults.clocks => {
                self.step_clock();
                Ok(())
            }
            985..1_000 if self.faults.stores => {
                let router = self.dice.below(self.routers.len());
                let per_mille = [0, 0, 30, 150, 400][self.dice.below(5)];
                self.routers[router].dial.set(per_mille);
                self.say(format!("store of {router} fails {per_mille} in 1000"));
                Ok(())
            }
            _ => self.move_someone().await,
        }
    }

    async fn move_someone(&mut self) -> Held {
        let now = self.now;
        let routers = self.routers.iter().enumerate();
        let able: Vec<usize> = routers
            .filter(|(_, router)| router.can_move(now))
            .map(|(number, _)| number)
            .collect();
        match self.dice.pick(&able).copied() {
            Some(router) => self.go_on(router).await,
            None => self.some_time().await,
        }
    }

    /// One router goes on to its next store call.
    pub(crate) async fn go_on(&mut self, router: usize) -> Held {
        self.mover = router;
        let moved = self.routers[router].go_on(&self.common, self.now);
        for failed in self.routers[router].dial.take_log() {
            self.say(format!("router {router}: {failed}"));
        }
        self.answered(router, moved)?;
        self.look().await
    }

    async fn some_post(&mut self) -> Held {
        let post = match self.later.is_empty() || self.dice.per_mille(600) {
            true => {
                let (dice, now) = (self.dice.clone(), self.true_time());
                self.upstream.post(&dice, now)
            }
            false => self.later.swap_remove(self.dice.below(self.later.len())),
        };
        if self.dice.per_mille(150) {
            self.say(format!("late: {:?}", post.says));
            self.later.push(post);
            return Ok(());
        }
        if self.dice.per_mille(150) {
            // The other Alertmanager of the cluster says the same.
            self.later.push(post.clone());
        }
        self.post(post).await
    }

    /// Posts to some router that lives.
    pub(crate) async fn post(&mut self, mut post: Post) -> Held {
        let routers = self.routers.iter().enumerate();
        let able: Vec<usize> = routers
            .filter(|(_, router)| router.takes_posts())
            .map(|(number, _)| number)
            .collect();
        let Some(router) = self.dice.pick(&able).copied() else {
            self.later.push(post);
            return Ok(());
        };
        self.say(format!("post to {router}: {:?}", post.says));
        self.posts += 1;
        post.number = self.posts;
        self.facts.posted(&post, self.now);
        self.mover = router;
        let moved = self.routers[router].post(post);
        self.answered(router, moved)?;
        self.look().await
    }

    fn answered(&mut self, router: usize, moved: Moved) -> Held {
        for (post, status) in moved.answered {
            self.say(format!(
                "router {router} answers {status:?}: {:?}",
                post.says
            ));
            self.facts.answered(&post, self.posts);
            match status {
                Some(200) => {
                    self.facts.taken(&post, &self.upstream, self.now);
                    self.durable()?;
                }
                Some(400) if post.says.is_empty() => {}
                Some(503) | None => self.later.push(post),
                Some(other) => return Err(format!("answer: {other} to {}", post.body)),
            }
        }
        Ok(())
    }

    /// `acknowledged-is-durable`: what was said yes to, and fires, is stored.
    fn durable(&self) -> Held {
        let standing: Vec<usize> = self.facts.standing().collect();
        let keys = standing
            .iter()
            .map(|alert| self.upstream.alerts[*alert].home.clone());
        let homes = at_once(self.common.store.load(keys.collect())).expect("it never fails");
        for (alert, home) in standing.iter().zip(&homes.docs) {
            if home.is_none() {
                let name = self.upstream.alerts[*alert].name;
                return Err(format!("acknowledged-is-durable: {name} is stored nowhere"));
            }
        }
        Ok(())
    }

    /// Lets deliveries begin and end, and looks at what became of them.
    pub(crate) async fn look(&mut self) -> Held {
        for claim in self.common.claims.take() {
            let text = text_of(&claim.bytes);
            let letter = Letter::read(&text);
            self.say(format!("claim {} {}", claim.id, letter.short()));
            self.superseded(&claim.id);
            let stepped_at = self.routers[self.mover].stepped_at;
            self.claimed_at.insert(claim.id.clone(), stepped_at);
            self.people.claimed(&claim.id, &text, claim.again)?;
        }
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        for news in self.plans.exchange.take_news() {
            match news {
                News::Began(call) => self.began(call)?,
                News::Dropped(call) => self.dropped(call)?,
            }
        }
        self.written_down()?;
        for to in ["dba", "oncall"] {
            let mut variants = self.routers.iter().flat_map(|router| &router.variants);
            if variants.any(|variant| !plans::destinations(*variant).contains(&to)) {
                self.people.left(to);
            }
        }
        self.see_routes();
        let mut variants = self.routers.windows(2);
        if variants.any(|pair| pair[0].variants != pair[1].variants) {
            self.people.routers_disagree();
        }
        self.durable()
    }

    /// Sees which alerts are not routed to a destination any more.
    fn see_routes(&mut self) {
        let routers = self.routers.iter();
        let variants: BTreeSet<usize> = routers.flat_map(|r| r.variants.iter().copied()).collect();
        for alert in &self.upstream.alerts {
            for to in ["team", "dba", "oncall"] {
                let routed = |variant: &usize| plans::hears(*variant, alert.service) == to;
                if !variants.iter().all(routed) {
                    self.people.routed_elsewhere(to, alert.name);
                }
            }
        }
    }

    /// What time it is where nobody's clock steps.
    pub(crate) fn true_time(&self) -> i64 {
        BEGIN + i64::try_from(self.now.as_millis()).unwrap()
    }

    /// For whoever reads of a failure.
    pub(crate) fn say(&mut self, what: impl std::fmt::Display) {
        self.trace.push(format!("{:>10.3?} {what}", self.now));
    }

    /// What happened, and a number that differs if anything differed.
    pub(crate) fn trace(&self) -> (&[String], u64) {
        let mut hasher = DefaultHasher::new();
        self.trace.hash(&mut hasher);
        (&self.trace, hasher.finish())
    }
}

/// The text in the stored parts of a delivery.
fn text_of(parts: &[u8]) -> String {
    let stored: Value = serde_json::from_slice(parts).expect("parts are JSON");
    let parts = stored["parts"].as_array().expect("parts have parts");
    let body = |part: &Value| {
        let body = part["body"].as_str().expect("a part has a body");
        STANDARD.decode(body).expect("in base64")
    };
    let bytes: Vec<u8> = parts.iter().flat_map(body).collect();
    String::from_utf8(bytes).expect("scripted receivers write text")
}
