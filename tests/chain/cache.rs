//! The way through Redis: a cache that stops under load has finished what it took, and its successor
//! goes on where it ended, also with what somebody took and did not finish.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use stack_tests::parts::{
    Process, Program, Ready, Stopwatch, folder, free_port, get_text, tell, until,
};

use crate::customers::{Customers, client};
use crate::orders::{self, OF_CACHE};
use crate::pipeline::{Pipeline, Wishes};
use crate::turn;

const PER_SECOND: u32 = 40;

/// A real Redis without anything on disk.
struct Redis {
    at: SocketAddr,
    _process: Process,
}

impl Redis {
    async fn start(folder: &Path) -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let program = Program::Redis.find().expect("the turn has asked for it");
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        command.arg(at.port().to_string()).current_dir(folder);
        Self {
            at,
            _process: Process::start("redis", command, folder, Ready::Port(at)).await,
        }
    }

    /// What a command answers, a line for each value.
    fn ask(&self, command: &str) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.at.port().to_string()]);
        stack_tests::run(cli.args(command.split(' ')))
    }

    /// Events that were taken and not acknowledged.
    fn pending(&self) -> String {
        let summary = self.ask("XPENDING reservations cache");
        summary.lines().next().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_stops_under_load_finishes_what_it_took_and_the_next_one_misses_nothing() {
    let Some(_turn) = turn("the cache stops under load", &[Program::Redis]).await else {
        return;
    };
    let place = folder();
    let redis = Redis::start(place.path()).await;
    let pipeline = Pipeline::start(Wishes {
        redis: Some(redis.at),
        ..Wishes::default()
    })
    .await;
    let mut cache = pipeline.cache(redis.at).await;
    let customers = Customers::come(&format!("{}/orders", pipeline.shop.url), PER_SECOND);
    customers.more(PER_SECOND as usize * 3).await;

    let since = Stopwatch::start();
    let log = tokio::task::block_in_place(|| cache.terminate());
    tell(&format!("the cache stopped: {:.1?}", since.elapsed()));
    assert_eq!(redis.pending(), "0", "taken, and not finished");
    assert!(log.contains(" exported, none lost"), "{log}");

    customers.more(PER_SECOND as usize * 2).await;
    cache.start_again().await;
    customers.more(PER_SECOND as usize).await;
    let orders = customers.leave().await;
    assert!(
        orders.iter().all(|order| order.answer == Ok(201)),
        "{orders:?}"
    );
    until(
        "every order in Jaeger, with the cache's part, once",
        async || {
            let traces = pipeline.jaeger.query.traces("shop").await?;
            let whole = traces
                .iter()
                .filter(|trace| orders::is_whole_through_redis(trace).is_ok());
            let found: BTreeSet<u32> = whole.filter_map(orders::number).collect();
            match (0..)
                .zip(&orders)
                .find(|(number, _)| !found.contains(number))
            {
                None => Ok(()),
                Some(missing) => Err(format!("{missing:?} of {} is missing", orders.len())),
            }
        },
    )
    .await;
    let handled = redis.ask("HLEN reserved").trim().parse::<usize>();
    assert_eq!(handled, Ok(orders.len()));
    tell(&format!(
        "{} orders, {OF_CACHE} spans of the cache each",
        orders.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cache_took_and_did_not_finish_its_successor_does() {
    let Some(_turn) = turn("the cache finishes what was left", &[Program::Redis]).await else {
        return;
    };
    let place = folder();
    let redis = Redis::start(place.path()).await;
    let pipeline = Pipeline::start(Wishes {
        redis: Some(redis.at),
        ..Wishes::default()
    })
    .await;
    for _ in 0..3 {
        let order = client().post(format!("{}/orders/7", pipeline.shop.url));
        let answer = order.send().await.expect("the shop answers");
        assert_eq!(answer.status(), 201);
    }
    // As a cache that was killed right after it had read: under its name, two of three.
    redis.ask("XGROUP CREATE reservations cache 0");
    redis.ask("XREADGROUP GROUP cache cache-1 COUNT 2 STREAMS reservations >");
    assert_eq!(redis.pending(), "2");

    let cache = pipeline.cache(redis.at).await;
    until("all three are finished", async || {
        let last = redis.ask("XINFO GROUPS reservations");
        let lag = last.lines().skip_while(|line| *line != "lag").nth(1);
        match (redis.pending().as_str(), lag) {
            ("0", Some("0")) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let view = get_text(&format!("{}/items/7", cache.url)).await;
    assert_eq!(view.as_deref(), Ok("{\"item\":7,\"reserved\":3}\n"));
    until("the traces of all three", async || {
        let traces = pipeline.jaeger.query.traces("cache").await?;
        let orders = traces
            .iter()
            .filter(|trace| orders::number(trace).is_some());
        let whole: Vec<_> = orders.map(orders::is_whole_through_redis).collect();
        match whole.iter().filter(|whole| whole.is_ok()).count() {
            3 => Ok(()),
            _ => Err(format!("{whole:#?}")),
        }
    })
    .await;
}
