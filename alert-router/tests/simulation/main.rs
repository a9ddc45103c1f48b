//! Routers over one store, in a world that is thrown with dice: late and doubled webhooks, stores
//! and providers that fail, routers that die between any two store calls, configs and clocks that
//! change. People who read everything object to what contradicts; in the end all is healed, and
//! everybody must know what is so.
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

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use plans::Plans;
use world::World;

/// Worlds in which something was broken once.
const PINNED: &[u64] = &[55];
/// Worlds that are played unless `SIMULATION_SEEDS` says otherwise.
const SEEDS: u64 = 160;
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

/// Plays worlds on as many threads as there are cores; returns what was broken, with its seed.
fn play_all(seeds: Range<u64>) -> Vec<String> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let plans = Plans::build();
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return broken;
            }
            broken.extend(explain(seed, &play(seed, &plans)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(4)).map(|_| scope.spawn(work)).collect();
        let broken = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        broken.collect()
    })
}

fn explain(seed: u64, played: &Played) -> Option<String> {
    let broken = played.broken.as_ref()?;
    let from = played.trace.len().saturating_sub(SHOWN);
    let trace = played.trace[from..].join("\n  ");
    Some(format!(
        "seed {seed}: {broken}\n\nits last events:\n  {trace}\n\nplay it again: \
         SIMULATION_SEED={seed} cargo test -p alert-router --test simulation -- --nocapture\n"
    ))
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
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let broken = play_all(0..seeds);
    println!("{seeds} worlds, {} broken", broken.len());
    let first = broken.iter().min_by_key(|text| text.len());
    let rules: Vec<&str> = broken
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    assert!(
        broken.is_empty(),
        "{}\n\n{}",
        rules.join("\n"),
        first.unwrap()
    );
}

#[test]
fn worlds_in_which_something_was_broken_once_are_whole() {
    let plans = Plans::build();
    let broken: Vec<String> = PINNED
        .iter()
        .filter_map(|seed| explain(*seed, &play(*seed, &plans)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
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
