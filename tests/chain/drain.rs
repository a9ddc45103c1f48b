//! Services that are told to stop under load: a balancer takes them out as soon as they say that they
//! are not ready, and until then they answer; nothing that was answered is missing anywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use stack_tests::get;
use stack_tests::parts::{Program, Trace, tell, until};
use tokio::time::interval;

use crate::customers::{Customers, Order};
use crate::orders::{self, OF_SHOP, OF_STOCK};
use crate::pipeline::{Pipeline, Service, Wishes};
use crate::turn;

const PER_SECOND: u32 = 40;
/// A balancer asks so often, and believes an answer that it gets so many times: half a second.
const PROBE: Duration = Duration::from_millis(50);
const PROBES: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_stops_under_load_fails_no_request_and_loses_no_span() {
    let Some(_turn) = turn("the shop stops under load", &[] as &[Program]).await else {
        return;
    };
    let mut pipeline = Pipeline::start(Wishes::default()).await;
    let orders = stopped_under_load(&mut pipeline.shop, "orders", 201, OF_SHOP).await;
    let query = &pipeline.jaeger.query;
    until("every order in Jaeger", async || {
        let traces = query.traces("shop").await?;
        let whole = traces
            .iter()
            .filter(|trace| orders::is_whole(trace).is_ok());
        all_there(&orders, whole.filter_map(orders::number).collect())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_that_stops_under_load_empties_its_queue_first() {
    let Some(_turn) = turn("the stock stops under load", &[] as &[Program]).await else {
        return;
    };
    let mut pipeline = Pipeline::start(Wishes::default()).await;
    let orders = stopped_under_load(&mut pipeline.stock, "reserve", 200, OF_STOCK).await;
    let query = &pipeline.jaeger.query;
    until(
        "every reservation in Jaeger, with the worker's part",
        async || {
            let traces = query.traces("stock").await?;
            let packed = |trace: &&Trace| {
                let mut names = trace.spans.iter().map(|span| span.name.as_str());
                names.any(|name| name == "process reservations")
            };
            let packed = traces.iter().filter(packed);
            all_there(&orders, packed.filter_map(orders::number).collect())
        },
    )
    .await;
}

/// Customers come until a balancer has seen that the service is not ready any more.
async fn stopped_under_load(
    service: &mut Service,
    path: &str,
    good: u16,
    spans: u64,
) -> Vec<Order> {
    let customers = Customers::come(&format!("{}/{path}", service.url), PER_SECOND);
    customers.more(PER_SECOND as usize * 3).await;
    let told = customers.elapsed();
    let balancer = tokio::spawn(balance(service.url.clone(), customers));
    let log = tokio::task::block_in_place(|| service.terminate());
    let orders = balancer.await.expect("no panic there");

    let failed: Vec<_> = orders
        .iter()
        .filter(|order| order.answer != Ok(good))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let draining = orders.iter().filter(|order| order.ended > told).count();
    tell(&format!(
        "{path}: {} answered, {draining} of them after SIGTERM",
        orders.len()
    ));
    assert!(draining > 0, "some came while it drained");
    let report = format!("spans: {} exported, none lost", orders.len() as u64 * spans);
    assert!(log.contains(&report), "no {report:?} in\n{log}");
    orders
}

/// Sends customers away when the service is not ready, and returns what they got.
async fn balance(url: String, customers: Customers) -> Vec<Order> {
    let address = url.trim_start_matches("http://").to_owned();
    let mut tick = interval(PROBE);
    let mut not_ready = 0;
    let is_ready = |answer: Option<(u16, String)>| answer.is_some_and(|(status, _)| status == 200);
    loop {
        tick.tick().await;
        let at = address.clone();
        let asked = tokio::task::spawn_blocking(move || get(&at, "/readyz", "*/*")).await;
        match is_ready(asked.expect("no panic there")) {
            true => not_ready = 0,
            false => not_ready += 1,
        }
        if not_ready == PROBES {
            return customers.leave().await;
        }
    }
}

fn all_there(orders: &[Order], found: BTreeSet<u32>) -> Result<(), String> {
    let missing = (0..)
        .zip(orders)
        .filter(|(number, _)| !found.contains(number));
    match missing.map(|(number, _)| number).collect::<Vec<u32>>() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(format!(
            "{} of {} missing: {missing:?}",
            missing.len(),
            orders.len()
        )),
    }
}
