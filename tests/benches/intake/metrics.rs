//! A scrape of `/metrics`, while ten thousand alerts are known.

use std::time::Duration;

use super::alertmanager;
use super::alerts::{Api, Fleet};
use super::durable::{ALERTMANAGER, ROUTER};
use super::load::{self, get, instant};
use super::server::Server;
use super::table::Table;

const SCRAPES: usize = 200;

/// What a scrape costs.
struct Scrape {
    took: Duration,
    bytes: usize,
    cpu: Duration,
}

pub(crate) async fn measure(table: &mut Table) -> Result<(), String> {
    let peer = match alertmanager(ALERTMANAGER).await {
        Some(server) => Some(scrape(&server, Api::Alertmanager).await?),
        None => None,
    };
    let server = Server::router(ROUTER).await?;
    let ours = scrape(&server, Api::Webhook).await?;
    let show = |scrape: &Scrape| {
        let (took, cpu) = (scrape.took.as_micros(), scrape.cpu.as_micros());
        format!("{took} us, {cpu} us CPU, {} B", scrape.bytes)
    };
    let shown = peer.as_ref().map(show);
    println!(
        "median of {SCRAPES}: router {}; Alertmanager {shown:?}",
        show(&ours)
    );
    table.row("/metrics, median", "-", show(&ours), shown, None);
    Ok(())
}

async fn scrape(server: &Server, api: Api) -> Result<Scrape, String> {
    let fleet = Fleet::new(500, api);
    load::say_again(server, &fleet).await?;
    let mut stream = server.connect().await?;
    let (mut took, mut bytes) = (Vec::new(), 0);
    let before = server.rest()?.cpu;
    for _ in 0..SCRAPES {
        let began = instant();
        bytes = get(&mut stream, "/metrics").await?.len();
        took.push(began.elapsed());
    }
    let cpu = server.rest()?.cpu.saturating_sub(before);
    took.sort_unstable();
    Ok(Scrape {
        took: took[SCRAPES / 2],
        bytes,
        cpu: cpu / SCRAPES as u32,
    })
}
