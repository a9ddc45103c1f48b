//! One router of the simulation: the real step and the real webhook handler, moved one store call
//! at a time, dropped when it dies, and opened anew.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use alert_engine::{Incarnation, Owners, Timestamp};
use alert_router::clock::{Clock, ManualClock};
use alert_router::metrics::Metrics;
use alert_router::plan::Plan;
use alert_router::quarantine::Quarantine;
use alert_router::step::{Deps, Step};
use alert_router::store::{MemoryStore, Store, StoreError};
use alert_router::testing;
use alert_router::webhook::{self, BodyRoom, Intake, KnownSources};
use axum::body::Body;
use axum::extract::{Path, State};
use futures_util::task::noop_waker_ref;
use http::HeaderMap;
use tokio::sync::watch;

use crate::gate::{Claims, Dial, Gate};
use crate::upstream::Post;

type Work<T> = Pin<Box<dyn Future<Output = T>>>;

/// What every router shares.
pub(crate) struct Common {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) claims: Claims,
    /// The runs that are over.
    pub(crate) dead: BTreeSet<Incarnation>,
    pub(crate) runs: u64,
    /// Whether other routers live beside this one.
    pub(crate) shared: bool,
}

pub(crate) struct Router {
    pub(crate) dial: Dial,
    pub(crate) variant: usize,
    /// The configs that may still have an effect here.
    pub(crate) variants: BTreeSet<usize>,
    plans: watch::Sender<Arc<Plan>>,
    life: Life,
    /// When the present step began.
    pub(crate) stepped_at: Duration,
    /// The step under way began after the last reload.
    stepped_since_reload: bool,
    /// Something waits for its next step.
    poked: bool,
    /// Until when the loop would sleep, on the clock that never steps.
    sleeps_until: Option<Duration>,
    requests: Vec<Request>,
    pub(crate) metrics: Arc<Metrics>,
    incarnation: Incarnation,
}

enum Life {
    Dead,
    Opening(Work<Result<(Box<Step>, Intake), StoreError>>),
    Idle(Box<Step>, Intake, Option<Timestamp>),
    Stepping(Work<(Box<Step>, Option<Timestamp>)>, Intake),
}

/// A webhook that waits for its answer.
struct Request {
    post: Post,
    answer: Work<u16>,
}

/// What one move led to.
#[derive(Default)]
pub(crate) struct Moved {
    /// Webhooks with the status that they were answered with; `None`: the router died.
    pub(crate) answered: Vec<(Post, Option<u16>)>,
}

/// How often a loop over a shared store looks although nothing woke it: another router may have
/// died with what it was about to do.
const LOOKS_EVERY: Duration = Duration::from_secs(15);

impl Router {
    pub(crate) fn new(dial: Dial, variant: usize, plan: Arc<Plan>) -> Self {
        Self {
            dial,
            variant,
            variants: BTreeSet::from([variant]),
            plans: watch::Sender::new(plan),
            life: Life::Dead,
            stepped_at: Duration::ZERO,
            stepped_since_reload: false,
            poked: false,
            sleeps_until: None,
            requests: Vec::new(),
            metrics: Arc::new(Metrics::new()),
            incarnation: Incarnation(0),
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.life, Life::Dead)
    }

    /// Whether it stands between two store calls.
    pub(crate) fn is_stepping(&self) -> bool {
        matches!(self.life, Life::Stepping(..))
    }

    pub(crate) fn takes_posts(&self) -> bool {
        matches!(self.life, Life::Idle(..) | Life::Stepping(..))
    }

    /// Whether moving it does something now.
    pub(crate) fn can_move(&self, now: Duration) -> bool {
        match &self.life {
            Life::Dead => false,
            Life::Opening(_) | Life::Stepping(..) => true,
            Life::Idle(..) => self.poked || self.sleeps_until.is_some_and(|at| at <= now),
        }
    }

