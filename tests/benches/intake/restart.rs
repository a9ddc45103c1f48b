//! A restart after SIGKILL with a hundred thousand stored alerts: how long until it is ready, and
//! until it has taken a post that changes nothing.

use std::time::Duration;

use super::alerts::{Api, Fleet};
use super::durable::ROUTER;
use super::load;
use super::server::Server;
use super::table::Table;

const ALERTS: usize = 100_000;
const GROUPS: usize = 500;
const TIMES: usize = 5;
const TARGET: Duration = Duration::from_secs(1);

pub(crate) async fn measure(table: &mut Table) -> Result<(), String> {
    let mut server = Server::router(ROUTER).await?;
    let fleet = Fleet::of(ALERTS, GROUPS, Api::Webhook);
    load::say_again(&server, &fleet).await?;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        took.push(server.kill_and_restart().await?);
    }
    let again = load::instant();
    let changed = load::say_again(&server, &fleet).await?;
    println!(
        "{ALERTS} alerts in {GROUPS} groups, SIGKILL; ready again after {took:?}; all of them posted once more in {:?}",
        again.elapsed()
    );
    if changed > 0 {
        table.lost(format!("restart: {changed} acknowledged alerts were news"));
    }
    took.sort_unstable();
    let (best, worst) = (took[0], took[TIMES - 1]);
    table.row(
        "restart with 100,000 alerts, ready, worst of 5",
        "<= 1 s",
        format!("{worst:.0?} (best {best:.0?})"),
        None,
        Some(worst <= TARGET),
    );
    let resident = server.usage()?.resident as f64 / 1e6;
    let memory = format!("{resident:.0} MB");
    table.row(
        "  resident after all were posted again",
        "-",
        memory,
        None,
        None,
    );
    Ok(())
}
