//! What an observation costs when a second thread makes the same one: they share a cache line at least.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use prometheus::{Histogram, HistogramOpts, HistogramVec};
use telemetry_lib::{Config, RouteTemplate, Telemetry, init};

use crate::child::{Done, thread_time};
use crate::report::median;

const ROUNDS: usize = 9;

/// Something that two threads may do to the same series.
struct Operation {
    /// In a round: so many that both threads are given a core of their own.
    times: u32,
    run: Box<dyn Fn() + Sync>,
}

pub(crate) fn print() -> Done {
    let operations: [(&str, Operation); 3] = [
        ("prometheus, a histogram's child", child()?),
        ("prometheus, with_label_values", labelled()?),
        ("telemetry-lib, a whole request without spans", request()?),
    ];
    println!(
        "CPU time of the same operation on the same series, ns, median of {ROUNDS} rounds \
         (and the ratio of two threads to one in the same round)\n"
    );
    println!("| operation | one thread | two threads |\n| --- | --- | --- |");
    for (name, operation) in &operations {
        let rounds = (0..ROUNDS).map(|_| (nanoseconds(1, operation), nanoseconds(2, operation)));
        let (one, two): (Vec<f64>, Vec<f64>) = rounds.unzip();
        let ratios = one.iter().zip(&two).map(|(one, two)| two / one).collect();
        let ratio = median(ratios);
        println!(
            "| {name} | {:.0} | {:.0} ({ratio:.2}) |",
            median(one),
            median(two)
        );
    }
    println!();
    Ok(())
}

/// Of one operation, on one of so many threads that do it at once.
fn nanoseconds(threads: u32, operation: &Operation) -> f64 {
    let begin = Barrier::new(threads as usize);
    let work = || {
        begin.wait();
        let before = thread_time();
        (0..operation.times).for_each(|_| (operation.run)());
        thread_time() - before
    };
    let spent: i64 = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let spent = all.into_iter().map(|it| it.join().expect("it ends"));
        spent.sum()
    });
    spent as f64 / f64::from(threads * operation.times)
}

fn child() -> Result<Operation, prometheus::Error> {
    let histogram = Histogram::with_opts(HistogramOpts::new("duration_seconds", "Time."))?;
    Ok(Operation {
        times: 20_000_000,
        run: Box::new(move || histogram.observe(black_box(0.03))),
    })
}

fn labelled() -> Result<Operation, prometheus::Error> {
    let options = HistogramOpts::new("duration_seconds", "Time.");
    let family = HistogramVec::new(options, &["method", "route", "status"])?;
    let run = move || {
        let labels = black_box(["GET", "/users/{id}", "200"]);
        family.with_label_values(&labels).observe(0.03);
    };
    Ok(Operation {
        times: 10_000_000,
        run: Box::new(run),
    })
}

fn request() -> Result<Operation, Box<dyn std::error::Error>> {
    let telemetry: Telemetry = init(Config::from_env("peers").install_subscriber(false))?;
    let route = RouteTemplate::new("/users/{id}");
    let (uri, headers, none) = (
        Uri::from_static("/users/7"),
        HeaderMap::new(),
        Extensions::new(),
    );
    let run = move || {
        let mut request = telemetry.server_request(&Method::GET, &uri, &headers, &none);
        request.set_route(route.clone());
        request.finish(black_box(StatusCode::OK));
    };
    Ok(Operation {
        times: 2_000_000,
        run: Box::new(run),
    })
}
