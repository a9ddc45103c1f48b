//! What a server does when there is nothing to do: ten thousand alerts are known, and nothing is due.

use std::time::Duration;

use super::alertmanager;
use super::alerts::{Api, Fleet};
use super::durable::{ALERTMANAGER, ROUTER};
use super::load;
use super::server::{Rest, Server};
use super::table::Table;

/// After the load, before it is looked at: what the load left to do is done.
const SETTLE: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(30);
/// Share of one core.
const TARGET: f64 = 0.001;

pub(crate) async fn measure(table: &mut Table) -> Result<(), String> {
    let peer = match alertmanager(ALERTMANAGER).await {
        Some(server) => Some(watch(&server, Api::Alertmanager).await?),
        None => None,
    };
    let server = Server::router(ROUTER).await?;
    let ours = watch(&server, Api::Webhook).await?;
    let seconds = WATCHED.as_secs_f64();
    let share = |rest: &Rest| rest.cpu.as_secs_f64() / seconds;
    let cpu = |rest: &Rest| format!("{:.4} %", share(rest) * 100.0);
    let wakes = |rest: &Rest| format!("{:.1}/s", rest.wakes as f64 / seconds);
    let bytes = |rest: &Rest| format!("{} B", rest.written);
    println!("router {ours:?}; Alertmanager {peer:?}");
    let met = share(&ours) < TARGET;
    let of_peer = |show: &dyn Fn(&Rest) -> String| peer.as_ref().map(show);
    table.row(
        "at rest, 30 s: CPU",
        "< 0.1 %",
        cpu(&ours),
        of_peer(&cpu),
        Some(met),
    );
    let (what, shown) = ("at rest, 30 s: wake-ups of all threads", wakes(&ours));
    table.row(what, "nothing periodic", shown, of_peer(&wakes), None);
    let (what, met) = ("at rest, 30 s: written", ours.written == 0);
    table.row(what, "0 B", bytes(&ours), of_peer(&bytes), Some(met));
    Ok(())
}

async fn watch(server: &Server, api: Api) -> Result<Rest, String> {
    let fleet = Fleet::new(500, api);
    load::say_again(server, &fleet).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.rest()?;
    tokio::time::sleep(WATCHED).await;
    let after = server.rest()?;
    Ok(after.since(&before))
}
