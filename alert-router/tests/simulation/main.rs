//! Routers over one store, in a world that is thrown with dice: late and doubled webhooks, stores
//! and providers that fail, routers that die between any two store calls, configs and clocks that
//! change. People who read everything object to what contradicts; in the end all is healed, and
//! everybody must know what is so.
//!
//! Worlds that are known to break are in `OPEN`: they must break, as they are known to, and no others;
//! each is named on stderr as KNOWN OPEN.
//!
//! `SIMULATION_SEEDS=5000` plays more worlds; `SIMULATION_SEED=17` plays one and shows its trace.

#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be built is a failed test"
)]

mod delivery;
mod dice;
mod exchange;
mod facts;
mod gate;
mod heal;
mod letter;
mod people;
mod plans;
mod router;
mod trouble;
mod upstream;
mod world;

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use plans::Plans;
use world::World;

/// Worlds in which something was broken once.
const PINNED: &[u64] = &[
    10, 20, 44, 55, 73, 106, 112, 125, 244, 259, 264, 302, 310, 322, 331, 358, 364, 375, 379, 383,
    448, 456, 464, 470, 498,
];
/// Worlds that break still, each with the invariant that it breaks. One that is whole again, or
/// breaks another one, fails the test: so the list only ever says what is so.
/// Empty is no proof: what routers of different configs over one store do to each other in a reload is
/// not solved, these seeds only do not meet it.
const OPEN: &[(u64, &str)] = &[];
/// Worlds that are played unless `SIMULATION_SEEDS` says otherwise.
const SEEDS: u64 = 320;
/// Lines of a trace that are shown with a failure.
const SHOWN: usize = 120;

/// Counts what was logged as an error: in these worlds nothing is.
#[derive(Clone, Default)]
struct Errors(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How a world ended.
struct Played {
    broken: Option<String>,
    trace: Vec<String>,
    hash: u64,
}

fn play(seed: u64, plans: &Plans) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let errors = Errors::default();
    let subscriber = tracing_subscriber::registry().with(errors.clone());
    let played = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let mut world = World::new(seed, plans);
            let lived = match world.live().await {
                Ok(()) => world.heal().await,
                broken @ Err(_) => broken,
            };
            let (trace, hash) = world.trace();
            Played {
                broken: lived.err(),
                trace: trace.to_vec(),
                hash,
            }
        })
    });
    let logged = errors.0.load(Ordering::SeqCst);
    let logged = (logged > 0).then(|| format!("errors: {logged} were logged"));
    Played {
        broken: played.broken.or(logged),
        ..played
    }
}

/// A world that broke.
struct Break {
    seed: u64,
    /// What was broken, which begins with the invariant.
    what: String,
    /// With its last events.
    story: String,
}

impl Break {
    fn of(seed: u64, played: &Played) -> Option<Self> {
        let what = played.broken.clone()?;
        let from = played.trace.len().saturating_sub(SHOWN);
        let trace = played.trace[from..].join("\n  ");
        let story = format!(
            "seed {seed}: {what}\n\nits last events:\n  {trace}\n\nplay it again: \
             SIMULATION_SEED={seed} cargo test -p alert-router --test simulation -- --nocapture\n"
        );
        Some(Self { seed, what, story })
    }

    fn headline(&self) -> String {
        let what = self.what.lines().next().unwrap_or_default();
        format!("seed {}: {what}", self.seed)
    }

    fn is_of(&self, (seed, invariant): (u64, &str)) -> bool {
        let broken = self.what.split_once(':').map(|(broken, _)| broken);
        self.seed == seed && broken == Some(invariant)
    }
}

/// Plays worlds on as many threads as there are cores; returns those that broke, by their seed.
fn play_all(seeds: Range<u64>) -> Vec<Break> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let plans = Plans::build();
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return broken;
            }
            broken.extend(Break::of(seed, &play(seed, &plans)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut broken: Vec<Break> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(4)).map(|_| scope.spawn(work)).collect();
        let broken = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        broken.collect()
    });
    broken.sort_by_key(|broken| broken.seed);
    broken
}

