//! The one step of this process over everything that waits: observations are taken in, ended
//! deliveries are settled, and what is due is sent. Changes to groups happen only here, one after
//! the other, so that within a process nothing ever conflicts.

pub(crate) mod bodies;
pub(crate) mod groups;
mod identity;
mod lost;
mod moves;
mod observe;
mod room;
mod routing;
pub(crate) mod sources;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod units;
pub(crate) mod upstream;
mod waiting;
pub(crate) mod words;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{
    AlertKey, DeliveryId, GroupId, Incarnation, LaneKey, Owners, SourceName, Timestamp,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::{Store, StoreError};
use crate::trace::Sampled;
use crate::trouble::Trouble;
use crate::turn::deliver::{Outgoing, Settled, deliver};
use crate::turn::places::Places;
use crate::webhook::payload::{Batch, RefusedAlert};
use groups::Groups;
use observe::Request;
use room::Room;
use routing::Routing;
use sources::{Known, SourceBook};

/// Requests that may wait for the step; more are told to come again.
const WAITING: usize = 1_024;
/// Alerts that one step takes in; what is beyond waits for the next.
const ALERTS_PER_STEP: usize = 5_000;
/// A clock that is corrected by less than this did not go back.
const CLOCK_JITTER: Duration = Duration::from_secs(2);
/// How long a person waits for an answer of the step.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a step waits after the store could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What became of the alerts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// They are news, or an end, or a new text.
    pub changed: usize,
    /// They were known.
    pub unchanged: usize,
    /// A group has no room for them.
    pub refused: Vec<RefusedAlert>,
}

/// A batch was not taken, but would be later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Busy {
    /// Too much waits.
    #[error("too many requests wait; try again")]
    Queue,
    /// What was asked for waits, and may still be done.
    #[error("no answer within 10 s; look whether it was done, or try again")]
    Slow,
    /// The server is stopping.
    #[error("the server is stopping; try again")]
    Stopping,
    /// Other replicas won the same groups again and again.
    #[error("other replicas change the same groups all the time; try again")]
    Contended,
    /// The store did not answer. Everybody who waited for the same write is told the same.
    #[error("{0}; try again")]
    Store(#[source] Arc<StoreError>),
}

impl From<StoreError> for Busy {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// How often each alert of a group was seen unchanged.
pub type Counts = BTreeMap<AlertKey, u64>;

/// What is asked of the step.
enum Command {
    Observe(Box<Request>),
    Seen {
        groups: Vec<GroupId>,
        answer: oneshot::Sender<Vec<Counts>>,
    },
    Sources(oneshot::Sender<Vec<Known>>),
    Replay {
        lanes: Vec<(GroupId, LaneKey)>,
        answer: oneshot::Sender<Result<bool, Busy>>,
    },
}

/// How everything else talks to the step.
#[derive(Clone)]
pub struct StepHandle(mpsc::Sender<Command>);

/// What a step works with.
pub struct Deps {
    /// Where groups live.
    pub store: Arc<dyn Store>,
    /// The config as it takes effect.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// This run of this process.
    pub incarnation: Incarnation,
    /// Which other runs are known to be over: with a locked store all of them.
    pub owners: Owners,
    /// Told after every step that changed something.
    pub changes: watch::Sender<u64>,
}

/// The step and all that it remembers.
pub struct Step {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) incarnation: Incarnation,
    pub(crate) owners: Owners,
    pub(crate) groups: Groups,
    pub(crate) sources: SourceBook,
    /// Ended deliveries that could not be written down yet.
    pub(crate) unsettled: Vec<Settled>,
    /// Of each delivery under way, the number of its latest send.
    pub(crate) sends: BTreeMap<DeliveryId, u64>,
    sent: u64,
    routing: Routing,
    identities: identity::Identities,
    commands: mpsc::Receiver<Command>,
    pub(crate) deliveries: JoinSet<Settled>,
    pub(crate) places: Places,
    /// Told with the next step.
    troubles: Vec<Trouble>,
    /// Told again, as the store did not take them.
    untold: Vec<Trouble>,
    room: Room,
    changes: watch::Sender<u64>,
    /// Groups that may live under an older config, or wait for the wrong instant.
    pub(crate) walk: sweep::Walk,
    /// Whether the gauges of this config's circuits stand.
    circuits_shown: bool,
    /// Whether what is blocked is to be tried at once, because a new config took effect.
    pub(crate) reloaded: bool,
    /// When the last step began.
    last: Timestamp,
}

