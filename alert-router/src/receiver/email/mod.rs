//! The e-mail receiver: renders a message as one MIME mail and hands it in at a relay.
//!
//! `mime` and `thread` make the bytes, `smtp` talks to the relay over a `wire`, `classify` says
//! what its replies mean, `deliver` keeps the results of the recipients apart, `outcome` says them
//! in the seam's terms, and `account` is what all receivers share that use one account: a `pool` of
//! open sessions among it. `provider` knows how much providers take. `probe` looks into an account
//! without a mail.
//!
//! A mail counts as delivered when the reply to the final dot is positive, never earlier. Until
//! then every failure is safe to repeat; after it, a retry repeats the same bytes.

mod account;
mod build;
mod classify;
mod deliver;
mod grant;
mod login;
mod mime;
mod outcome;
mod pool;
mod probe;
mod provider;
mod reply;
mod smtp;
mod thread;
mod token;
mod wire;

#[cfg(test)]
mod additions;
#[cfg(test)]
pub(super) mod document;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod pooled;
#[cfg(test)]
mod probed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tokens;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use lettre::Address;

use account::Account;
pub use account::Accounts;
use login::Login;
use mime::{Letter, Stationery};
use outcome::Fates;
pub(super) use probe::{is_same_way, probe};
use smtp::{Dial, Proof, Relay, Session};
use thread::Place;
pub use token::AccessTokens;

use super::redact::Redaction;
use super::{
    Delivery, Destination, Failure, Limits, Part, Quota, Receipt, Receiver, RenderError, Rendering,
    SendError,
};
use crate::config;
use crate::message::{Message, Says};
use crate::render::{Locale, Renderer, State, View};

const CHANNEL: &str = "email";

/// The reply to a password or token that does not hold.
const REFUSED_LOGIN: &str = "535";

/// The only part of a delivery.
const PART: &str = "mail";

/// How many alerts a mail lists, by falling preference, until it is small enough.
const LISTED: [usize; 6] = [100, 50, 20, 8, 3, 1];

/// Bytes of HTML at most: Gmail cuts at about 102 KB.
const LARGEST_HTML: usize = 90 * 1024;

/// Writes mails to one address, or one mail to a list of addresses.
pub struct Email {
    destination: Destination,
    limits: Limits,
    quota: Option<Quota>,
    stationery: Stationery,
    recipients: Vec<Address>,
    thread: config::Thread,
    shows_state: bool,
    relay: Relay,
    account: Arc<Account>,
    renderer: Arc<Renderer>,
    login: Login,
    dial: Box<dyn Dial>,
}

impl Email {
    /// Text and HTML with as many alerts as fit.
    fn bodies(&self, view: &View) -> (String, String) {
        let render = |template: &str, view: &View| self.renderer.render(template, view).text;
        let fitting = LISTED.iter().find_map(|most| {
            let view = view.clone().limited(*most);
            let html = render("email.html", &view);
            (html.len() <= LARGEST_HTML).then(|| (render("email.txt", &view), html))
        });
        fitting.unwrap_or_else(|| {
            let view = view.clone().limited(0);
            (render("email.txt", &view), render("email.html", &view))
        })
    }

    fn subject(&self, view: &View) -> String {
        let subject = self.renderer.render("subject.txt", view).text;
        if !self.shows_state || view.groups.is_empty() {
            return subject;
        }
        format!(
            "[{}:{}] {subject}",
            status(view.state).to_uppercase(),
            view.counts.firing
        )
    }

    fn place(&self, rendering: &Rendering<'_>) -> Option<Place> {
        let message = rendering.message;
        let Says::Group(news) = &message.says else {
            return None;
        };
        let name = match self.thread {
            config::Thread::Off => return None,
            config::Thread::Episode => news.thread.clone(),
            config::Thread::Forever => news.group.to_string(),
            config::Thread::Day => format!("{} {}", news.group, day(message, rendering.locale)),
        };
        // A conversation that outlives its group may have had a first mail that nobody remembers;
        // and of several recipients one may have the mail while the delivery counts for nothing.
        let opens = news.opens_thread
            && self.thread == config::Thread::Episode
            && self.recipients.len() == 1;
        Some(Place::next(
            &name,
            self.destination.key,
            &self.stationery.domain,
            rendering.memory,
            opens,
        ))
    }

    async fn hand_in(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let part = delivery.parts.first().expect("a mail has one part");
        let settled = |to: &&Address| outcome::is_settled(PART, to.as_ref(), &delivery.progress);
        let waiting: Vec<_> = self
            .recipients
            .iter()
            .filter(|to| !settled(to))
            .cloned()
            .collect();
        let fates = if waiting.is_empty() {
            Fates::new()
        } else {
            self.converse(&waiting, &part.body).await?
        };
        let receipt = outcome::conclude(PART, &delivery.progress, &fates)?;
        Ok(Receipt {
            memory: thread::memory_of(&part.body),
            ..receipt
        })
    }

