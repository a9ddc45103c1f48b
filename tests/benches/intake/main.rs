//! Durable intake of alert-router against Alertmanager's intake into memory, in one run, on one
//! machine, with one load generator: prints rates and ratios, asserts that nothing acknowledged is
//! lost when the router is killed.
//!
//! `cargo build --release -p alert-router && cargo bench -p stack-tests --bench intake`

#![expect(
    clippy::print_stdout,
    reason = "the table is what the benchmark is for"
)]

mod alerts;
mod load;
mod server;

use std::process::ExitCode;

use alerts::{Api, Fleet, Scenario};
use server::Server;

/// One row of the table.
struct Row {
    scenario: Scenario,
    groups: usize,
    per_request: usize,
    router: load::Measured,
    alertmanager: Option<load::Measured>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let runs = [
        (Scenario::Refresh, 500, 100),
        (Scenario::Refresh, 20, 100),
        (Scenario::Mixed, 500, 100),
        (Scenario::Mixed, 20, 100),
        (Scenario::Churn, 500, 100),
        (Scenario::Churn, 20, 100),
        (Scenario::Refresh, 500, 1),
    ];
    println!(
        "10,000 alerts of about 700 bytes, 64 keep-alive connections, closed loop; Alertmanager: Debian's"
    );
    println!(
        "groups per-request scenario | router alerts/s  p99 ms  CPU us/alert  RSS MB  B written/change | Alertmanager alerts/s  p99 ms  CPU us/alert  RSS MB | ratio"
    );
    let mut lost = false;
    for (scenario, groups, per_request) in runs {
        match run(scenario, groups, per_request).await {
            Ok((row, survived)) => {
                println!("{row}");
                lost |= !survived;
            }
            Err(error) => {
                println!("{scenario:?} {groups} {per_request}: NOT RUN: {error}");
                lost = true;
            }
        }
    }
    if lost {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Measures both servers, and whether the router remembers everything after SIGKILL.
async fn run(scenario: Scenario, groups: usize, per_request: usize) -> Result<(Row, bool), String> {
    let alertmanager = match Server::alertmanager().await {
        Ok(server) => {
            let mut fleet = Fleet::new(groups, Api::Alertmanager);
            Some(load::measure(&server, &mut fleet, scenario, per_request).await?)
        }
        Err(missing) => {
            println!("NOT RUN: Alertmanager: {missing}");
            None
        }
    };
    let mut server = Server::router().await?;
    let mut fleet = Fleet::new(groups, Api::Webhook);
    let router = load::measure(&server, &mut fleet, scenario, per_request).await?;
    server.kill_and_restart().await?;
    let changed = load::say_again(&server, &fleet).await?;
    if changed > 0 {
        println!("LOST: {changed} acknowledged alerts were news after SIGKILL and restart");
    }
    Ok((
        Row {
            scenario,
            groups,
            per_request,
            router,
            alertmanager,
        },
        changed == 0,
    ))
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{:?}", self.scenario).to_lowercase();
        write!(
            f,
            "{:>6} {:>11} {name:>8} | {}",
            self.groups, self.per_request, self.router
        )?;
        match self.router.bytes_per_change() {
            Some(bytes) => write!(f, " {bytes:>17.0} |")?,
            None => write!(f, " {:>17} |", "-")?,
        }
        match &self.alertmanager {
            Some(peer) => write!(f, " {peer} | {:.2}", self.router.rate() / peer.rate()),
            None => write!(f, " not run | -"),
        }
    }
}
