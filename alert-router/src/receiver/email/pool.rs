//! Sessions that are open and between two mails, for whoever writes next through the same account:
//! a burst of mails goes over few connections, and few logins, which providers count. lettre's pool
//! is not used: it belongs to lettre's transport, and asks a server that hangs without a deadline.
//!
//! Only a session that ended a mail well is kept, and never one that has more to say. The server may
//! close it at any moment: whoever takes it finds out at MAIL FROM, before anything can be lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::smtp::{Relay, Session};

/// How long a session waits for the next mail: longer than the pauses within a burst, shorter than
/// any server waits.
const IDLE: Duration = Duration::from_secs(10);

/// The idle sessions of one account.
#[derive(Default)]
pub(super) struct Pool(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Oldest first.
    idle: Vec<Idle>,
    /// Tells sessions apart.
    last: u64,
}

struct Idle {
    number: u64,
    relay: Relay,
    session: Session,
    /// Ends it when nobody has taken it in time.
    end: AbortHandle,
}

impl Pool {
    /// A session to `relay` that looks open, the one used last. If there is none, the caller opens
    /// another: then all but `others` are closed, so that an account has no more than it may.
    pub(super) fn take(&self, relay: &Relay, others: usize) -> Option<Session> {
        let mut kept = self.lock();
        while let Some(at) = kept.idle.iter().rposition(|idle| idle.relay == *relay) {
            let mut idle = kept.idle.remove(at);
            idle.end.abort();
            if idle.session.is_quiet() {
                return Some(idle.session);
            }
        }
        let excess = kept.idle.len().saturating_sub(others);
        for idle in kept.idle.drain(..excess) {
            idle.end.abort();
        }
        None
    }

    /// Keeps a session for the next mail to `relay`, or says good-bye after a while.
    pub(super) fn keep(self: &Arc<Self>, relay: &Relay, session: Session) {
        let pool = Arc::downgrade(self);
        let mut kept = self.lock();
        kept.last += 1;
        let number = kept.last;
        let end = tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let late = pool.upgrade().and_then(|pool| pool.remove(number));
            if let Some(session) = late {
                session.quit().await;
            }
        });
        kept.idle.push(Idle {
            number,
            relay: relay.clone(),
            session,
            end: end.abort_handle(),
        });
    }

    fn remove(&self, number: u64) -> Option<Session> {
        let mut kept = self.lock();
        let at = kept.idle.iter().position(|idle| idle.number == number)?;
        Some(kept.idle.remove(at).session)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
