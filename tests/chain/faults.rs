//! The Collector and Jaeger go away while the services keep sending. What may be lost is what the
//! Collector held in memory for its decision; everything else arrives, or is counted by its service.

use std::collections::BTreeSet;
use std::time::Duration;

use stack_tests::parts::{Program, tell, until};

use crate::customers::{Customers, Order};
use crate::orders::{self, OF_SHOP, OF_STOCK};
use crate::pipeline::{Account, Pipeline, Wishes};
use crate::turn;

const PER_SECOND: u32 = 40;
/// Orders of so many seconds.
const fn of_seconds(seconds: usize) -> usize {
    seconds * PER_SECOND as usize
}
/// From the end of an order to the decision about its trace: it leaves the service after 1 s at most,
/// its Collector waits 3 s in whole seconds, and decides each second. On a machine with more work than
/// processors 5.0 s were seen.
const DECISION: Duration = Duration::from_secs(8);
/// What was under way when the Collector went: parts of these traces may have been in it.
const UNDER_WAY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_collector_and_an_outage_of_jaeger_lose_nothing_that_was_decided() {
    let test = "the Collector restarts, Jaeger is down";
    let Some(_turn) = turn(test, &[] as &[Program]).await else {
        return;
    };
    let mut pipeline = Pipeline::start(Wishes::default()).await;
    let customers = Customers::come(&format!("{}/orders", pipeline.shop.url), PER_SECOND);
    customers.more(of_seconds(11)).await;

    let gone = customers.elapsed();
    pipeline.collector.terminate();
    customers.more(of_seconds(3)).await;
    pipeline.collector.start_again().await;
    customers.more(of_seconds(5)).await;

    let seconds = outage();
    pipeline.jaeger.terminate();
    customers.more(of_seconds(seconds)).await;
    let queued = pipeline
        .collector
        .metric("otelcol_exporter_queue_size")
        .await;
    tell(&format!(
        "Jaeger down for {seconds} s: {queued:?} spans in the Collector's queue"
    ));
    pipeline.jaeger.start_again().await;
    customers.more(of_seconds(2)).await;

    let orders = customers.leave().await;
    assert!(
        orders.iter().all(|order| order.answer == Ok(201)),
        "{orders:?}"
    );
    pipeline.flushed().await;
    accounts_are_complete(&pipeline, orders.len(), 0.0).await;
    only_undecided_may_be_lost(&pipeline, &orders, gone, "SIGTERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_collector_keeps_its_queue_and_loses_what_it_had_not_decided() {
    let Some(_turn) = turn("the Collector is killed", &[] as &[Program]).await else {
        return;
    };
    let mut pipeline = Pipeline::start(Wishes::default()).await;
    let customers = Customers::come(&format!("{}/orders", pipeline.shop.url), PER_SECOND);
    customers.more(of_seconds(2)).await;
    // From here on, everything that is decided goes to the queue on disk.
    pipeline.jaeger.terminate();
    customers.more(of_seconds(14)).await;
    let collector = &pipeline.collector;
    let queued = until("a queue", async || {
        match collector.metric("otelcol_exporter_queue_size").await? {
            0.0 => Err("empty".to_owned()),
            queued => Ok(queued),
        }
    })
    .await;

    let gone = customers.elapsed();
    pipeline.collector.kill();
    tell(&format!("killed with {queued} spans in the queue on disk"));
    customers.more(of_seconds(2)).await;
    pipeline.collector.start_again().await;
    pipeline.jaeger.start_again().await;
    customers.more(of_seconds(2)).await;
    let orders = customers.leave().await;
    pipeline.flushed().await;
    accounts_are_complete(&pipeline, orders.len(), 0.0).await;
    only_undecided_may_be_lost(&pipeline, &orders, gone, "SIGKILL").await;
    // However slow the machine was: what stood on disk arrives. What is tried again after a pause may do
    // so behind orders that came later.
    until("what stood on disk in Jaeger", async || {
        let found = whole_orders(&pipeline).await?;
        let before = found.iter().filter(|&&n| orders[n as usize].ended < gone);
        let arrived = (before.count() as u64 * (OF_SHOP + OF_STOCK)) as f64;
        match arrived >= queued {
            true => Ok(()),
            false => Err(format!("{arrived} of {queued} spans")),
        }
    })
    .await;
}

/// The spans that may wait in a service of the next test.
const BOUND: f64 = 300.0;
const SMALL: &[(&str, &str)] = &[
    ("OTEL_BSP_MAX_QUEUE_SIZE", "300"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_drops_only_what_its_queue_cannot_hold_and_counts_it() {
    let Some(_turn) = turn("the Collector is away for long", &[] as &[Program]).await else {
        return;
    };
    let mut pipeline = Pipeline::start(Wishes {
        both: SMALL,
        ..Wishes::default()
    })
    .await;
    let customers = Customers::come(&format!("{}/orders", pipeline.shop.url), PER_SECOND);
    customers.more(of_seconds(2)).await;
    let gone = customers.elapsed();
    pipeline.collector.terminate();
    for service in [&pipeline.shop, &pipeline.stock] {
        until("its queue is full", async || {
            match service.account().await? {
                account if account.dropped() > 0.0 => Ok(()),
                account => Err(format!("{account:?}")),
            }
        })
        .await;
    }
    let back = customers.elapsed();
    pipeline.collector.start_again().await;
    customers.more(of_seconds(3)).await;
    let orders = customers.leave().await;
    assert!(
        orders.iter().all(|order| order.answer == Ok(201)),
        "{orders:?}"
    );
    pipeline.flushed().await;
    let accounts = accounts_are_complete(&pipeline, orders.len(), f64::INFINITY).await;
    // Since a second before, because so long spans wait for company; and until the end, because it
    // takes a while to be noticed that the Collector is back.
    let since = gone.saturating_sub(Duration::from_secs(1));
    let meanwhile = orders.iter().filter(|order| order.ended >= since).count();
    for (account, spans) in accounts.iter().zip([OF_SHOP, OF_STOCK]) {
        let made = (meanwhile as u64 * spans) as f64;
        tell(&format!(
            "away for {:.1?}: {account:?} of {made} made",
            back - gone
        ));
        assert!(account.dropped() + BOUND <= made, "{account:?} of {made}");
        let (reason, others) = account.dropped.split_first().expect("there are reasons");
        assert!(reason.0 == "queue_full" && others.iter().all(|(_, spans)| *spans == 0.0));
    }
}

/// How long Jaeger is away: `STACK_OUTAGE_SECONDS`, by default less than the minute of a real test.
fn outage() -> usize {
    let given = std::env::var("STACK_OUTAGE_SECONDS").ok();
    given.map_or(10, |text| text.parse().expect("a number of seconds"))
}

/// Each span that a service made is exported or counted as dropped, and at most `most` are dropped.
async fn accounts_are_complete(pipeline: &Pipeline, orders: usize, most: f64) -> [Account; 2] {
    let shop = pipeline.shop.account().await.expect("it runs");
    let stock = pipeline.stock.account().await.expect("it runs");
    for (account, spans) in [(&shop, OF_SHOP), (&stock, OF_STOCK)] {
        let made = (orders as u64 * spans) as f64;
        assert_eq!(account.exported + account.dropped(), made, "{account:?}");
        assert!(account.dropped() <= most, "{account:?}");
    }
    [shop, stock]
}

/// The numbers of the orders whose trace is whole in Jaeger.
async fn whole_orders(pipeline: &Pipeline) -> Result<BTreeSet<u32>, String> {
    let traces = pipeline.jaeger.query.traces("shop").await?;
    let whole = traces
        .iter()
        .filter(|trace| orders::is_whole(trace).is_ok());
    Ok(whole.filter_map(orders::number).collect())
}

/// Waits until every order is in Jaeger but for those that ended shortly before `gone`, and prints how many
/// of these are not.
async fn only_undecided_may_be_lost(
    pipeline: &Pipeline,
    orders: &[Order],
    gone: Duration,
    how: &str,
) {
    let is_undecided =
        |order: &Order| order.ended + DECISION >= gone && order.ended <= gone + UNDER_WAY;
    let (undecided, due): (Vec<_>, Vec<_>) = (0..)
        .zip(orders)
        .partition(|(_, order)| is_undecided(order));
    assert!(!undecided.is_empty() && due.len() > undecided.len());
    let found = until("every decided order in Jaeger", async || {
        let found = whole_orders(pipeline).await?;
        let missing: Vec<u32> = due
            .iter()
            .map(|(number, _)| *number)
            .filter(|n| !found.contains(n))
            .collect();
        match missing.as_slice() {
            [] => Ok(found),
            [first, ..] => Err(format!(
                "{} of {} missing, the first ended {:?} after the start ({how} at {gone:?})",
                missing.len(),
                due.len(),
                orders[*first as usize].ended
            )),
        }
    })
    .await;
    let lost = undecided
        .iter()
        .filter(|(number, _)| !found.contains(number));
    let ages = lost.map(|(_, order)| gone.saturating_sub(order.ended));
    let (count, oldest) = ages.fold((0, Duration::ZERO), |(count, oldest), age| {
        (count + 1, oldest.max(age))
    });
    tell(&format!(
        "{how}: all {} decided orders found; {count} of {} undecided ones lost, the oldest ended {oldest:.1?} before",
        due.len(),
        undecided.len()
    ));
}