    async fn converse(&self, recipients: &[Address], mail: &[u8]) -> Result<Fates, SendError> {
        let (mut session, mut begun) = match self.account.idle_session(&self.relay) {
            Some(session) => self.begin(session, mail).await,
            None => self.begin(self.connect().await?, mail).await,
        };
        // A session that was left open may have ended since. Nothing was handed in yet, so a new one
        // may try at once.
        if session.is_used() && matches!(&begun, Err(error) if is_stale(error)) {
            (session, begun) = self.begin(self.connect().await?, mail).await;
        }
        let (host, from) = (&self.relay.host, &self.stationery.envelope_from);
        let fates = deliver::deliver(&mut session, host, from, recipients, mail, begun).await;
        self.account.give_back(&self.relay, session).await;
        Ok(fates)
    }

    async fn begin(&self, mut session: Session, mail: &[u8]) -> (Session, Result<(), SendError>) {
        let (host, from) = (&self.relay.host, &self.stationery.envelope_from);
        let begun = deliver::begin(&mut session, host, from, mail.len()).await;
        (session, begun)
    }

    async fn connect(&self) -> Result<Session, SendError> {
        let proof = self.login.proof().await?;
        let opened = self.open(proof.as_ref()).await;
        let (Err(error), Some(refused)) = (&opened, &proof) else {
            return opened;
        };
        if error.code.as_deref() != Some(REFUSED_LOGIN) {
            return opened;
        }
        match self.login.another(refused).await {
            Some(another) => self.open(Some(&another?)).await,
            None => opened,
        }
    }

    async fn open(&self, proof: Option<&Proof>) -> Result<Session, SendError> {
        let opened = Session::open(&self.relay, proof, self.dial.as_ref()).await;
        opened.map_err(|trouble| login::ended(&self.relay.host, proof, trouble))
    }

    /// Of all that a server was told and may repeat.
    fn redaction(&self) -> Redaction {
        let auth = self.relay.auth.iter();
        Redaction::of(auth.flat_map(|auth| self.login.secrets(auth)))
    }
}

/// Whether MAIL FROM failed as it does in a session that is too old, or that has had its share.
fn is_stale(error: &SendError) -> bool {
    matches!(error.failure, Failure::Failed { .. })
}

impl Receiver for Email {
    fn destination(&self) -> &Destination {
        &self.destination
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let message = rendering.message;
        let view = View::of(message, rendering.locale);
        let (text, html) = self.bodies(&view);
        let place = self.place(rendering);
        let letter = Letter {
            id: message.id,
            date: message.created,
            subject: &self.subject(&view),
            text,
            html,
            place: place.as_ref(),
            status: status(view.state),
            group: view
                .groups
                .first()
                .map(|group| group.id.as_str())
                .filter(|_| view.groups.len() == 1),
            urgent: view.state == State::Firing && view.groups.iter().any(|group| group.priority),
        };
        let mail = self
            .stationery
            .write(&letter)
            .map_err(|error| RenderError {
                channel: CHANNEL,
                why: format!("{error}: check from and to"),
            })?;
        let recipients = self.recipients.iter().map(ToString::to_string).collect();
        Ok(vec![Part {
            id: PART.to_owned(),
            body: Bytes::from(mail),
            recipients,
        }])
    }

    fn look(&self) -> Option<String> {
        let alone = self.recipients.len() == 1;
        let (thread, state, headers) = (self.thread, self.shows_state, &self.stationery.headers);
        Some(format!("{thread:?} {state} {alone} {headers:?}"))
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let result = match self.account.turn().await {
                Ok(_turn) => self.hand_in(delivery).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(receipt) => Ok(Receipt {
                    answer: self.redaction().clean(&receipt.answer),
                    ..receipt
                }),
                Err(mut error) => {
                    error.answer = self.redaction().clean(&error.answer);
                    error.progress.extend(delivery.progress.iter().cloned());
                    self.account.learn(&error);
                    Err(error)
                }
            }
        })
    }
}

/// Shows whom it reaches, and nothing of how.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut email = f.debug_struct("Email");
        email
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

fn status(state: State) -> &'static str {
    match state {
        State::Test => "test",
        State::Missed => "missed",
        State::Resolved => "resolved",
        State::Firing => "firing",
    }
}

/// The day of a message in its readers' zone.
fn day(message: &Message, locale: &Locale) -> String {
    let at = jiff::Timestamp::from_millisecond(message.created.as_millis()).unwrap_or_default();
    at.to_zoned_datetime(locale.zone.clone()).date().to_string()
}