/// What is not as `open` says, of the worlds that were played: worlds that broke and are not in it,
/// and worlds of it that did not break, or broke another invariant.
fn surprises(open: &[(u64, &str)], seeds: &Range<u64>, broken: &[Break]) -> Vec<String> {
    let known = |world: &Break| open.iter().any(|open| world.is_of(*open));
    let unknown = broken.iter().filter(|world| !known(world));
    let played = open.iter().filter(|(seed, _)| seeds.contains(seed));
    let healed = played.filter(|open| !broken.iter().any(|world| world.is_of(**open)));
    let healed = healed
        .map(|(seed, rule)| format!("seed {seed} no longer breaks {rule}: take it out of OPEN"));
    healed.chain(unknown.map(Break::headline)).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

#[test]
fn in_every_world_everybody_hears_what_is_so() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let played = play(seed, &Plans::build());
        println!("{}", played.trace.join("\n"));
        assert_eq!(played.broken, None, "seed {seed}");
        return;
    }
    let seeds = 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let broken = play_all(seeds.clone());
    println!("{} worlds, {} broken", seeds.end, broken.len());
    for (seed, rule) in OPEN {
        let played = if seeds.contains(seed) {
            ""
        } else {
            ", which was not played"
        };
        // Past the harness, which hides what a passing test prints.
        writeln!(
            std::io::stderr(),
            "\nKNOWN OPEN: simulation: {rule} in world {seed}{played}"
        )
        .unwrap();
    }
    let known = |world: &&Break| OPEN.iter().any(|open| world.is_of(*open));
    let unknown = broken.iter().filter(|world| !known(world));
    let surprises = surprises(OPEN, &seeds, &broken);
    let stories = unknown.map(|world| world.story.as_str());
    let shortest = stories.min_by_key(|story| story.len()).unwrap_or_default();
    assert!(
        surprises.is_empty(),
        "{}\n\n{shortest}",
        surprises.join("\n")
    );
}

#[test]
fn a_world_that_is_not_as_the_list_of_open_ones_says_is_noticed() {
    let breaks = |seed, what: &str| Break {
        seed,
        what: what.to_owned(),
        story: String::new(),
    };
    let open = [(3, "told-once"), (70, "heard-truth")];
    let seeds = 0..10;
    let as_known = [breaks(3, "told-once: a in b")];
    assert_eq!(surprises(&open, &seeds, &as_known), [""; 0]);
    assert_eq!(
        surprises(&open, &seeds, &[]),
        ["seed 3 no longer breaks told-once: take it out of OPEN"]
    );
    let otherwise = [breaks(3, "heard-truth: a"), breaks(4, "told-once: a")];
    assert_eq!(
        surprises(&open, &seeds, &otherwise),
        [
            "seed 3 no longer breaks told-once: take it out of OPEN",
            "seed 3: heard-truth: a",
            "seed 4: told-once: a",
        ]
    );
}

#[test]
fn worlds_in_which_something_was_broken_once_are_whole() {
    let plans = Plans::build();
    let broken = PINNED
        .iter()
        .filter_map(|seed| Break::of(*seed, &play(*seed, &plans)));
    let stories: Vec<String> = broken.map(|world| world.story).collect();
    assert!(stories.is_empty(), "{}", stories.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_world() {
    let plans = Plans::build();
    let hashes =
        |plans: &Plans| -> Vec<u64> { (0..5).map(|seed| play(seed, plans).hash).collect() };
    let (once, again) = (hashes(&plans), hashes(&Plans::build()));
    assert_eq!(once, again);
    let mut distinct = once.clone();
    distinct.dedup();
    assert_eq!(
        distinct.len(),
        once.len(),
        "and another seed is another one"
    );
}
