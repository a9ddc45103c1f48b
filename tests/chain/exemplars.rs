//! A point in a graph leads to a trace that exists, although a hundredth of the plain traces is kept.

use std::collections::BTreeSet;

use stack_tests::parts::{Exemplar, Prometheus, Trace, tell, until};

use crate::customers::Customers;
use crate::pipeline::{Pipeline, Service, Wishes};
use crate::turn;

const PER_SECOND: u32 = 100;
const ORDERS_OF_A_ROUND: usize = 800;
/// After so many seconds an exemplar's trace is in Jaeger: 1.5 s until its span leaves the slower
/// service, 3 s of waiting after the root, 1 s between two decisions, and the way to Jaeger.
const DUE: f64 = 8.0;
/// The stock sends half a period later than the shop.
const BEHIND: &[(&str, &str)] = &[("OTEL_BSP_SCHEDULE_DELAY", "1500")];
/// What a process may mark: a burst, and one each second.
const BURST: f64 = 20.0;
/// How long a bucket keeps its exemplar, and some: then the next comes from who orders now.
const ROUNDS_OF_SHOP: usize = 2;
const ROUNDS_OF_KIOSK: usize = 3;
/// Longer traces are kept because they are slow.
const SLOW_MICROS: u64 = 500_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_exemplar_leads_to_its_trace_and_few_others_are_kept() {
    let test = "the chain of exemplars";
    let Some(_turn) = turn(test, &[stack_tests::parts::Program::Prometheus]).await else {
        return;
    };
    let pipeline = Pipeline::start(Wishes {
        baseline: "1",
        stock: BEHIND,
        ..Wishes::default()
    })
    .await;
    let targets = [&pipeline.shop, &pipeline.stock].map(Service::address);
    let prometheus = Prometheus::watching(pipeline.folder.path(), &targets).await;
    // First both services mark, then the stock alone: the kiosk gives out no exemplars.
    let kiosk = pipeline.kiosk().await;
    let fronts = [(&pipeline.shop, ROUNDS_OF_SHOP), (&kiosk, ROUNDS_OF_KIOSK)];
    let (mut followed, mut orders, mut seconds) = (BTreeSet::new(), 0, 0.0);
    for (front, rounds) in fronts {
        let customers = Customers::come(&format!("{}/orders", front.url), PER_SECOND);
        for _ in 0..rounds {
            customers.more(ORDERS_OF_A_ROUND).await;
            follow(&prometheus, &pipeline, &mut followed).await;
        }
        seconds += customers.elapsed().as_secs_f64();
        let answered = customers.leave().await;
        assert!(answered.iter().all(|order| order.answer == Ok(201)));
        orders += answered.len();
    }
    let shown = exemplars(&prometheus).await;
    let kept = kept_with(&pipeline, &shown).await;
    tell(&format!(
        "{} exemplars followed to their traces at once, {} in all",
        followed.len(),
        shown.len()
    ));
    assert!(!followed.is_empty());
    second_service_alone_keeps_a_trace(&kept, &shown);
    no_more_than_the_design_allows(&kept, orders, seconds);
}

/// All kept traces, once the youngest of `shown` are among them.
async fn kept_with(pipeline: &Pipeline, shown: &[Exemplar]) -> Vec<Trace> {
    until("the last exemplar's trace", async || {
        // All orders reserve at the stock.
        let kept = pipeline.jaeger.query.traces("stock").await?;
        let ids: BTreeSet<_> = kept.iter().map(|trace| trace.id.as_str()).collect();
        let missing = |exemplar: &&Exemplar| !ids.contains(id(exemplar));
        match shown.iter().find(missing) {
            None => Ok(kept),
            Some(missing) => Err(format!("{missing:?}")),
        }
    })
    .await
}

/// Asks Jaeger, once, for each exemplar that is due.
async fn follow(prometheus: &Prometheus, pipeline: &Pipeline, followed: &mut BTreeSet<String>) {
    let now = prometheus
        .value("vector(time())")
        .await
        .expect("it can tell the time");
    for exemplar in exemplars(prometheus).await {
        if exemplar.at + DUE < now && followed.insert(id(&exemplar).to_owned()) {
            let trace = pipeline.jaeger.query.trace(id(&exemplar)).await;
            let age = now - exemplar.at;
            assert!(trace.is_ok(), "{exemplar:?}, {age:.1} s old: {trace:?}");
        }
    }
}

/// Of the services' own histograms: the shop's requests, and the stock's calls.
async fn exemplars(prometheus: &Prometheus) -> Vec<Exemplar> {
    let mut all = Vec::new();
    for histogram in [
        "http_server_request_duration_seconds_bucket",
        "rpc_server_call_duration_seconds_bucket",
    ] {
        let found = prometheus.exemplars(histogram).await;
        all.extend(found.expect("Prometheus has exemplars"));
    }
    all
}

/// Of the trace.
fn id(exemplar: &Exemplar) -> &str {
    let id = exemplar.labels["trace_id"].as_str();
    id.unwrap_or_else(|| panic!("{exemplar:?} names no trace"))
}

fn marks(trace: &Trace, service: &str) -> usize {
    let is_marked = |value: Option<&String>| value.is_some_and(|value| value == "true");
    let own = trace.spans.iter().filter(|span| span.service == service);
    own.filter(|span| is_marked(span.tags.get("exemplar")))
        .count()
}

fn second_service_alone_keeps_a_trace(kept: &[Trace], shown: &[Exemplar]) {
    let ids: BTreeSet<_> = shown.iter().map(id).collect();
    let alone = |trace: &&Trace| {
        ids.contains(trace.id.as_str()) && marks(trace, "shop") == 0 && marks(trace, "stock") > 0
    };
    let alone: Vec<_> = kept.iter().filter(alone).collect();
    assert!(!alone.is_empty(), "no exemplar is of the stock alone");
    for trace in &alone {
        let services: BTreeSet<_> = trace.spans.iter().map(|span| &span.service).collect();
        assert_eq!(services.len(), 2, "the whole trace is kept: {trace:#?}");
    }
    tell(&format!(
        "{} of them kept by a mark of the second service alone",
        alone.len()
    ));
}

fn no_more_than_the_design_allows(kept: &[Trace], orders: usize, seconds: f64) {
    for service in ["shop", "stock"] {
        let marks: usize = kept.iter().map(|trace| marks(trace, service)).sum();
        let bound = BURST + seconds;
        tell(&format!(
            "{service}: {marks} marks in {seconds:.0} s, allowed {bound:.0}"
        ));
        assert!(
            (marks as f64) <= bound,
            "{service}: {marks} marks in {seconds} s"
        );
    }
    let is_plain = |trace: &&Trace| {
        let is_marked = ["shop", "stock"]
            .iter()
            .any(|service| marks(trace, service) > 0);
        let has_failed = trace
            .spans
            .iter()
            .any(|span| span.tags.contains_key("error"));
        !is_marked && !has_failed && trace.micros() < SLOW_MICROS
    };
    let plain = kept.iter().filter(is_plain).count();
    // Chance is bounded, too: five standard deviations above the mean.
    let mean = orders as f64 * 0.01;
    let bound = mean + 5.0 * (mean * 0.99).sqrt();
    tell(&format!(
        "{plain} plain traces of {orders} kept, allowed {bound:.0}"
    ));
    assert!(plain > 0, "the baseline keeps some");
    assert!((plain as f64) <= bound, "{plain} plain traces of {orders}");
}