impl StepHandle {
    /// Takes in a batch. `Ok` means that it is durable.
    ///
    /// # Errors
    ///
    /// If it was not taken: trying again makes sense.
    pub async fn observe(&self, source: SourceName, batch: Batch) -> Result<Taken, Busy> {
        let (answer, taken) = oneshot::channel();
        let request = Request {
            source,
            batch,
            origin: Sampled::current(),
            answer,
        };
        self.put(Command::Observe(Box::new(request)))?;
        taken.await.unwrap_or(Err(Busy::Stopping))
    }

    /// How often each alert of these groups was seen unchanged since this process started, in their
    /// order.
    ///
    /// # Errors
    ///
    /// If too much waits, or for too long: trying again makes sense.
    pub async fn seen(&self, groups: Vec<GroupId>) -> Result<Vec<Counts>, Busy> {
        let (answer, seen) = oneshot::channel();
        self.put(Command::Seen { groups, answer })?;
        answered(seen).await
    }

    /// The sources that ever posted, and what is known of them.
    ///
    /// # Errors
    ///
    /// If too much waits, or for too long: trying again makes sense.
    pub async fn sources(&self) -> Result<Vec<Known>, Busy> {
        let (answer, sources) = oneshot::channel();
        self.put(Command::Sources(answer))?;
        answered(sources).await
    }

    /// Ends the cool-down of lanes: they say the present truth at once. Says whether any of them has
    /// something to tell now.
    ///
    /// # Errors
    ///
    /// If it was not done: trying again makes sense. After [`Busy::Slow`] it may still be done.
    pub async fn replay(&self, lanes: Vec<(GroupId, LaneKey)>) -> Result<bool, Busy> {
        let (answer, done) = oneshot::channel();
        self.put(Command::Replay { lanes, answer })?;
        answered(done).await?
    }

    fn put(&self, command: Command) -> Result<(), Busy> {
        self.0.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Busy::Queue,
            mpsc::error::TrySendError::Closed(_) => Busy::Stopping,
        })
    }
}

/// What the step answers a person, who does not wait for ever.
async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, Busy> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
    answer
        .map_err(|_elapsed| Busy::Slow)?
        .map_err(|_gone| Busy::Stopping)
}

