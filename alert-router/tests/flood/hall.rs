//! One router over one robot of the simulator, on time that stands still until it is moved.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{Incarnation, Owners, SourceName, Timestamp};
use alert_router::clock::{Clock, ManualClock};
use alert_router::config::{Config, Flags, Outside};
use alert_router::metrics::Metrics;
use alert_router::plan::Plan;
use alert_router::receiver::{AccessTokens, Materials};
use alert_router::render::Renderer;
use alert_router::step::{Deps, Step, StepHandle};
use alert_router::store::{MemoryStore, Store};
use alert_router::testing;
use alert_router::webhook::payload::{BodyLimits, parse};
use serde_json::Value;
use tokio::sync::watch;
use wecom_sim::{Message, Sim};

/// Where the simulator's time begins: 2026-01-05 09:00 in Beijing.
const BEGIN: Timestamp = Timestamp::from_millis(1_767_574_800_000);
/// What the provider takes for an answer.
const ANSWER: Duration = Duration::from_millis(120);

pub(crate) struct Hall {
    clock: Arc<ManualClock>,
    step: Step,
    handle: StepHandle,
    wake: Option<Timestamp>,
    sim: Sim,
    /// Its receiver would notice that nobody can change the config any more.
    _plans: watch::Sender<Arc<Plan>>,
}

impl Hall {
    /// Opens an empty router; `route` is added to its only route.
    pub(crate) async fn open(route: &str) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let mut sim = wecom_sim::Config::demo();
        let told = Arc::clone(&clock);
        sim.clock = wecom_sim::Clock::from_fn(move || {
            wecom_sim::Timestamp::from_millisecond(told.now().as_millis()).unwrap()
        });
        let sim = Sim::start(sim).await.unwrap();
        let text = format!(
            "route: {{receiver: room, group_by: [alertname], {route}}}\n\
             receivers: [{{name: room, wecom_configs: [{{bot: {{webhook_url: '{}'}}}}]}}]\n",
            sim.bot_url("sim-bot-key")
        );
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let materials = Materials {
            renderer: Arc::new(Renderer::built_in()),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock) as _,
            tokens: AccessTokens::default(),
        };
        let plan = Plan::new(config(&text), &materials).unwrap();
        let (plans, plan) = watch::channel(Arc::new(plan));
        let deps = Deps {
            store,
            plan,
            metrics: Arc::new(Metrics::new()),
            incarnation: Incarnation(1),
            owners: Owners::Only(Incarnation(1)),
            changes: watch::Sender::new(0),
        };
        let (step, handle) = Step::open(deps).await.unwrap();
        Self {
            clock,
            step,
            handle,
            wake: None,
            sim,
            _plans: plans,
        }
    }

    pub(crate) fn began(&self) -> Timestamp {
        BEGIN
    }

    /// Takes in one webhook, and does what follows from it at once.
    pub(crate) async fn post(&mut self, body: &Value) {
        let bytes = body.to_string().into();
        let batch = parse(&bytes, &BTreeSet::new(), &BodyLimits::default()).unwrap();
        let handle = self.handle.clone();
        let source = SourceName::unnamed();
        let (taken, ()) = tokio::join!(handle.observe(source, batch), self.work());
        taken.unwrap();
    }

    /// Lets time pass until so long after the beginning, with everything that comes due on the way.
    pub(crate) async fn until(&mut self, after: Duration) {
        let end = BEGIN + after;
        if self.wake.is_none() {
            self.work().await;
        }
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.clock.set(wake.max(self.clock.now()));
            self.work().await;
        }
        self.clock.set(end.max(self.clock.now()));
    }

    /// Does what is due, until nothing more leaves.
    async fn work(&mut self) {
        loop {
            let shown = self.sim.messages().len();
            self.wake = testing::tick(&mut self.step, self.clock.now(), self.wake).await;
            testing::land(&mut self.step).await;
            if self.sim.messages().len() == shown {
                return;
            }
            self.clock.advance(ANSWER);
        }
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.sim.messages()
    }

    /// What the robot's service did not take.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let refusals = self.sim.refusals().into_iter();
        refusals.map(|refusal| refusal.answer).collect()
    }
}

fn config(text: &str) -> Config {
    let outside = Outside {
        env: &|_| None,
        read: &|path: &Path| Err(std::io::Error::other(path.display().to_string())),
    };
    let parsed = Config::parse(Path::new("flood.yaml"), text, &Flags::default(), &outside);
    parsed.unwrap_or_else(|error| panic!("{error}"))
}
