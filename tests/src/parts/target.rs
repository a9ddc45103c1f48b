//! What Prometheus watches: disks whose fill level a test sets.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Disks = Arc<Mutex<BTreeMap<String, f64>>>;

/// A server that exposes `disk_used_percent{host="…"}`. Dropping it closes its port.
pub struct Target {
    address: SocketAddr,
    disks: Disks,
    server: JoinHandle<()>,
}

impl Target {
    /// Starts it on a free port, without disks.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start() -> Self {
        let disks = Disks::default();
        let shown = Arc::clone(&disks);
        let page = get(async move || exposition(&shown));
        let app = Router::new().route("/metrics", page);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("axum serves");
        });
        Self {
            address,
            disks,
            server,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets how full the disk of a host is.
    pub fn set(&self, host: &str, percent: f64) {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.insert(host.to_owned(), percent);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn exposition(disks: &Disks) -> String {
    let mut text = "# TYPE disk_used_percent gauge\n".to_owned();
    let disks = disks.lock().unwrap_or_else(PoisonError::into_inner);
    for (host, percent) in disks.iter() {
        writeln!(text, "disk_used_percent{{host=\"{host}\"}} {percent}").expect("strings grow");
    }
    text
}
