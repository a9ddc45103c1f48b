//! What all receivers share that hand in through one account: how many connections at once, and
//! a pause after the provider has had enough. Apart from the engine's budgets, because the limit
//! is the provider's and shows only in its answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alert_engine::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config;
use crate::receiver::{Failure, Progress, SendError};

/// Connections to one account at once. Providers count them.
const CONNECTIONS: usize = 2;

/// How long a mail waits for one of them.
pub(super) const TURN: Duration = Duration::from_secs(60);

/// The accounts of one config, by relay and user. Receivers of one config share them.
pub struct Accounts {
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<String, Arc<Account>>>,
}

/// One account at one relay.
pub(super) struct Account {
    clock: Arc<dyn Clock>,
    connections: Semaphore,
    paused: Mutex<Option<Pause>>,
}

/// Until when nothing is tried, and why.
#[derive(Debug)]
struct Pause {
    until: Timestamp,
    error: SendError,
}

impl Accounts {
    /// None yet; `clock` tells when a pause is over.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// The account that `email` hands in through.
    pub(super) fn of(&self, email: &config::Email) -> Arc<Account> {
        let user = email.auth.as_ref().map_or("", |auth| &auth.username);
        let name = format!("{}\0{user}", email.smarthost);
        let mut accounts = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        accounts
            .entry(name)
            .or_insert_with(|| Arc::new(Account::new(self.clock.clone())))
            .clone()
    }
}

impl Account {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            connections: Semaphore::new(CONNECTIONS),
            paused: Mutex::new(None),
        }
    }

    /// A turn to connect, unless the account is paused or busy.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, SendError> {
        if let Some(error) = self.pause_at(self.clock.now()) {
            return Err(error);
        }
        match timeout(TURN, self.connections.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(SendError {
                failure: Failure::Deferred { wait: TURN },
                reason: "busy",
                code: None,
                answer: "all connections to the relay are busy".to_owned(),
                fix: None,
                progress: Progress::new(),
            }),
        }
    }

    /// Learns from a failure: a rate limit or a refused login holds for everyone who uses the
    /// account, and trying on would make it worse.
    pub(super) fn learn(&self, error: &SendError) {
        let length = match error.failure {
            Failure::Deferred { wait } if error.reason == "rate_limited" => wait,
            Failure::Blocked { probe_after } if error.reason == "auth" => probe_after,
            Failure::Deferred { .. }
            | Failure::Blocked { .. }
            | Failure::Failed { .. }
            | Failure::Refused => return,
        };
        let error = SendError {
            progress: Progress::new(),
            ..error.clone()
        };
        *self.lock() = Some(Pause {
            until: self.clock.now() + length,
            error,
        });
    }

    /// The failure that a mail meets at `now` without being tried.
    fn pause_at(&self, now: Timestamp) -> Option<SendError> {
        let paused = self.lock();
        let pause = paused.as_ref()?;
        let left = pause.until.since(now);
        // A clock that was set back must not make a pause endless.
        if left.is_zero() || left > Duration::from_secs(24 * 3600) {
            return None;
        }
        let failure = match pause.error.failure {
            Failure::Blocked { .. } => Failure::Blocked { probe_after: left },
            Failure::Deferred { .. } | Failure::Failed { .. } | Failure::Refused => {
                Failure::Deferred { wait: left }
            }
        };
        Some(SendError {
            failure,
            ..pause.error.clone()
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pause>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