impl Step {
    /// A step over what is stored. Starts nothing.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn open(deps: Deps) -> Result<(Self, StepHandle), StoreError> {
        let Deps {
            store,
            plan,
            metrics,
            incarnation,
            owners,
            changes,
        } = deps;
        let (sender, commands) = mpsc::channel(WAITING);
        let config = plan.borrow().clone();
        let sources = SourceBook::load(&*store, &config).await?;
        sources.show(&metrics);
        let mut groups = Groups::new(Arc::clone(&store), Arc::clone(&metrics));
        groups.learn(&config);
        let step = Self {
            groups,
            routing: Routing::new(&config),
            identities: identity::Identities::default(),
            walk: sweep::Walk::begin(),
            circuits_shown: false,
            reloaded: false,
            last: Timestamp::MIN,
            owners,
            unsettled: Vec::new(),
            sends: BTreeMap::new(),
            sent: 0,
            deliveries: JoinSet::new(),
            places: Places::default(),
            troubles: Vec::new(),
            untold: Vec::new(),
            room: Room::default(),
            store,
            plan,
            metrics,
            incarnation,
            sources,
            commands,
            changes,
        };
        Ok((step, StepHandle(sender)))
    }

    /// Works until `stop`, then lets deliveries under way end for at most `drain`.
    pub async fn run(
        mut self,
        clock: Arc<dyn crate::clock::Clock>,
        stop: impl Future<Output = ()>,
        drain: Duration,
    ) {
        tokio::pin!(stop);
        let mut wake = Some(clock.now());
        loop {
            let pause = wake.map(|at| at.since(clock.now()));
            let mut work = Waiting::default();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(command) = self.commands.recv() => work.add(command),
                Some(ended) = self.deliveries.join_next() => work.ended.extend(ended.ok()),
                Ok(()) = self.plan.changed() => self.adopt_plan(),
                () = sleep(pause) => {}
            }
            wake = self.take_and_work(work, clock.now(), wake).await;
        }
        self.drain(drain).await;
    }

    /// One step over what waits now. For tests that call the step and not the loop.
    pub(crate) async fn tick(
        &mut self,
        now: Timestamp,
        wake: Option<Timestamp>,
    ) -> Option<Timestamp> {
        if self.plan.has_changed().unwrap_or(false) {
            self.adopt_plan();
        }
        self.take_and_work(Waiting::default(), now, wake).await
    }

    /// Waits until no delivery is under way; the next step settles them. For tests.
    pub(crate) async fn land(&mut self) {
        while let Some(ended) = self.deliveries.join_next().await {
            self.unsettled.extend(ended.ok());
        }
    }

    async fn take_and_work(
        &mut self,
        mut work: Waiting,
        now: Timestamp,
        wake: Option<Timestamp>,
    ) -> Option<Timestamp> {
        self.gather(&mut work);
        self.once(work, now, wake).await
    }

    /// One step: takes in, settles, and sends what is due. Returns when to look again.
    async fn once(
        &mut self,
        work: Waiting,
        now: Timestamp,
        wake: Option<Timestamp>,
    ) -> Option<Timestamp> {
        if now + CLOCK_JITTER < self.last {
            tracing::warn!("the clock went back; all groups are looked at");
            self.walk = sweep::Walk::clock_went_back();
        }
        self.last = now;
        let timer = self.metrics.step_seconds.start_timer();
        let busy = !work.is_empty();
        let result = self.work(work, now, wake).await;
        timer.observe_duration();
        if busy || wake.is_some_and(|at| at <= now) {
            self.changes.send_modify(|version| *version += 1);
        }
        match result {
            Ok(wake) => wake,
            Err(error) => {
                self.count_store_error(&error);
                tracing::warn!(error = %error, "the store did not answer; trying again in a second");
                Some(now + STORE_PAUSE)
            }
        }
    }

    async fn work(
        &mut self,
        mut work: Waiting,
        now: Timestamp,
        wake: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let troubles = self.tell_troubles(&mut work, now);
        let touched = !work.is_empty() || !self.unsettled.is_empty();
        for (groups, answer) in work.seen {
            let seen = groups.into_iter().map(|group| self.groups.seen(group));
            // Whoever asked and left does not need the answer.
            let _gone = answer.send(seen.collect());
        }
        for answer in work.sources {
            let _gone = answer.send(self.sources.all(now));
        }
        if !work.requests.is_empty() {
            self.observe(work.requests).await;
        }
        let told = self.keep_untold(troubles);
        self.look_again(told, now).await;
        work.ended.append(&mut self.unsettled);
        if !work.ended.is_empty() {
            self.settle(work.ended).await?;
        }
        for (lanes, answer) in work.replays {
            let done = self.replay(&lanes).await.map_err(Busy::from);
            let _gone = answer.send(done);
        }
        if !self.circuits_shown {
            self.show_circuits(now).await?;
            self.circuits_shown = !self.reloaded;
        }
        let more = self.walk().await?;
        let mut next = wake;
        if touched || more || wake.is_none_or(|at| at <= now) {
            next = self.turn().await?;
        }
        self.tell_given_up();
        let wakes = [
            next,
            self.look_at_sources(now).await?,
            self.look_for_room(now),
            (more || self.reloaded || !self.troubles.is_empty()).then_some(now),
            (!self.untold.is_empty() || !self.unsettled.is_empty()).then_some(now + STORE_PAUSE),
        ];
        Ok(wakes.into_iter().flatten().min())
    }

    /// Puts our own troubles among the requests, and returns them with where their answers come.
    fn tell_troubles(&mut self, work: &mut Waiting, now: Timestamp) -> Vec<Told> {
        let language = self.plan.borrow().operators_language();
        let tell = |trouble: Trouble| {
            let (answer, answered) = oneshot::channel();
            work.requests.push(Request {
                source: SourceName::ours(),
                batch: trouble.batch(now, language),
                origin: None,
                answer,
            });
            (trouble, answered)
        };
        let troubles = self.untold.drain(..).chain(self.troubles.drain(..));
        troubles.map(tell).collect()
    }

    /// Troubles that could not be stored are told again with the next step; returns the others.
    fn keep_untold(&mut self, told: Vec<Told>) -> Vec<Trouble> {
        let (mut stored, mut untold) = (Vec::new(), Vec::new());
        for (trouble, mut answered) in told {
            match answered.try_recv() {
                Ok(Ok(_)) => stored.push(trouble),
                _ => untold.push(trouble),
            }
        }
        self.tell_later(untold);
        stored
    }

    /// Remembers troubles for a step that is not the next at once: the store needs a pause.
    pub(crate) fn tell_later(&mut self, troubles: Vec<Trouble>) {
        for trouble in troubles {
            if !self.untold.contains(&trouble) && self.untold.len() < WAITING {
                self.untold.push(trouble);
            }
        }
    }

    /// Takes what else waits, up to the bound of one step.
    fn gather(&mut self, work: &mut Waiting) {
        while work.alerts() < ALERTS_PER_STEP
            && let Ok(command) = self.commands.try_recv()
        {
            work.add(command);
        }
        while let Some(ended) = self.deliveries.try_join_next() {
            work.ended.extend(ended.ok());
        }
    }

    pub(crate) fn send(&mut self, mut outgoing: Outgoing) {
        self.sent += 1;
        outgoing.number = self.sent;
        self.sends.insert(outgoing.id, self.sent);
        self.metrics.in_flight.inc();
        let metrics = Arc::clone(&self.metrics);
        self.deliveries.spawn(async move {
            let settled = deliver(outgoing, Arc::clone(&metrics)).await;
            metrics.in_flight.dec();
            settled
        });
    }

    /// Counts and tells what was given up without an answer.
    fn tell_given_up(&mut self) {
        for given_up in self.groups.take_given_up() {
            let receiver = &*given_up.receiver;
            self.metrics
                .dead_letters
                .with_label_values(&[receiver])
                .inc();
            tracing::warn!(
                receiver,
                channel = given_up.destination.channel,
                destination = given_up.destination.label,
                delivery = %given_up.id,
                reason = given_up.reason,
                answer = %given_up.answer,
                "a delivery was given up; see `alert-router dead-letters list`"
            );
            self.report(std::iter::once(Trouble::given_up(&given_up)));
        }
    }

    /// Remembers troubles for the next step, which takes them in like any other alert.
    pub(crate) fn report(&mut self, troubles: impl Iterator<Item = Trouble>) {
        self.troubles.extend(troubles);
    }

    pub(crate) fn count_store_error(&mut self, error: &StoreError) {
        self.look_whether_full(error);
        let kind = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Full { .. } => "full",
            StoreError::Corrupt { .. } => "corrupt",
        };
        self.metrics.store_errors.with_label_values(&[kind]).inc();
    }

    fn adopt_plan(&mut self) {
        let plan = self.plan.borrow_and_update().clone();
        self.sources.adopt(&plan);
        self.groups.learn(&plan);
        self.walk = sweep::Walk::begin();
        self.circuits_shown = false;
        self.reloaded = true;
    }

    /// Lets deliveries under way end, and writes down how.
    async fn drain(mut self, within: Duration) {
        self.commands.close();
        let deadline = tokio::time::sleep(within);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = self.deliveries.join_next() => {
                    let Some(ended) = ended else { return };
                    let ended = ended.into_iter().collect();
                    if let Err(error) = self.settle(ended).await {
                        tracing::warn!(error = %error, "the end of a delivery was not written down");
                    }
                }
                () = &mut deadline => {
                    let left = self.deliveries.len();
                    tracing::warn!(left, "deliveries were still under way; they are tried again after the start");
                    return;
                }
            }
        }
    }
}

/// A trouble on its way into the engine, and where its answer comes.
type Told = (Trouble, oneshot::Receiver<Result<Taken, Busy>>);

/// Lanes that say the present truth at once, and who waits for that.
type Replay = (Vec<(GroupId, LaneKey)>, oneshot::Sender<Result<bool, Busy>>);

/// What one step takes.
#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    ended: Vec<Settled>,
    seen: Vec<(Vec<GroupId>, oneshot::Sender<Vec<Counts>>)>,
    sources: Vec<oneshot::Sender<Vec<Known>>>,
    replays: Vec<Replay>,
}

impl Waiting {
    fn add(&mut self, command: Command) {
        match command {
            Command::Observe(request) => self.requests.push(*request),
            Command::Seen { groups, answer } => self.seen.push((groups, answer)),
            Command::Sources(answer) => self.sources.push(answer),
            Command::Replay { lanes, answer } => self.replays.push((lanes, answer)),
        }
    }

    fn alerts(&self) -> usize {
        self.requests
            .iter()
            .map(|request| request.batch.alerts.len())
            .sum()
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.ended.is_empty() && self.replays.is_empty()
    }
}

/// Sleeps; `None` is for ever.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
