//! The end of lines that are written on a thread of their own, as far as there is time to wait for it.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::fork;

/// Lines under way, to be waited for after all else.
#[must_use = "a process that ends takes the lines with it"]
pub(crate) struct Settling(Option<(Moment, Receiver<()>)>);

impl Settling {
    /// There were no lines.
    pub(super) fn over() -> Self {
        Self(None)
    }

    /// `done` hears of the end, or that nobody is left to tell it.
    pub(super) fn new(began: Moment, done: Receiver<()>) -> Self {
        Self(Some((began, done)))
    }

    /// Blocks until the lines are written, at most for what is left of `limit`.
    pub(crate) fn wait(self, limit: Duration) {
        if let Some((began, done)) = self.0 {
            // Either way there is no more time, or nothing to wait for.
            let _ = done.recv_timeout(limit.saturating_sub(began.elapsed().duration));
        }
    }

    /// The same without blocking. As for spans, a thread keeps the time: the caller's runtime, if there
    /// is one, may have no timer.
    pub(crate) async fn wait_apart(self, limit: Duration) {
        let Some((began, _)) = &self.0 else { return };
        let left = limit.saturating_sub(began.elapsed().duration);
        let (end, ended) = oneshot::channel();
        let wait = move || {
            self.wait(limit);
            let _ = end.send(());
        };
        if fork::spawn("telemetry-wait", left, wait) {
            let _ = ended.await;
        }
    }
}
