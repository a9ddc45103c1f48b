//! What all receivers share that hand in through one account: how much it takes, its connections,
//! and a pause after the provider has had enough. The engine's budgets count
//! what the config or the provider's terms say; a pause is for what shows only in its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alert_engine::{LaneKey, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::login::Login;
use super::pool::Pool;
use super::provider;
use super::smtp::{Relay, Session};
use super::token::AccessTokens;
use crate::clock::Clock;
use crate::config::{self, SmtpProof};
use crate::receiver::{BuildError, Failure, Progress, Quota, SendError, Window};

/// Connections to one account at once. Providers count them.
const CONNECTIONS: usize = 2;

/// How long a mail waits for one of them.
pub(super) const TURN: Duration = Duration::from_secs(60);

/// The accounts of one config. Its receivers share them.
pub struct Accounts {
    accounts: BTreeMap<LaneKey, Arc<Account>>,
    tokens: AccessTokens,
    clock: Arc<dyn Clock>,
}

/// One account at one relay.
pub(super) struct Account {
    key: LaneKey,
    windows: Vec<Window>,
    clock: Arc<dyn Clock>,
    connections: Semaphore,
    idle: Arc<Pool>,
    paused: Mutex<Option<Pause>>,
}

/// Until when nothing is tried, and why.
#[derive(Debug)]
struct Pause {
    until: Timestamp,
    error: SendError,
}

impl Accounts {
    /// The accounts through which `emails` are handed in. What several of them say of one account
    /// holds together. `clock` tells when a pause is over.
    #[must_use]
    pub fn of<'a>(
        emails: impl IntoIterator<Item = &'a config::Email>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let mut said = BTreeMap::<LaneKey, Vec<&config::Email>>::new();
        for email in emails {
            said.entry(key(email)).or_default().push(email);
        }
        let account = |(key, emails): (LaneKey, Vec<&config::Email>)| {
            let account = Account::new(key, windows(&emails), clock.clone());
            (key, Arc::new(account))
        };
        Self {
            accounts: said.into_iter().map(account).collect(),
            tokens: AccessTokens::default(),
            clock: clock.clone(),
        }
    }

    /// With tokens that others share, too.
    #[must_use]
    pub(in crate::receiver) fn sharing(self, tokens: &AccessTokens) -> Self {
        let tokens = tokens.clone();
        Self { tokens, ..self }
    }

    /// What `email` logs in with; whoever gets tokens in the same way shares them.
    pub(super) fn login(&self, email: &config::Email) -> Result<Login, BuildError> {
        Ok(match email.auth.as_ref().map(|auth| &auth.proof) {
            None => Login::Nobody,
            Some(SmtpProof::Password(password)) => Login::Password(password.clone()),
            Some(SmtpProof::OAuth2(settings)) => {
                Login::Tokens(self.tokens.of(settings, &self.clock)?)
            }
        })
    }

    /// The account that `email` is handed in through.
    pub(super) fn get(&self, email: &config::Email) -> Arc<Account> {
        let account = self.accounts.get(&key(email));
        account
            .expect("the accounts are those of all settings")
            .clone()
    }
}

/// What must be the same for an account to be the same: the relay and the user.
fn key(email: &config::Email) -> LaneKey {
    let user = email.auth.as_ref().map_or("", |auth| &auth.username);
    let relay = email.smarthost.to_string().to_ascii_lowercase();
    LaneKey::of(&[b"email account", relay.as_bytes(), user.as_bytes()])
}

/// What some of `emails` say, else what is known of their provider.
fn windows(emails: &[&config::Email]) -> Vec<Window> {
    let is_said = emails.iter().any(|email| email.account_limits.is_some());
    let saying = emails
        .iter()
        .filter(|email| email.account_limits.is_some() == is_said);
    let windows: BTreeSet<_> = saying
        .flat_map(|email| provider::of_account(email))
        .collect();
    windows.into_iter().collect()
}

impl Account {
    fn new(key: LaneKey, windows: Vec<Window>, clock: Arc<dyn Clock>) -> Self {
        Self {
            key,
            windows,
            clock,
            connections: Semaphore::new(CONNECTIONS),
            idle: Arc::default(),
            paused: Mutex::new(None),
        }
    }

    /// What a mail to so many recipients uses up of it, if it is limited.
    pub(super) fn quota(&self, recipients: usize) -> Option<Quota> {
        let quota = || Quota {
            key: self.key,
            windows: self.windows.clone(),
            each: u32::try_from(recipients).unwrap_or(u32::MAX),
        };
        (!self.windows.is_empty()).then(quota)
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

    /// A session that another mail left open, for whoever has a turn.
    pub(super) fn idle_session(&self, relay: &Relay) -> Option<Session> {
        self.idle.take(relay, self.connections.available_permits())
    }

    /// Keeps a session for the next mail if it is good for one, else ends it.
    pub(super) async fn give_back(&self, relay: &Relay, mut session: Session) {
        if session.may_go_on() {
            self.idle.keep(relay, session);
        } else {
            session.quit().await;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{World, auth, settings};
    use super::*;
    use crate::config::{SmtpAuth, SmtpLimit};

    #[test]
    fn an_account_takes_what_all_who_use_it_say_else_what_is_known_of_its_provider() {
        let world = World::new();
        let with = |host: &str, user: &str, limits: Option<&[(u32, u64)]>| {
            let mut settings = settings(&["a@x.test", "b@x.test", "c@x.test"]);
            settings.smarthost.host = host.into();
            settings.auth = auth().map(|auth| SmtpAuth {
                username: user.into(),
                ..auth
            });
            let limit = |(mails, seconds): &(u32, u64)| SmtpLimit {
                mails: *mails,
                per: Duration::from_secs(*seconds),
            };
            settings.account_limits = limits.map(|limits| limits.iter().map(limit).collect());
            settings
        };
        let quotas = |all: &[config::Email]| {
            let quotas = world.quotas(all);
            let one = |quota: Option<Quota>| {
                let quota = quota?;
                let windows = quota.windows.iter();
                let windows = windows.map(|w| (w.messages, w.per.as_secs())).collect();
                Some((quota.each, windows))
            };
            quotas.into_iter().map(one).collect::<Vec<_>>()
        };
        let day = 24 * 3600;
        let known = with("SMTP.gmail.com", "Me@gmail.com", None);
        assert_eq!(quotas(&[known]), [Some((3, vec![(450, day)]))]);
        let workspace = with("smtp.gmail.com", "me@example.com", None);
        assert_eq!(quotas(&[workspace]), [Some((3, vec![(1800, day)]))]);
        let lifted = with("smtp.gmail.com", "me@gmail.com", Some(&[]));
        assert_eq!(quotas(&[lifted]), [None]);
        let unknown = with("mx.example.com", "me", None);
        assert_eq!(quotas(std::slice::from_ref(&unknown)), [None]);
        // One of them speaks for all who use the account, and two together.
        let (slow, small) = ([(5, 60)], [(50, 3600)]);
        let all = [
            unknown,
            with("mx.example.com", "me", Some(&slow)),
            with("MX.example.com", "me", Some(&small)),
            with("mx.example.com", "you", None),
        ];
        let both = Some((3, vec![(5, 60), (50, 3600)]));
        assert_eq!(quotas(&all), [both.clone(), both.clone(), both, None]);
    }
}
