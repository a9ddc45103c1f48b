//! One run: lives of the router, each ended at its moment, and what is checked at the end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use stack_tests::parts::until;
use wecom_sim::{Fate, Message, Sender, Sim};

use crate::book::Book;
use crate::ledger::{Kill, Ledger};
use crate::load::{Load, instant};
use crate::random::Random;
use crate::router::{Router, Trigger};
use crate::wire::Wire;
use crate::world::{self, Channel};

/// A life that is ended at random lasts at most so many milliseconds, its start included.
const LIFE: u64 = 1_200;
/// After this a life ends also if the answer that was to end it never left.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many deliveries are under way at a kill, on average.
const IN_FLIGHT: f64 = 8.0;

/// When a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// So long after its start, which it may not survive.
    After(Duration),
    /// When a provider of this channel has answered.
    Answer(Channel),
}

/// Everything that lives longer than the router.
pub(crate) struct Run {
    book: Arc<Mutex<Book>>,
    ledger: Arc<Mutex<Ledger>>,
    trigger: Arc<Trigger>,
    wire: Wire,
    router: Router,
    sim: Sim,
    began: Instant,
    kills: Vec<Kill>,
    /// Kills that were to follow an answer which never left.
    in_vain: usize,
    /// From each start to the first acknowledgement.
    starts: Vec<Duration>,
}

/// The moments of all kills: two of five follow an answer, the others are random.
pub(crate) fn moments(kills: u64, random: &mut Random) -> Vec<Moment> {
    let aimed = usize::try_from(kills * 2 / 5).expect("a count of kills");
    let mut moments: Vec<Moment> = (0..usize::try_from(kills).expect("a count of kills"))
        .map(|number| match number < aimed {
            true => Moment::Answer(Channel::ALL[number % Channel::ALL.len()]),
            false => Moment::After(random.millis(0, LIFE)),
        })
        .collect();
    random.shuffle(&mut moments);
    moments
}

impl Run {
    pub(crate) async fn start(mut random: Random) -> Self {
        let sim = Sim::start(world::sim_config()).await.expect("a free port");
        let trigger = Trigger::new();
        let slow = Random::new(random.below(u64::from(u32::MAX)));
        let ledger = Arc::default();
        let wire = Wire::start(sim.address(), &trigger, &ledger, slow).await;
        let router = Router::new(wire.address(), Arc::clone(&trigger));
        Self {
            book: Arc::new(Mutex::new(Book::new(random))),
            ledger,
            trigger,
            wire,
            router,
            sim,
            began: instant(),
            kills: Vec::new(),
            in_vain: 0,
            starts: Vec::new(),
        }
    }

    /// One life under load, and what it left in the store.
    pub(crate) async fn round(&mut self, moment: Moment) {
        let began = self.router.start();
        let load = Load::start(&self.router.log(), &self.book, &self.ledger);
        match moment {
            Moment::After(time) => tokio::time::sleep(time).await,
            Moment::Answer(channel) => {
                self.wire.aim(Some(channel));
                let mut struck = self.trigger.struck();
                let answer = struck.wait_for(|struck| *struck);
                // If none came, this is a kill like others: only those that hit are counted.
                let hit = tokio::time::timeout(PATIENCE, answer).await;
                self.in_vain += usize::from(hit.is_err());
                self.wire.aim(None);
            }
        }
        self.router.kill();
        let first = load.end().await;
        self.starts.extend(first.map(|first| first - began));
        self.wire.quiesce().await;
        let in_flight = self.router.in_flight().await;
        let kill = self.ledger().killed(&in_flight);
        self.kills.push(kill);
    }

    /// The last life: everybody hears what is left. Checks everything, and says what was seen.
    pub(crate) async fn finish(mut self) -> String {
        self.wire.hurry();
        let last = self.router.start();
        until("every acknowledged alert is heard", async || {
            let broken = self.ledger().broken(self.book().promises());
            match broken.first() {
                None => Ok(()),
                Some(first) => Err(format!("{} promises, such as: {first}", broken.len())),
            }
        })
        .await;
        let last = last.elapsed();
        self.router.kill();
        self.wire.quiesce().await;
        let repeated = self.ledger().repeated();
        assert!(repeated > 0, "no kill made anything come twice: none hit");
        let ends = self.ledger().ends_repeated();
        let application = self.application();
        let refusals = self.sim.refusals();
        assert!(refusals.is_empty(), "refused: {:?}", refusals.first());
        self.summary(repeated, ends, application, last)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic")
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic")
    }

    /// How often the application repeated itself: members saw none of it.
    fn application(&self) -> usize {
        let of_app = |message: &&Message| matches!(message.sender, Sender::App(_));
        let (shown, swallowed) = (self.sim.messages(), self.sim.swallowed());
        let mut bodies = BTreeSet::new();
        for message in shown.iter().filter(of_app) {
            assert!(
                bodies.insert(&message.body),
                "shown twice: {}",
                message.text()
            );
        }
        let swallowed: Vec<&Message> = swallowed.iter().filter(of_app).collect();
        let dropped = swallowed.iter().filter(|m| m.fate == Fate::Dropped).count();
        assert_eq!(dropped, 0, "messages were dropped for the member's limit");
        assert!(!swallowed.is_empty(), "no kill made the application repeat");
        swallowed.len()
    }

    fn summary(&self, repeated: usize, ends: usize, application: usize, last: Duration) -> String {
        let kills = self.kills.len();
        let in_flight: usize = self.kills.iter().map(|kill| kill.in_flight).sum();
        let average = in_flight as f64 / kills as f64;
        assert!(
            average >= IN_FLIGHT,
            "only {average:.1} under way at a kill"
        );
        let between = self.kills.iter().filter(|kill| kill.answered > 0).count();
        assert!(
            between >= kills / 5,
            "only {between} of {kills} kills fell between an answer and its commit"
        );
        let starts = self.starts.iter().sum::<Duration>().as_millis();
        format!(
            "{kills} kills in {:.0} s, {between} of them between an answer and its commit; {} alerts \
             acknowledged and heard in {} messages; {average:.1} deliveries under way at a kill, \
             {repeated} messages repeated, {application} of them by the application and shown once; {ends} \
             ends told to webhooks once more; \
             {} ms from start to the first acknowledgement; {} aimed kills came too late; the last life \
             lasted {:.0} s",
            self.began.elapsed().as_secs_f64(),
            self.book().promises().len(),
            self.ledger().messages(),
            starts / (self.starts.len() as u128).max(1),
            self.in_vain,
            last.as_secs_f64(),
        )
    }
}
