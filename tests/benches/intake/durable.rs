//! Durable intake of alert-router against Alertmanager's intake into memory. Each run ends with
//! SIGKILL and a restart that shows every acknowledged change.

use super::alertmanager;
use super::alerts::{Api, Fleet, Scenario};
use super::load;
use super::server::Server;
use super::table::Table;

/// Nobody is told anything during the run: only intake is measured.
pub(crate) const ROUTER: &str = "route: {receiver: nobody, group_by: [alertname], group_wait: 1h, group_interval: 1h}\nreceivers: [{name: nobody, inbox_configs: [{}]}]\n";
pub(crate) const ALERTMANAGER: &str = "route: {receiver: nobody, group_by: [alertname], group_wait: 1h, group_interval: 1h}\nreceivers: [{name: nobody}]\n";

/// Resident memory may be so much of Alertmanager's.
const MEMORY: f64 = 0.6;

/// What is measured, in this order: the change per pass, the groups, the alerts per request, and the least ratio.
const RUNS: [Run; 7] = [
    (Scenario::Refresh, 500, 100, 5.0),
    (Scenario::Refresh, 20, 100, 5.0),
    (Scenario::Mixed, 500, 100, 3.0),
    (Scenario::Mixed, 20, 100, 3.0),
    (Scenario::Churn, 500, 100, 1.0),
    (Scenario::Churn, 20, 100, 1.0),
    (Scenario::Refresh, 500, 1, 2.0),
];

type Run = (Scenario, usize, usize, f64);

pub(crate) async fn measure(table: &mut Table, only: Option<Scenario>) -> Result<(), String> {
    println!(
        "10,000 alerts of about 700 bytes, 64 keep-alive connections, closed loop; Alertmanager: Debian's"
    );
    println!(
        "groups per-request scenario | router alerts/s  p99 ms  CPU us/alert  RSS MB  B written/change | Alertmanager alerts/s  p99 ms  CPU us/alert  RSS MB | ratio"
    );
    let wanted = |run: &&Run| only.is_none_or(|only| run.0 == only);
    for &(scenario, groups, per_request, least) in RUNS.iter().filter(wanted) {
        let peer = match alertmanager(ALERTMANAGER).await {
            Some(server) => {
                let mut fleet = Fleet::new(groups, Api::Alertmanager);
                Some(load::measure(&server, &mut fleet, scenario, per_request).await?)
            }
            None => None,
        };
        let mut server = Server::router(ROUTER).await?;
        let mut fleet = Fleet::new(groups, Api::Webhook);
        let ours = load::measure(&server, &mut fleet, scenario, per_request).await?;
        let name = scenario.name();
        let written = ours.bytes_per_change();
        let written = written.map_or("-".to_owned(), |bytes| format!("{bytes:.0}"));
        print!("{groups:>6} {per_request:>11} {name:>8} | {ours} {written:>17} |");
        match &peer {
            Some(peer) => println!(" {peer} | {:.2}", ours.rate() / peer.rate()),
            None => println!(" not run | -"),
        }
        server.kill_and_restart().await?;
        let changed = load::say_again(&server, &fleet).await?;
        if changed > 0 {
            table.lost(format!(
                "{name}: {changed} acknowledged alerts were news after SIGKILL and restart"
            ));
        }
        let Some(peer) = peer else { continue };
        let ratio = ours.rate() / peer.rate();
        table.row(
            format!("intake {name}, {groups} groups, {per_request} per request"),
            format!("ratio >= {least}"),
            format!("{ratio:.2} ({:.0} alerts/s)", ours.rate()),
            Some(format!("{:.0} alerts/s", peer.rate())),
            Some(ratio >= least),
        );
        let memory = ours.resident() / peer.resident();
        table.row(
            "  its resident memory",
            format!("ratio <= {MEMORY}"),
            format!("{memory:.2} ({:.0} MB)", ours.resident() / 1e6),
            Some(format!("{:.0} MB", peer.resident() / 1e6)),
            Some(memory <= MEMORY),
        );
    }
    Ok(())
}