    /// When it would wake by itself.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        match self.life {
            Life::Idle(..) => self.sleeps_until,
            Life::Dead | Life::Opening(_) | Life::Stepping(..) => None,
        }
    }

    /// A delivery of it ended, or something else wants its attention.
    pub(crate) fn poke(&mut self) {
        self.poked = true;
    }

    pub(crate) fn start(&mut self, common: &mut Common) {
        common.runs += 1;
        self.incarnation = Incarnation(common.runs);
        self.metrics = Arc::new(Metrics::new());
        let store: Arc<dyn Store> = Arc::new(Gate::new(&common.store, &self.dial, &common.claims));
        let owners = match common.shared {
            true => Owners::Dead(common.dead.clone()),
            false => Owners::Only(self.incarnation),
        };
        let deps = Deps {
            store: Arc::clone(&store),
            plan: self.plans.subscribe(),
            metrics: Arc::clone(&self.metrics),
            incarnation: self.incarnation,
            owners,
            changes: watch::Sender::new(0),
        };
        let (plan, metrics) = (self.plans.subscribe(), Arc::clone(&self.metrics));
        let clock: Arc<dyn Clock> = Arc::clone(&common.clock) as _;
        self.life = Life::Opening(Box::pin(async move {
            let (step, handle) = Step::open(deps).await?;
            let quarantine = Quarantine::open(store, Arc::clone(&metrics)).await?;
            let intake = Intake {
                plan,
                step: handle,
                quarantine,
                metrics,
                clock,
                sources: KnownSources::default(),
                room: BodyRoom::default(),
            };
            Ok((Box::new(step), intake))
        }));
    }

    /// It dies where it stands. Returns the webhooks that are never answered.
    pub(crate) fn die(&mut self, common: &mut Common) -> Vec<Post> {
        self.life = Life::Dead;
        self.sleeps_until = None;
        common.dead.insert(self.incarnation);
        self.requests
            .drain(..)
            .map(|request| request.post)
            .collect()
    }

    pub(crate) fn reload(&mut self, variant: usize, plan: Arc<Plan>) {
        self.variant = variant;
        self.variants.insert(variant);
        self.stepped_since_reload = false;
        self.plans.send_replace(plan);
        self.poked = true;
    }

    /// Hands it a webhook. Its answer comes with a later move.
    pub(crate) fn post(&mut self, post: Post) -> Moved {
        let (Life::Idle(_, intake, _) | Life::Stepping(_, intake)) = &self.life else {
            return Moved {
                answered: vec![(post, None)],
            };
        };
        let (intake, body) = (intake.clone(), Body::from(post.body.clone()));
        let source = post.source.to_owned();
        let answer = Box::pin(async move {
            let headers = HeaderMap::new();
            let response = match source.as_str() {
                "default" => webhook::post_default(State(intake), headers, body).await,
                _ => webhook::post_source(State(intake), Path(source), headers, body).await,
            };
            response.status().as_u16()
        });
        self.requests.push(Request { post, answer });
        self.poked = true;
        Moved {
            answered: self.ask(),
        }
    }

    /// Goes on to the next store call.
    pub(crate) fn go_on(&mut self, common: &Common, now: Duration) -> Moved {
        let cx = &mut Context::from_waker(noop_waker_ref());
        self.life = match std::mem::replace(&mut self.life, Life::Dead) {
            Life::Dead => Life::Dead,
            Life::Opening(mut opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => Life::Opening(opening),
                Poll::Ready(Ok((step, intake))) => {
                    self.sleeps_until = Some(now);
                    Life::Idle(step, intake, Some(common.clock.now()))
                }
                Poll::Ready(Err(_unavailable)) => Life::Dead,
            },
            Life::Idle(mut step, intake, wake) => {
                self.poked = false;
                self.stepped_since_reload = true;
                self.stepped_at = now;
                let at = common.clock.now();
                let work = Box::pin(async move {
                    let wake = testing::tick(&mut step, at, wake).await;
                    (step, wake)
                });
                Life::Stepping(work, intake)
            }
            Life::Stepping(mut work, intake) => match work.as_mut().poll(cx) {
                Poll::Pending => Life::Stepping(work, intake),
                Poll::Ready((step, wake)) => {
                    if self.stepped_since_reload {
                        self.variants = BTreeSet::from([self.variant]);
                    }
                    self.sleep(common, wake, now);
                    Life::Idle(step, intake, wake)
                }
            },
        };
        Moved {
            answered: self.ask(),
        }
    }

    /// As the loop does: it sleeps for what lies between now and the wake, whatever the clock does
    /// meanwhile.
    fn sleep(&mut self, common: &Common, wake: Option<Timestamp>, now: Duration) {
        let pause = wake.map(|at| at.since(common.clock.now()));
        let pause = match common.shared {
            true => Some(pause.map_or(LOOKS_EVERY, |pause| pause.min(LOOKS_EVERY))),
            false => pause,
        };
        self.sleeps_until = pause.map(|pause| now + pause);
    }

    /// Asks every request for its answer. One that is not answered yet may have reached the step.
    fn ask(&mut self) -> Vec<(Post, Option<u16>)> {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut answered = Vec::new();
        let requests = std::mem::take(&mut self.requests);
        for mut request in requests {
            match request.answer.as_mut().poll(cx) {
                Poll::Pending => self.requests.push(request),
                Poll::Ready(status) => answered.push((request.post, Some(status))),
            }
        }
        answered
    }

    /// Whether somebody waits for an answer of it.
    pub(crate) fn is_asked(&self) -> bool {
        !self.requests.is_empty()
    }
}
