//! The whole way of a span and of an alert on real parts, through the services of the demo: first the
//! demo as a user starts it, then its services with a Collector and a Jaeger that can be broken. Times
//! are printed (`MEASURED: …`) and never asserted. Without `redis-server` two things are NOT RUN: the alarm
//! (the demo starts all that it has) and the cache; faults, exemplars and drains use the stock's own queue.

mod alarm;
mod cache;
mod customers;
mod demo;
mod dependency;
mod drain;
mod exemplars;
mod faults;
mod links;
mod orders;
mod panels;
mod pipeline;
mod poor;
mod router;

use stack_tests::Tool;
use stack_tests::parts::{Program, installed};
use tokio::sync::{Mutex, MutexGuard};

/// These tests are programs and load for all cores: one after the other.
static TURN: Mutex<()> = Mutex::const_new(());

/// Whose turn it is, if all parts are there. Otherwise it has been said what is missing.
async fn turn(test: &str, programs: &[Program]) -> Option<MutexGuard<'static, ()>> {
    let tools = [Tool::Collector.find(test), Tool::Jaeger.find(test)];
    let is_complete = installed(test, programs) && tools.iter().all(Option::is_some);
    match is_complete {
        true => Some(TURN.lock().await),
        false => None,
    }
}

/// The same where Collector and Jaeger are not wanted.
async fn turn_of_the_poor(test: &str, programs: &[Program]) -> Option<MutexGuard<'static, ()>> {
    match installed(test, programs) {
        true => Some(TURN.lock().await),
        false => None,
    }
}
