//! Where parts live: folders and ports that nobody else has.

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Below the ports that Linux gives to outgoing connections, so that no client takes one between
/// our look and the server's bind.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A folder that goes when the value is dropped. Others may enter: mail servers change their user.
///
/// # Panics
/// No temporary folder can be made.
#[must_use]
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("stack")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder can be made")
}

/// A port of 127.0.0.1 on which nothing listens, never the same twice in one process. For servers
/// that cannot choose a port themselves, or that come back at the same address.
///
/// # Panics
/// All ports are taken.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).expect("below COUNT");
    for _ in 0..COUNT {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + given % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}
