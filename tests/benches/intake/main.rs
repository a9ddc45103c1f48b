//! What alert-router does in time, against Debian's Alertmanager, in one run, on one machine, with one
//! load generator. Prints what was measured beside its target, with the load average of the moment;
//! asserts only that nothing acknowledged is lost when the router is killed.
//!
//! `cargo build --release -p alert-router && cargo bench -p stack-tests --bench intake`, and behind
//! `--` any of `intake` (or one of its scenarios: `refresh`, `mixed`, `churn`), `wire`, `restart`,
//! `rest`, `metrics` for these alone.

#![expect(
    clippy::print_stdout,
    reason = "the table is what the benchmark is for"
)]

mod alerts;
mod durable;
mod load;
mod metrics;
mod rest;
mod restart;
mod server;
mod table;
mod wire;

use std::process::ExitCode;

use alerts::Scenario;
use server::Server;
use table::Table;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All scenarios, or one.
    Intake(Option<Scenario>),
    Wire,
    Restart,
    Rest,
    Metrics,
}

#[tokio::main]
async fn main() -> ExitCode {
    let parts = match asked_for() {
        Ok(parts) => parts,
        Err(wrong) => {
            println!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let mut table = Table::default();
    for part in parts {
        println!("\n== {part:?}, load average {}", table::load_average());
        let done = match part {
            Part::Intake(only) => durable::measure(&mut table, only).await,
            Part::Wire => wire::measure(&mut table).await,
            Part::Restart => restart::measure(&mut table).await,
            Part::Rest => rest::measure(&mut table).await,
            Part::Metrics => metrics::measure(&mut table).await,
        };
        if let Err(error) = done {
            table.failed(part, &error);
        }
    }
    println!("\n{table}");
    if table.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The parts named on the command line, or all. Cargo adds flags of its own.
fn asked_for() -> Result<Vec<Part>, String> {
    let all = [
        ("intake", Part::Intake(None)),
        ("wire", Part::Wire),
        ("restart", Part::Restart),
        ("rest", Part::Rest),
        ("metrics", Part::Metrics),
    ];
    let scenarios = [Scenario::Refresh, Scenario::Mixed, Scenario::Churn];
    let scenarios = scenarios.map(|one| (one.name(), Part::Intake(Some(one))));
    let mut parts = Vec::new();
    for word in std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
    {
        let mut known = all.iter().chain(&scenarios);
        let known = known.find(|(name, _)| *name == word);
        let (_, part) = known.ok_or(format!("{word}: not one of {:?}", all.map(|(n, _)| n)))?;
        parts.push(*part);
    }
    Ok(match parts.is_empty() {
        true => all.map(|(_, part)| part).to_vec(),
        false => parts,
    })
}

/// Alertmanager, if it is installed; otherwise says so.
async fn alertmanager(config: &str) -> Option<Server> {
    match Server::alertmanager(config).await {
        Ok(server) => Some(server),
        Err(missing) => {
            println!("NOT RUN: Alertmanager: {missing}; apt-get install prometheus-alertmanager");
            None
        }
    }
}
