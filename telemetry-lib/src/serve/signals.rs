//! What asks a process to stop, on each system. What stopping means stands in the module above.

use std::io;

use tokio::sync::watch;

/// Counts SIGTERM and SIGINT, until it is dropped.
#[cfg(unix)]
pub(super) fn count_signals(stop: watch::Sender<u32>) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_modify(|stops| *stops += 1);
        }
    })
}

/// Counts ctrl-c, all that there is here.
#[cfg(not(unix))]
pub(super) fn count_signals(stop: watch::Sender<u32>) -> io::Result<impl Future<Output = ()>> {
    Ok(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            stop.send_modify(|stops| *stops += 1);
        }
    })
}
